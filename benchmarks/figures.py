"""What a benchmark hands back: figures against their goals, and remarks that show where the time went."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.sandbox import Sandbox


class Skipped(Exception):
    """A benchmark that cannot be made here; the text is the reason."""


@dataclass(frozen=True)
class Figure:
    """One row of the results. `met` is None where there is no goal, `why` says why one is missed."""

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
    """A table below the figures: where the time went."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass
class Outcome:
    """All that one benchmark found out. `sizes` says on what."""

    sizes: str
    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


@dataclass(frozen=True)
class Bench:
    """What every benchmark is given. `archive` is the real Olist archive, if it is there."""

    sandbox: Sandbox
    quick: bool
    archive: Path | None
    note: Callable[[str], None]


def timed(work: Callable[[], object]) -> float:
    """Wall seconds."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def alternating(repetitions: int, ways: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Seconds of each way, in turn, so that what else the machine does meets all of them alike."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repetitions):
        for name, way in ways.items():
            seconds[name].append(way())
    return seconds


def median_ratio(upper: Sequence[float], lower: Sequence[float]) -> float:
    """Median of the ratios of neighbours."""
    return statistics.median(u / v for u, v in zip(upper, lower, strict=True))


def shown(seconds: Sequence[float]) -> str:
    """`4.21 s (4.10 to 4.60)`: the median, and between what the repetitions lay."""
    middle = f"{statistics.median(seconds):.2f} s"
    return f"{middle} ({min(seconds):.2f} to {max(seconds):.2f})" if len(seconds) > 1 else middle
