"""A command's run -> one row of ops.runs: when it ran, how it ended, what it loaded, where its time went."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lakehouse import warehouse
from lakehouse.errors import LakehouseError
from lakehouse.lakehouse import Lakehouse

if TYPE_CHECKING:
    from lakehouse.pipeline.run import RunReport


@dataclass(frozen=True)
class Run:
    """A finished run. `status`: success, held (something was not loaded), failed or interrupted."""

    started_at: datetime
    finished_at: datetime
    status: str
    rows_loaded: int
    seconds: float
    summary: dict[str, Any]


@contextmanager
def recorded(lakehouse: Lakehouse, command: str) -> Iterator[Callable[[RunReport], None]]:
    """Note how a run ended. The caller passes its report to the yielded function. If nothing changed, write no row."""
    warehouse.prepare(lakehouse.settings)
    begin = datetime.now(UTC)
    reports: list[RunReport] = []
    status, summary = "interrupted", {}
    try:
        yield reports.append
        status = "success" if any(report.did_something for report in reports) else "unchanged"
        if status == "success" and any(report.has_held for report in reports):
            status = "held"
    except LakehouseError as error:
        status, summary = "failed", {"error": str(error)}
        raise
    finally:
        if status != "unchanged":
            _note(lakehouse, command, begin, status, reports, summary)


def last_run(lakehouse: Lakehouse) -> Run | None:
    """The newest run of this source; None if there was none."""
    row = lakehouse.one(
        """
        select started_at, finished_at, status, rows_loaded, seconds, summary from ops.runs
        where source = %s order by run_id desc limit 1
        """,
        lakehouse.contract.source,
    )
    return Run(*row) if row else None


def seconds_per_step(report: RunReport) -> dict[str, float]:
    """How long each step of a run worked, in seconds summed over all tables. Steps may overlap."""
    seconds: dict[str, float] = defaultdict(float)
    for result in report.results:
        seconds[result.step] += result.seconds
    if report.marts.done:
        seconds["marts"] = report.marts.seconds
    return {step: round(value, 2) for step, value in seconds.items()}


def _note(
    lakehouse: Lakehouse,
    command: str,
    begin: datetime,
    status: str,
    reports: list[RunReport],
    summary: dict[str, Any],
) -> None:
    loaded = sum(r.counts.get("raw", 0) for report in reports for r in report.results if r.done and r.step == "load")
    steps = {step: value for report in reports for step, value in seconds_per_step(report).items()}
    end = datetime.now(UTC)
    with lakehouse.cursor() as cursor:
        cursor.execute(
            """
            insert into ops.runs (source, started_at, finished_at, status, command, rows_loaded, seconds, summary)
            values (%s, %s, %s, %s, %s, %s, %s, %s)
            """,
            (
                lakehouse.contract.source,
                begin,
                end,
                status,
                command,
                loaded,
                (end - begin).total_seconds(),
                json.dumps({**summary, "seconds_per_step": steps}),
            ),
        )
