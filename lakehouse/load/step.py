"""silver -> `raw_<source>.<table>`, per table and batch. A batch is replaced in one transaction.

Each call creates its own staging table, into which Spark's tasks copy the rows. The driver then publishes the rows of
the tasks that completed successfully. Readers see either the old batch or the new one. The keys whose rows differ are
added to `ops.changed_keys`.
"""

from __future__ import annotations

import time
from datetime import date
from typing import TYPE_CHECKING

from lakehouse.contract.model import TableContract
from lakehouse.errors import LakehouseError, ReconciliationError
from lakehouse.lake.delta import Partition, read_partition
from lakehouse.lake.ledger import Entry, read_ledger
from lakehouse.lake.places import table_path
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing.manifest import Manifest
from lakehouse.load import raw_tables, rebuild
from lakehouse.load.copy import copy_rows
from lakehouse.load.counts import counts_of, note_held
from lakehouse.load.held import judge, made_as_landed
from lakehouse.load.publication import LoadedBatch, Publication
from lakehouse.steps import StepResult, expected

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def ensure_tables(lakehouse: Lakehouse) -> None:
    """Create the schema raw_<source> and the tables of the contract, unless they already exist."""
    raw_tables.ensure(lakehouse)


def run(lakehouse: Lakehouse, table: TableContract, manifest: Manifest, spark: SparkSession) -> StepResult:
    """Publish a table's batch unless it is up to date, or held (held.py).

    The caller holds the table's lock, but not the lock `publish`.
    The counts satisfy silver = raw. If the table was withdrawn from the batch, none of the batch's rows are left.
    If the type of a column has changed, all batches of the table are published together (rebuild.py).
    Raises LakehouseError if silver does not contain what the manifest names, WarehouseError if rows cannot be copied,
    and ReconciliationError if rows are missing.
    """
    begin = time.monotonic()
    fingerprints = expected(table, manifest)
    day, fingerprint = manifest.batch_date, fingerprints["load"]
    loaded = _rows_loaded(lakehouse, table, day, fingerprint)
    if loaded is not None:
        return _result(table, day, loaded, None, {})
    entry = _silver_entry(lakehouse, table, day, fingerprints["silver"])
    is_held = judge(lakehouse, table, manifest, entry) is not None
    if not is_held and rebuild.is_due(lakehouse, table):
        is_held = not rebuild.run(lakehouse, table, spark)
        loaded = _rows_loaded(lakehouse, table, day, fingerprint)
    if is_held:
        _note_held(lakehouse, table, manifest, entry)
        return StepResult("load", table.name, day, False, {"silver": entry.counts["silver"]}, 0.0, {}, is_held=True)
    if loaded is not None:
        return _result(table, day, loaded, time.monotonic() - begin, {})

    rows = _silver_rows(lakehouse, table, day, entry)
    raw_tables.drop_leftovers(lakehouse, table)
    staging, tasks = None, []
    if rows.rows:
        staging = raw_tables.create_staging(lakehouse, table)
        tasks = copy_rows(lakehouse, table, spark, rows.files, staging)
    copied = time.monotonic()
    batch = LoadedBatch(day, fingerprint, rows.rows, counts_of(manifest.tables.get(table.name), entry))
    with lakehouse.lock("publish") as publishing, lakehouse.cursor() as cursor:
        publishing.fence(cursor)
        Publication(cursor, lakehouse.contract, table).replace_batch(batch, staging, tasks)
    phases = {"copy": copied - begin, "publish": time.monotonic() - copied}
    return _result(table, day, rows.rows, time.monotonic() - begin, phases)


def hold(lakehouse: Lakehouse, table: TableContract, day: date) -> None:
    """Note the counts of a held batch, which is not run, unless they are noted or the batch is due again by now.

    A run may have been killed before it noted them, or silver may have run in a process of its own. The caller holds
    the table's lock.
    """
    made = made_as_landed(lakehouse, table, read_ledger(lakehouse.silver, table_path(table)), day)
    if made and _rows_loaded(lakehouse, table, day, expected(table, made[0])["load"]) is None:
        _note_held(lakehouse, table, *made)


def _note_held(lakehouse: Lakehouse, table: TableContract, manifest: Manifest, entry: Entry) -> None:
    if counts := counts_of(manifest.tables.get(table.name), entry):
        with lakehouse.cursor() as cursor:
            note_held(cursor, table, manifest.batch_date, counts)


def _result(table: TableContract, day: date, rows: int, seconds: float | None, phases: dict[str, float]) -> StepResult:
    """`seconds`: None if there was nothing to do."""
    counts = {"silver": rows, "raw": rows}
    return StepResult("load", table.name, day, seconds is not None, counts, seconds or 0.0, phases)


def _rows_loaded(lakehouse: Lakehouse, table: TableContract, day: date, fingerprint: str) -> int | None:
    """How many rows a batch has if it is already loaded with this fingerprint, and nothing else of it is held."""
    row = lakehouse.one(
        "select loads.rows from ops.load_log as loads "
        "left join ops.batch_counts as counts using (source, table_name, batch_date) "
        "where source = %s and table_name = %s and batch_date = %s and fingerprint = %s and is_current "
        "and counts.is_held is not true",
        *(table.source, table.name, day, fingerprint),
    )
    return row[0] if row else None


def _silver_entry(lakehouse: Lakehouse, table: TableContract, day: date, fingerprint: str) -> Entry:
    done = read_ledger(lakehouse.silver, table_path(table))
    if not done.is_done(day, fingerprint):
        raise LakehouseError(
            f"Silver does not hold {table.source}.{table.name} of {day} as it was landed.\n"
            "Run `lakehouse silver` first, or `lakehouse run` for all steps."
        )
    return done.entries[day]


def _silver_rows(lakehouse: Lakehouse, table: TableContract, day: date, entry: Entry) -> Partition:
    store, path = lakehouse.silver, table_path(table)
    rows = read_partition(store, path, day)
    written = entry.counts["silver"]
    if rows.rows != written:
        raise ReconciliationError(
            f"silver {path} of {day}: {written} rows were written, {rows.rows} are there.\n"
            f"Something else wrote there. Delete {store.url}/{path}/_ledger.json and run again."
        )
    return rows
