"""What a benchmark returns: figures with their goals, and tables that show where the time went."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.sandbox import Sandbox


class Skipped(Exception):
    """A benchmark that cannot run here; the text is the reason."""


@dataclass(frozen=True)
class Figure:
    """One row of the results. `met` is None if there is no goal; `why` is the reason if the goal is missed."""

    what: str
    value: str
    goal: str = ""
    met: bool | None = None
    why: str = ""

    @property
    def verdict(self) -> str:
        if self.met is None:
            return ""
        return "met" if self.met else f"missed: {self.why}" if self.why else "missed"


@dataclass(frozen=True)
class Table:
    """A table below the figures, such as where the time went."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass
class Outcome:
    """The result of one benchmark. `sizes` describes the data it ran on."""

    sizes: str
    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


@dataclass(frozen=True)
class Bench:
    """What every benchmark gets. `archive` is the real Olist archive, if it is available."""

    sandbox: Sandbox
    quick: bool
    archive: Path | None
    note: Callable[[str], None]


def timed(work: Callable[[], object]) -> float:
    """Wall-clock seconds of the work."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def alternating(repetitions: int, ways: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Seconds of each way, run in turn, so that other work of the machine affects all of them alike."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repetitions):
        for name, way in ways.items():
            seconds[name].append(way())
    return seconds


def median_ratio(upper: Sequence[float], lower: Sequence[float]) -> float:
    """Median of the ratios of neighbours."""
    return statistics.median(u / v for u, v in zip(upper, lower, strict=True))


def shown(seconds: Sequence[float]) -> str:
    """`4.21 s (4.10 to 4.60)`: the median, and the range of the repetitions."""
    middle = f"{statistics.median(seconds):.2f} s"
    return f"{middle} ({min(seconds):.2f} to {max(seconds):.2f})" if len(seconds) > 1 else middle
