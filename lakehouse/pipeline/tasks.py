"""What an orchestrator calls: a function per task, with dates and names as text, so that one task can pass them to the
next. Each function may be called again: finished work stays as it is. Each logs what it does, with counts.

    runs_to_start           which batches are new
    look_into_drop_folder   what in the drop folder cannot be read
    claim_batch             lands a dropped delivery and claims the batch for a run
    due_tables              which tables of the batch are due
    run_step                bronze, silver or load of one table
    reconcile_tables        counts every record of a batch
    reconcile_facts         compares the marts with what was loaded
    publish_report          the page with the figures
    publish_docs            dbt's page about the models
    clean_up                the weekly maintenance
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from lakehouse import warehouse
from lakehouse.errors import ConfigurationError, DeliveryRefused
from lakehouse.lake.conformance import ensure_conformance
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import dates
from lakehouse.landing import step as landing
from lakehouse.landing.manifest import read_manifest
from lakehouse.load import step as load
from lakehouse.marts import dbt_docs
from lakehouse.marts import step as marts
from lakehouse.pipeline import arrivals, maintain, reconcile
from lakehouse.pipeline import run as pipeline
from lakehouse.report import step as report
from lakehouse.settings import LAYERS
from lakehouse.steps import Pending, StepName, StepResult
from lakehouse.workspaces import load_settings

log = logging.getLogger(__name__)


def runs_to_start(active: Callable[[list[str]], set[str]]) -> list[dict[str, Any]]:
    """[{run_id, conf}], one per batch in landing or the drop folder that no run has claimed or will claim.

    `active` tells which of these runs wait or work.
    """
    lakehouse = _open()
    warehouse.prepare(lakehouse.settings)
    found = arrivals.new_batches(lakehouse, active)
    for new in found:
        log.info("New batch: %s in %s", new.arrival.batch_date, new.arrival.place)
    return [{"run_id": new.run_id, "conf": {"batch_date": new.arrival.batch_date.isoformat()}} for new in found]


def look_into_drop_folder() -> None:
    """Raise DeliveryRefused naming everything in the drop folder that cannot be read. Other batches go on."""
    settings = load_settings()
    if faults := arrivals.unreadable(settings):
        raise DeliveryRefused("the drop folder", faults, f"Correct or remove it; the folder is {settings.drop_dir}.")


def claim_batch(batch_date: str, run_id: str) -> list[str]:
    """Land the drop folder's content for a day and claim the batch for a run; return the names of the claimed arrivals.

    An unchanged file is landed only once. Raises DeliveryRefused with all faults of the delivery, and
    ConfigurationError if no batch can have this date.
    """
    lakehouse = _open()
    day = _possible(date.fromisoformat(batch_date))
    settings = lakehouse.settings
    warehouse.prepare(settings)
    # Claim each batch before reading it: if its content changes afterwards, it is a new batch.
    if settings.drop_dir is not None and (dropped := arrivals.not_yet_landed(lakehouse, day)):
        arrivals.claim(lakehouse, dropped, run_id)
        for landed in landing.land(lakehouse, [settings.drop_dir], log=log.info, only=day):
            log.info("Landed from the drop folder: %s", ", ".join(landed.changed) or "nothing new")
        arrivals.claim(lakehouse, dropped, arrivals.LANDED)
    in_landing = arrivals.landed(settings, day)
    arrivals.claim(lakehouse, in_landing, run_id)
    return [arrival.name for arrival in in_landing]


def _possible(day: date) -> date:
    try:
        return dates.check(day)
    except ValueError as error:
        raise ConfigurationError(f"{error}. Trigger the run with the day that was meant.") from None


def due_tables(batch_date: str) -> list[dict[str, str]]:
    """[{table, batch_date}], one per table that is due in a batch, largest first; empty if nothing is due."""
    lakehouse = _open()
    day = date.fromisoformat(batch_date)
    manifest = read_manifest(lakehouse, day)
    if manifest is None:
        log.info("No batch of %s was landed: an empty day.", day)
        return []
    load.ensure_tables(lakehouse)
    # Probe a new store once, in this task; otherwise each of the following tasks would do so.
    ensure_conformance(lakehouse.settings, *LAYERS)
    due = pipeline.pending_now(lakehouse, batch_date=day)
    for unit in due:
        log.info("%s is due from %s on: %s", unit.table, unit.step, unit.why)
    log.info("The batch of %s: %s tables, %s due", day, len(manifest.tables), len(due))
    return [{"table": unit.table, "batch_date": batch_date} for unit in sorted(due, key=lambda unit: -unit.size)]


def run_step(step: StepName, table: str, batch_date: str) -> dict[str, int]:
    """Run one step for one table and batch if it is due; return the row counts, empty if it was not due.

    Raises BatchHeld if the load does not publish the batch because too many of its records are bad.
    """
    lakehouse = _open()
    day = date.fromisoformat(batch_date)
    results = pipeline.run_step(lakehouse, step, Logged(), table=table, batch_date=day)
    if any(result.is_held for result in results):
        pipeline.stop_if_held(lakehouse, table=table, batch_date=day)
    if not results:
        log.info("%s of %s in batch %s: nothing to do", step, table, day)
    return {name: rows for result in results if result.batch_date == day for name, rows in result.counts.items()}


def reconcile_tables(batch_date: str) -> dict[str, Any] | None:
    """Count a batch's records, and what killed runs left uncounted; {rows, batches} if the marts are due, else None.

    They wait while a table of the batch is not loaded, unless it is held. Raises ReconciliationError naming every
    equation that does not hold.
    """
    lakehouse = _open()
    warehouse.prepare(lakehouse.settings)
    day = date.fromisoformat(batch_date)
    pending = pipeline.pending_now(lakehouse, batch_date=day)
    held = [(unit.table, day) for unit in pending if unit.is_held]
    counts = reconcile.tables(lakehouse, batch_date=day, held=held)
    for of_table in counts:
        log.info("%s", of_table)
    if missing := [unit.table for unit in pending if not unit.is_held]:
        log.info("The marts wait for %s of this batch.", ", ".join(missing))
        return None
    why = marts.pending(lakehouse)
    log.info("The marts are due: %s" if why else "The marts hold everything that was loaded.%s", why or "")
    if why is None:
        return None
    return {
        "batches": sorted({of_table.batch_date.isoformat() for of_table in counts}),
        "rows": sum(of_table.raw for of_table in counts),
    }


def reconcile_facts() -> None:
    """Raise ReconciliationError naming every fact whose rows are not the current keys of its source."""
    reconcile.facts(_open())


def publish_report(path: Path) -> str:
    """Write the report if it is due; return what was done."""
    written = report.run(_open(), path)
    if written is None:
        return "the source has no report"
    return f"{path}, {written.size:,} bytes in {written.seconds:.1f} s" if written.done else f"{path} is up to date"


def publish_docs(folder: Path) -> str:
    """Create dbt's page about the models; return its path."""
    return str(dbt_docs.publish(load_settings(), folder))


def clean_up() -> dict[str, Any]:
    """Do what `lakehouse maintain` does; return its counts."""
    lakehouse = _open()
    done = maintain.maintain(lakehouse, log.info)
    for name, rows in done.warnings:
        log.warning("%s: %s rows against it", name, f"{rows:,}")
    return {
        "files_merged": done.files_merged,
        "files_removed": done.files_removed,
        "tables_analysed": done.tables_analysed,
        "leftovers": list(done.leftovers),
        "changed_keys_removed": done.changed_keys_removed,
        "tests": done.tests,
    }


class Logged:
    """Writes a run's progress to the log (a steps.Observer)."""

    def planned(self, pending: list[Pending]) -> None:
        """Log nothing, since each step logs its own start."""

    def started(self, step: StepName, table: str, batch_date: date) -> None:
        log.info("%s of %s in batch %s begins", step, table, batch_date)

    def finished(self, result: StepResult) -> None:
        counts = ", ".join(f"{rows:,} {name}" for name, rows in result.counts.items()) or "no rows"
        log.info(
            "%s of %s in batch %s: %s; %.1f s", result.step, result.table, result.batch_date, counts, result.seconds
        )

    def model(self, name: str, rows: int | None, seconds: float) -> None:
        log.info("%s: %s; %.1f s", name, "finished" if rows is None else f"{rows:,} rows", seconds)

    def note(self, text: str) -> None:
        log.info("%s", text)


def _open() -> Lakehouse:
    return Lakehouse.open(load_settings())
