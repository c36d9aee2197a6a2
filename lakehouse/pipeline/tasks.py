"""What an orchestrator calls: a function per task, with dates and names as text, so that they can be handed from one
task to the next. Each may be called again: what is done already stays as it is. They log what they do, with counts.

    runs_to_start           which of the batches that arrived are news
    look_into_drop_folder   what lies there and cannot be read
    prepare_batch           lands a dropped delivery, names the tables of the batch that are due
    run_step                bronze, silver or load of one table
    reconcile_tables        every record of what was loaded
    reconcile_facts         the marts with what was loaded
    publish_docs            dbt's pages of the models
    clean_up                the weekly maintenance
"""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path
from typing import Any

from lakehouse import warehouse
from lakehouse.errors import DeliveryRefused
from lakehouse.lake.conformance import ensure_conformance
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import step as landing
from lakehouse.landing.manifest import read_manifest
from lakehouse.load import step as load
from lakehouse.marts import dbt_docs
from lakehouse.marts import step as marts
from lakehouse.pipeline import arrivals, maintain, reconcile
from lakehouse.pipeline import run as pipeline
from lakehouse.settings import LAYERS
from lakehouse.steps import Pending, StepName, StepResult
from lakehouse.workspaces import load_settings

log = logging.getLogger(__name__)


def runs_to_start() -> list[dict[str, Any]]:
    """[{trigger_run_id, conf}]: a run for each batch in landing or the drop folder that no run has begun with."""
    lakehouse = _open()
    warehouse.prepare(lakehouse.settings)
    found = arrivals.new_batches(lakehouse)
    for news in found:
        log.info("News: the batch of %s in %s", news.arrival.batch_date, news.arrival.place)
    return [
        {"trigger_run_id": news.run_id, "conf": {"batch_date": news.arrival.batch_date.isoformat()}} for news in found
    ]


def look_into_drop_folder() -> None:
    """Raises DeliveryRefused with all that lies there and cannot be looked into; other batches go on."""
    settings = load_settings()
    if faults := arrivals.unreadable(settings):
        raise DeliveryRefused("the drop folder", faults, f"Correct or remove it; the folder is {settings.drop_dir}.")


def prepare_batch(batch_date: str, run_id: str) -> list[dict[str, str]]:
    """[{table, batch_date}] of what is due in a batch, largest first; empty without a batch, or when all is done.

    What the drop folder holds for the day is landed first, once as it is. Raises DeliveryRefused with all its faults.
    """
    lakehouse = _open()
    day = date.fromisoformat(batch_date)
    settings = lakehouse.settings
    warehouse.prepare(settings)
    # Each before it is read: what changes afterwards is news.
    if settings.drop_dir is not None and (dropped := arrivals.not_yet_landed(lakehouse, day)):
        arrivals.claim(lakehouse, dropped, run_id)
        for landed in landing.land(lakehouse, [settings.drop_dir], log=log.info, only=day):
            log.info("Landed from the drop folder: %s", ", ".join(landed.changed) or "nothing new")
        arrivals.claim(lakehouse, dropped, arrivals.LANDED)
    arrivals.claim(lakehouse, arrivals.landed(settings, day), run_id)
    manifest = read_manifest(lakehouse, day)
    if manifest is None:
        log.info("No batch of %s was landed: an empty day.", day)
        return []
    load.ensure_tables(lakehouse)
    # Now, by one task: the many that follow would all probe a store that is new to them.
    ensure_conformance(settings, *LAYERS)
    due = pipeline.pending_now(lakehouse, batch_date=day)
    for unit in due:
        log.info("%s is due from %s on: %s", unit.table, unit.step, unit.why)
    log.info("The batch of %s: %s tables, %s due", day, len(manifest.tables), len(due))
    return [{"table": unit.table, "batch_date": batch_date} for unit in sorted(due, key=lambda unit: -unit.size)]


def run_step(step: StepName, table: str, batch_date: str) -> dict[str, int]:
    """Bring one table of one batch one layer further, if that is what is due; the rows counted, none if it was not."""
    lakehouse = _open()
    day = date.fromisoformat(batch_date)
    results = pipeline.run_step(lakehouse, step, Logged(), table=table, batch_date=day)
    if not results:
        log.info("%s of %s in batch %s: nothing to do", step, table, day)
    return {name: rows for result in results for name, rows in result.counts.items()}


def reconcile_tables() -> dict[str, Any] | None:
    """Count the records of all that was loaded and not counted yet; {rows, batches} if the marts are behind, else None.

    Raises ReconciliationError naming every equation that does not hold.
    """
    lakehouse = _open()
    warehouse.prepare(lakehouse.settings)
    counts = reconcile.tables(lakehouse)
    for of_table in counts:
        log.info("%s", of_table)
    why = marts.pending(lakehouse)
    log.info("The marts are due: %s" if why else "The marts hold everything that was loaded.%s", why or "")
    if why is None:
        return None
    return {
        "batches": sorted({of_table.batch_date.isoformat() for of_table in counts}),
        "rows": sum(of_table.raw for of_table in counts),
    }


def reconcile_facts() -> None:
    """Raises ReconciliationError naming every fact whose rows are not the current keys of its source."""
    reconcile.facts(_open())


def publish_docs(folder: Path) -> str:
    """Where dbt's pages are afterwards."""
    return str(dbt_docs.publish(load_settings(), folder))


def clean_up() -> dict[str, Any]:
    """What `lakehouse maintain` does; its counts."""
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
    """Sees a run while it runs (steps.Observer), as lines of the log."""

    def planned(self, pending: list[Pending]) -> None:
        """Each says so itself when it begins."""

    def started(self, step: StepName, table: str, batch_date: date) -> None:
        log.info("%s of %s in batch %s begins", step, table, batch_date)

    def finished(self, result: StepResult) -> None:
        counts = ", ".join(f"{rows:,} {name}" for name, rows in result.counts.items()) or "no rows"
        log.info(
            "%s of %s in batch %s: %s; %.1f s", result.step, result.table, result.batch_date, counts, result.seconds
        )

    def model(self, name: str, rows: int | None, seconds: float) -> None:
        log.info("%s: %s; %.1f s", name, "through" if rows is None else f"{rows:,} rows", seconds)

    def note(self, text: str) -> None:
        log.info("%s", text)


def _open() -> Lakehouse:
    return Lakehouse.open(load_settings())
