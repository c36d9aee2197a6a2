"""What people see: a run's progress on a terminal and in a log, the status, the warnings."""

from __future__ import annotations

import io
import os
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lakehouse.cli.progress import Board, Lines, watching
from lakehouse.cli.results import print_status, print_warnings
from lakehouse.cli.shared import as_called_here
from lakehouse.errors import LakehouseError
from lakehouse.pipeline.runs import Run
from lakehouse.pipeline.status import BatchStatus, Status
from lakehouse.steps import Observer, Pending, StepResult
from lakehouse.warehouse.counts import STAGES

FIRST, SECOND = date(2018, 1, 5), date(2018, 1, 6)


@pytest.fixture(autouse=True)
def _the_environment_is_activated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def terminal() -> Console:
    return Console(record=True, force_terminal=True, width=100, file=io.StringIO(), highlight=False)


@pytest.fixture
def pipe() -> Console:
    return Console(record=True, force_terminal=False, width=240, file=io.StringIO(), highlight=False)


def pending(*units: tuple[str, date]) -> list[Pending]:
    return [Pending("bronze", table, day, "not done yet", 10) for table, day in units]


def result(step: Any, table: str, day: date, rows: int, *, done: bool = True, seconds: float = 0.5) -> StepResult:
    counts = {{"bronze": "bronze", "silver": "silver", "load": "raw"}[step]: rows, "records": 10**6}
    return StepResult(step, table, day, done, counts, seconds, {})


def picture(board: Board, console: Console) -> list[list[str]]:
    """The words of each line that is now on the screen."""
    console.print(board)
    return [line.split() for line in console.export_text().splitlines()]


def test_a_table_of_the_board_shows_batches_done_rows_and_what_it_does_now(terminal: Console) -> None:
    board = Board()
    board.planned(pending(("orders", FIRST), ("orders", SECOND), ("sellers", FIRST)))
    board.finished(result("bronze", "orders", FIRST, 5_211))
    board.finished(result("silver", "orders", FIRST, 5_144, seconds=1.25))
    board.finished(result("bronze", "orders", SECOND, 800))
    board.started("silver", "orders", SECOND)

    head, orders, sellers, _ = picture(board, terminal)

    assert head == ["table", "bronze", "silver", "load", "seconds"]
    assert orders == ["orders", "6,011", "5,144", "(1/2)", "·", "2.2", "silver", "2018-01-06"]
    assert sellers == ["sellers", "·", "·", "·"]


def test_a_step_that_had_nothing_to_do_counts_as_done_and_its_rows_do_not(terminal: Console) -> None:
    board = Board()
    board.planned(pending(("orders", FIRST)))
    board.finished(result("bronze", "orders", FIRST, 5_211, done=False, seconds=0))

    _, orders, _ = picture(board, terminal)

    assert orders == ["orders", "0", "·", "·"]


def test_the_board_shows_dbts_line_and_a_note_until_the_next_step(terminal: Console) -> None:
    board = Board()
    board.planned(pending(("orders", FIRST)))
    board.note("Looking for the jars")
    assert ["Looking", "for", "the", "jars"] in picture(board, terminal)

    board.started("bronze", "orders", FIRST)
    board.model("dim_seller", 151, 0.4)
    board.model("unique_dim_seller", None, 0.1)

    lines = picture(board, terminal)
    assert ["marts", "2", "models", "and", "tests", "last:", "unique_dim_seller"] in lines
    assert ["Looking", "for", "the", "jars"] not in lines


def test_a_note_before_anything_is_planned_is_shown_without_a_table(terminal: Console) -> None:
    board = Board()
    board.note("Checking the delivery")

    note, _spinner = picture(board, terminal)

    assert note == ["Checking", "the", "delivery"]


def run_through(observer: Observer) -> None:
    observer.note("Checking the delivery")
    observer.planned(pending(("orders", FIRST), ("orders", SECOND)))
    observer.started("bronze", "orders", FIRST)
    observer.finished(result("bronze", "orders", FIRST, 5_211))
    observer.finished(result("silver", "orders", FIRST, 5_144, done=False))
    observer.model("dim_seller", 151, 0.4)
    observer.model("unique_dim_seller", None, 0.1)


def test_on_a_terminal_the_last_table_stays_without_spinner_and_note(terminal: Console) -> None:
    with watching(terminal) as observer:
        assert isinstance(observer, Board)
        run_through(observer)
        observer.note("Looking")

    last = terminal.export_text().splitlines()[-2:]
    assert [line.split()[0] for line in last] == ["orders", "marts"]


@pytest.mark.parametrize("end", [LakehouseError("no space"), KeyboardInterrupt()], ids=["an error", "Ctrl-C"])
def test_no_spinner_stays_above_an_error(terminal: Console, end: BaseException) -> None:
    with pytest.raises(type(end)) as raised, watching(terminal) as observer:
        run_through(observer)
        raise end

    assert raised.value is end
    assert terminal.export_text().splitlines()[-1].split()[:2] == ["marts", "2"]


def test_in_a_pipe_there_is_a_line_for_each_step_that_did_something(pipe: Console) -> None:
    with watching(pipe) as observer:
        assert isinstance(observer, Lines)
        run_through(observer)

    assert [line.split() for line in pipe.export_text().splitlines()] == [
        ["Checking", "the", "delivery"],
        ["2", "tables", "of", "2", "batches", "to", "process"],
        ["2018-01-05", "bronze", "orders", "5,211", "rows", "0.50", "s"],
        ["marts", "dbt", "dim_seller", "151", "rows", "0.40", "s"],
    ]
    assert "\x1b" not in pipe.file.getvalue()  # type: ignore[attr-defined]


def test_in_a_pipe_a_run_with_nothing_to_do_says_nothing(pipe: Console) -> None:
    with watching(pipe) as observer:
        observer.planned([])

    assert pipe.export_text() == ""


def a_status(**changes: Any) -> Status:
    given: dict[str, Any] = {
        "workspace": "demo",
        "source": "olist",
        "batches": [BatchStatus(FIRST, 9, 27_461, 0), BatchStatus(SECOND, 1, 5, 1)],
        "pending": [],
        "marts_pending": None,
        "without_landing": [],
        "last_run": None,
        "records": [("orders", dict.fromkeys(STAGES, 0) | {"records": 5_217, "bronze": 5_211})],
        "warnings": [],
    }
    return Status(**{**given, **changes})


def shown(console: Console, status: Status) -> list[str]:
    print_status(console, status)
    return [" ".join(line.split()) for line in console.export_text().splitlines()]


def test_status_offers_to_accept_the_batch_that_is_held_and_none_that_waits_for_it(pipe: Console) -> None:
    held = Pending("load", "orders", FIRST, "held: 3 of 3 records", 9, is_held=True)
    waiting = Pending("load", "orders", SECOND, "waits for the batch of 2018-01-05", 9, is_held=True, waits_for=FIRST)

    lines = shown(pipe, a_status(pending=[held, waiting]))

    offered = [line.split("accept ")[1] for line in lines if " accept " in line]
    assert offered == ["orders --batch-date 2018-01-05 lets it be loaded as it is"]
    assert (str(held), str(waiting)) == (
        "orders of 2018-01-05 is held: 3 of 3 records",
        "orders of 2018-01-06 waits for the batch of 2018-01-05",
    )


def test_status_shows_batches_records_and_that_everything_is_in_the_marts(terminal: Console) -> None:
    lines = shown(terminal, a_status())

    assert lines[0] == "Workspace demo, source olist"
    assert lines[2:6] == [
        "Batches",
        "batch_date tables records pending",
        "2018-01-05 9 27,461 ·",
        "2018-01-06 1 5 1",
    ]
    orders = {"records": "5,217", "bronze": "5,211"}
    assert f"orders {' '.join(orders.get(stage, '·') for stage in STAGES)}" in lines
    assert lines[-1] == "Everything landed is in the marts."


def test_status_shows_what_is_pending_why_and_the_command_that_processes_it(terminal: Console) -> None:
    waiting = [Pending("silver", "orders", SECOND, "delivered again, or its contract changed", 10)]

    lines = shown(terminal, a_status(pending=waiting, marts_pending="something was loaded"))

    begin = lines.index("Pending")
    assert lines[begin + 1 :] == [
        "batch_date table from step why",
        "2018-01-06 orders silver delivered again, or its contract changed",
        "all marts something was loaded",
        "",
        "lakehouse run processes it",
    ]


def test_commands_are_named_as_this_shell_finds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Run `lakehouse doctor` in the lakehouse."
    assert as_called_here(text) == text

    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.chdir(Path(sys.executable).parent.parent)
    assert as_called_here(text) == "Run `bin/lakehouse doctor` in the lakehouse."
    monkeypatch.chdir("/")
    assert as_called_here(text).startswith(f"Run `{Path(sys.executable).parent.relative_to('/')}/lakehouse doctor`")


def test_status_of_an_empty_workspace(terminal: Console) -> None:
    lines = shown(terminal, a_status(batches=[], records=[]))

    assert lines[-1] == "Nothing has been landed yet: `lakehouse run PATH`, or `lakehouse run --demo`"


def test_status_names_tables_that_only_the_warehouse_still_has(terminal: Console) -> None:
    lines = shown(terminal, a_status(batches=[], without_landing=[("orders", FIRST), ("sellers", FIRST)]))

    assert "The warehouse holds tables of 1 batches that are no longer in landing." in " ".join(lines)


@pytest.mark.parametrize(
    ("status", "summary", "end"),
    [
        ("success", {}, ["Last run: success, 2018-01-06 10:00:07 UTC, 1,234 rows loaded in 7.3 s."]),
        (
            "failed",
            {"error": "No space left on [disk]\nFree some."},
            [
                "Last run: failed, 2018-01-06 10:00:07 UTC, 1,234 rows loaded in 7.3 s.",
                "No space left on [disk]",
                "Free some.",
            ],
        ),
    ],
    ids=["success", "failed"],
)
def test_status_shows_how_the_last_run_ended(
    terminal: Console, status: str, summary: dict[str, Any], end: list[str]
) -> None:
    begin, finish = datetime(2018, 1, 6, 10, tzinfo=UTC), datetime(2018, 1, 6, 10, 0, 7, tzinfo=UTC)

    lines = shown(terminal, a_status(last_run=Run(begin, finish, status, 1_234, 7.3, summary)))

    assert lines[-len(end) :] == end


def test_dbt_tests_that_warn_are_listed(terminal: Console) -> None:
    print_warnings(terminal, [("fct_orders_has_its_customer", 1_052), ("dates_in_order", 3)])

    assert [line.split() for line in terminal.export_text().splitlines()] == [
        ["dbt", "tests", "that", "warn"],
        ["test", "rows", "against", "it"],
        ["fct_orders_has_its_customer", "1,052"],
        ["dates_in_order", "3"],
        [],
    ]


def test_without_dbt_warnings_nothing_is_printed(terminal: Console) -> None:
    print_warnings(terminal, [])

    assert terminal.export_text() == ""
