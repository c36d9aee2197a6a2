"""Landing, ledgers, load log, ops -> the state of a source: batches, what is pending and why, the last run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, ClassVar

from lakehouse import warehouse
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing.manifest import Manifest, read_manifests
from lakehouse.marts import step as marts
from lakehouse.pipeline import summary
from lakehouse.pipeline.pending import pending_steps, without_landing
from lakehouse.pipeline.runs import Run, last_run
from lakehouse.steps import Pending


@dataclass(frozen=True)
class BatchStatus:
    """One landed batch: its tables, its records, and how many of its tables are not yet loaded."""

    batch_date: date
    tables: int
    records: int
    pending: int


@dataclass(frozen=True)
class Status:
    """All that can be known about a workspace without reading data.

    `marts_pending`: why the marts are due, if they are. `without_landing`: each (table, batch date) that is in the
    warehouse but no longer in landing. `ends_open`: each (batch date, table) whose file does not end with a newline, so
    that its last record may be cut off.
    """

    BATCH_COLUMNS: ClassVar[tuple[str, ...]] = ("batch_date", "tables", "records", "pending")

    workspace: str
    source: str
    batches: list[BatchStatus]
    pending: list[Pending]
    marts_pending: str | None
    without_landing: list[tuple[str, date]]
    last_run: Run | None
    records: list[tuple[str, dict[str, int]]]
    warnings: list[tuple[str, str, int]]
    ends_open: list[tuple[date, str]] = field(default_factory=list)

    def batch_rows(self) -> list[tuple[Any, ...]]:
        """A row of BATCH_COLUMNS per batch."""
        return [(b.batch_date, b.tables, b.records, b.pending) for b in self.batches]

    def as_json(self) -> dict[str, Any]:
        """The whole status, for programs."""
        return {
            "workspace": self.workspace,
            "source": self.source,
            "batches": [asdict(batch) for batch in self.batches],
            "pending": [asdict(unit) for unit in self.pending],
            "marts_pending": self.marts_pending,
            "without_landing": [{"table": table, "batch_date": day} for table, day in self.without_landing],
            "last_run": asdict(self.last_run) if self.last_run else None,
            "records": [{"table": table, **counts} for table, counts in self.records],
            "ends_open": [{"batch_date": day, "table": table} for day, table in self.ends_open],
            "warnings": [{"table": t, "reason": reason, "rows": rows} for t, reason, rows in self.warnings],
        }


def read_status(lakehouse: Lakehouse) -> Status:
    """Read the status; this starts the embedded warehouse, but not Spark."""
    warehouse.prepare(lakehouse.settings)
    manifests = read_manifests(lakehouse)
    pending = pending_steps(lakehouse, manifests)
    records = summary.records_per_table(lakehouse)
    return Status(
        workspace=lakehouse.settings.workspace_name,
        source=lakehouse.contract.source,
        batches=[_batch(manifest, pending) for manifest in manifests],
        pending=pending,
        marts_pending=marts.pending(lakehouse),
        without_landing=without_landing(lakehouse, manifests),
        last_run=last_run(lakehouse),
        records=records,
        warnings=summary.warnings(lakehouse, [table.name for table in lakehouse.contract.tables]),
        ends_open=[
            (manifest.batch_date, table)
            for manifest in manifests
            for table, file in manifest.tables.items()
            if file and file.ends_open
        ],
    )


def _batch(manifest: Manifest, pending: list[Pending]) -> BatchStatus:
    delivered = [file for file in manifest.tables.values() if file]
    waiting = sum(unit.batch_date == manifest.batch_date for unit in pending)
    return BatchStatus(manifest.batch_date, len(delivered), sum(file.records for file in delivered), waiting)
