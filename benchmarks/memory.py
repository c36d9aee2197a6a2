"""A process -> the most memory that it, its descendants and the warehouse's server held together.

Proportional set size where the system reports it (Linux): pages that several processes share, such as Postgres'
buffers, count once. Elsewhere resident size, which is an upper bound.
"""

from __future__ import annotations

import threading
from collections import Counter
from types import TracebackType

import psutil

INTERVAL_SECONDS = 0.5
MEGABYTE = 1024 * 1024


class PeakMemory:
    """Watches process trees until it is closed. `peak` in MB; `at_peak` by program; `programs`: all programs seen."""

    def __init__(self, *roots: int) -> None:
        self._roots = roots
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self.peak = 0.0
        self.at_peak: dict[str, float] = {}
        self.programs: set[str] = set()

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self._sample()
            if self._stop.wait(INTERVAL_SECONDS):
                return

    def _sample(self) -> None:
        held: Counter[str] = Counter()
        for process in self._processes():
            try:
                memory = process.memory_full_info()
                held[_program(process)] += getattr(memory, "pss", memory.rss)
            except psutil.Error:
                continue  # it ended in the meantime
        self.programs |= set(held)
        total = sum(held.values()) / MEGABYTE
        if total > self.peak:
            self.peak, self.at_peak = total, {name: size / MEGABYTE for name, size in held.most_common()}

    def _processes(self) -> list[psutil.Process]:
        found: dict[int, psutil.Process] = {}
        for root in self._roots:
            try:
                process = psutil.Process(root)
                found |= {one.pid: one for one in [process, *process.children(recursive=True)]}
            except psutil.Error:
                continue
        return list(found.values())


def _program(process: psutil.Process) -> str:
    name = process.name()
    return next((known for known in ("java", "postgres", "python") if known in name), name)
