"""A run's events -> its progress: a live table on a terminal, elsewhere one line per finished step."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from lakehouse.steps import STEP_NAMES, Observer, Pending, StepResult

# For each step, the name of the count that says how many rows the step wrote.
ROWS_OF = {"bronze": "bronze", "silver": "silver", "load": "raw"}


@contextmanager
def watching(console: Console) -> Iterator[Observer]:
    """Yield an observer that suits the console: the live table for a terminal, lines for a pipe or a log."""
    if not console.is_terminal:
        yield Lines(console)
        return
    board = Board()
    with Live(board, console=console, refresh_per_second=8, transient=False):
        try:
            yield board
        finally:
            board.close()


class Lines:
    """Prints one line per finished step, model and note."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def planned(self, pending: list[Pending]) -> None:
        batches = len({unit.batch_date for unit in pending})
        if pending:
            self._say(f"{len(pending)} tables of {batches} batches to process")

    def started(self, step: str, table: str, batch_date: date) -> None:
        pass

    def finished(self, result: StepResult) -> None:
        if result.done:
            rows = result.counts.get(ROWS_OF[result.step], 0)
            self._say(
                f"{result.batch_date}  {result.step:<6}  {result.table:<22} {rows:>12,} rows {result.seconds:8.2f} s"
            )

    def model(self, name: str, rows: int | None, seconds: float) -> None:
        if rows is not None:
            self._say(f"{'marts':<10}  dbt     {name:<22} {rows:>12,} rows {seconds:8.2f} s")

    def note(self, text: str) -> None:
        self._say(text)

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)


@dataclass
class _Lane:
    """The progress of one table: each step's finished batches and written rows, and what is running now."""

    batches: int
    done: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STEP_NAMES, 0))
    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STEP_NAMES, 0))
    seconds: float = 0.0
    now: str = ""


class Board:
    """The live table: one line per table of the lake, then dbt's line."""

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane] = {}
        self._models = 0
        self._model = ""
        self._model_seconds = 0.0
        self._note = ""
        self._begin = time.monotonic()
        self._spinner = Spinner("dots", style="cyan")
        self._open = True
        self._changing = threading.Lock()

    def planned(self, pending: list[Pending]) -> None:
        with self._changing:
            for unit in pending:
                self._lanes.setdefault(unit.table, _Lane(0)).batches += 1

    def started(self, step: str, table: str, batch_date: date) -> None:
        with self._changing:
            self._lanes[table].now = f"{step} {batch_date}"
            self._note = ""

    def finished(self, result: StepResult) -> None:
        with self._changing:
            lane = self._lanes[result.table]
            lane.done[result.step] += 1
            lane.rows[result.step] += result.counts.get(ROWS_OF[result.step], 0) if result.done else 0
            lane.seconds += result.seconds
            lane.now = ""

    def model(self, name: str, rows: int | None, seconds: float) -> None:
        with self._changing:
            self._models += 1
            self._model = name
            self._model_seconds += seconds

    def note(self, text: str) -> None:
        with self._changing:
            self._note = text

    def close(self) -> None:
        """Leave the last state on the screen, without a spinner."""
        with self._changing:
            self._open = False
            self._note = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._changing:
            if self._lanes:
                yield self._lanes_table()
            if self._models:
                yield Text.assemble(
                    ("  marts  ", "bold"), f"{self._models} models and tests", ("  last: ", "dim"), self._model
                )
            if self._note:
                yield Text(f"  {self._note}", style="dim")
            if self._open:
                elapsed = f" {time.monotonic() - self._begin:.0f} s"
                self._spinner.update(text=Text(elapsed, style="dim"))
                yield self._spinner

    def _lanes_table(self) -> Table:
        table = Table(box=None, padding=(0, 2), header_style="bold")
        table.add_column("table")
        for step in STEP_NAMES:
            table.add_column(step, justify="right")
        table.add_column("seconds", justify="right")
        table.add_column("")
        for name, lane in self._lanes.items():
            cells = [_cell(lane, step) for step in STEP_NAMES]
            seconds = f"{lane.seconds:.1f}" if lane.seconds else ""
            table.add_row(name, *cells, seconds, Text(lane.now, style="cyan"))
        return table


def _cell(lane: _Lane, step: str) -> Text:
    if lane.done[step] == lane.batches:
        return Text(f"{lane.rows[step]:,}", style="green")
    if lane.done[step] == 0:
        return Text("·", style="dim")
    return Text(f"{lane.rows[step]:,} ({lane.done[step]}/{lane.batches})")
