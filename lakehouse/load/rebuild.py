"""A type changed in the contract -> the raw table, loaded again beside the old one and swapped in whole.

A table has one type per column, so its batches cannot change one after another. The new table takes the old one's place
in one transaction, once silver has every batch of which the old one has rows. Until then readers see the old history.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from lakehouse.contract.model import TableContract
from lakehouse.errors import LakehouseError
from lakehouse.lake.delta import read_partitions
from lakehouse.lake.ledger import read_ledger
from lakehouse.lake.places import table_path
from lakehouse.lakehouse import Lakehouse
from lakehouse.load import raw_tables
from lakehouse.load.copy import copy_rows
from lakehouse.load.counts import counts_of
from lakehouse.load.held import days_with_rows, held_though_loaded, judge, made_as_landed
from lakehouse.load.publication import LoadedBatch, Publication
from lakehouse.steps import expected

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def is_due(lakehouse: Lakehouse, table: TableContract) -> bool:
    """Whether a column of the raw table has another type than in the contract."""
    with lakehouse.cursor() as cursor:
        return table.name in raw_tables.with_other_types(cursor, lakehouse.contract)


def run(lakehouse: Lakehouse, table: TableContract, spark: SparkSession) -> bool:
    """Load every batch that silver has, and put the new table in the old one's place.

    Returns False, and changes nothing, if a batch is held of which the old table has rows: they stay (held.py). The
    caller holds the table's lock, but not the lock `publish`. Raises LakehouseError if silver lacks a batch of which
    the old table has rows, WarehouseError if rows cannot be copied, and ReconciliationError if rows are missing.
    """
    batches = _batches(lakehouse, table)
    if batches is None:
        return False
    partitions = read_partitions(lakehouse.silver, table_path(table))
    files = [file for batch in batches if batch.day in partitions for file in partitions[batch.day].files]
    raw_tables.drop_leftovers(lakehouse, table)
    staging = raw_tables.create_staging(lakehouse, table, has_whole_table=True)
    tasks = copy_rows(lakehouse, table, spark, files, staging) if files else []
    with lakehouse.lock("publish") as publishing, lakehouse.cursor() as cursor:
        publishing.fence(cursor)
        Publication(cursor, lakehouse.contract, table).replace_table(batches, staging, tasks)
    return True


def _batches(lakehouse: Lakehouse, table: TableContract) -> list[LoadedBatch] | None:
    """What the new table will hold; None if a batch is held of which the old table has rows."""
    if held_though_loaded(lakehouse, table):
        return None
    made, loaded = read_ledger(lakehouse.silver, table_path(table)), days_with_rows(lakehouse, table)
    batches: list[LoadedBatch] = []
    missing: list[date] = []
    for day in sorted({*made.entries, *loaded}):
        current = made_as_landed(lakehouse, table, made, day)
        if current is None:
            missing += [day] if day in loaded else []
        elif judge(lakehouse, table, *current) is None:
            manifest, entry = current
            counts = counts_of(manifest.tables[table.name], entry)
            batches.append(LoadedBatch(day, expected(table, manifest)["load"], entry.counts["silver"], counts))
    if missing:
        raise LakehouseError(
            f"{lakehouse.contract.raw_schema}.{table.name} has rows of batches that silver does not hold with the "
            f"contract's types ({', '.join(map(str, missing))}). The table stays as it is.\n"
            "Run `lakehouse run`, which makes them. If they are no longer in landing, land them again, or undo the "
            "change of the type in the contract."
        )
    return batches
