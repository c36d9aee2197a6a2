"""A type changed in the contract -> the silver table, made again beside the old one and swapped in whole.

A Delta table has one type per column, so the batches of a table cannot change one after another. Until the last batch
that the table holds is made again, readers see the old history; one commit then replaces it. What is already made
beside it survives a killed run. The folder of the new table is named after the version of the old one, so a later
change of a type begins in another folder.
"""

from __future__ import annotations

import hashlib
from datetime import date
from typing import TYPE_CHECKING

from lakehouse.contract.model import TableContract
from lakehouse.errors import LakehouseError, ReconciliationError
from lakehouse.lake import ledger
from lakehouse.lake.delta import column_types, open_table, read_partitions
from lakehouse.lake.ledger import read_ledger
from lakehouse.lake.places import rebuilding_path, table_path
from lakehouse.lake.store import Store
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing.manifest import read_manifest
from lakehouse.silver.partition import SPARK_PROPERTIES
from lakehouse.steps import expected

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def is_due(store: Store, table: TableContract) -> bool:
    """Whether a column of the table in silver has another type than in the contract."""
    return _path_beside(store, table) is not None


def path_to_write(store: Store, table: TableContract) -> str:
    """Where batches go now: the table's own path or, while a type differs, that of the new table beside it."""
    return _path_beside(store, table) or table_path(table)


def swap_in(lakehouse: Lakehouse, table: TableContract, path: str, spark: SparkSession) -> None:
    """Replace the table by the one at `path`, in one commit, if that has every batch of which the table has rows.

    The caller holds the table's lock. Raises LakehouseError if a batch is missing that cannot be made again.
    """
    store, own_path = lakehouse.silver, table_path(table)
    made, needed = read_ledger(store, path), _rows(store, own_path)
    missing = [day for day in needed if day not in made.entries]
    if any(_expected(lakehouse, table, day) for day in missing):
        return
    if missing:
        raise LakehouseError(
            f"silver {own_path} holds batches that are no longer in landing ({', '.join(map(str, missing))}), so they "
            "cannot be made again with the types of the contract. The table stays as it is.\n"
            "Land these batches again, or undo the change of the type in the contract."
        )
    if not all(made.is_done(day, _expected(lakehouse, table, day) or "") for day in needed):
        return
    ledger.forget_all(store, own_path)
    rows = _rows(store, path)
    _replace(store.spark_url(own_path), store.spark_url(path), spark)
    there = _rows(store, own_path)
    if there != rows:
        raise ReconciliationError(f"{own_path}: {rows} rows per batch were to be written, {there} are there.")
    ledger.record_all(store, own_path, made.entries)
    drop_leftovers(store, table)


def drop_leftovers(store: Store, table: TableContract) -> None:
    """Delete what was made beside the table and is not needed: it was swapped, or the type was changed back."""
    kept = _path_beside(store, table)
    for key in store.keys(rebuilding_path(table)):
        if kept is None or not key.startswith(f"{kept}/"):
            store.delete(key)


def _path_beside(store: Store, table: TableContract) -> str | None:
    """The path of the new table; None if the table has the contract's types, or if there is no table yet."""
    old = open_table(store, table_path(table))
    if old is None:
        return None
    there = column_types(old)
    wanted = {field.name: str(field.type) for field in table.arrow_schema}
    if all(there.get(name, kind) == kind for name, kind in wanted.items()):
        return None
    types = hashlib.sha256(repr(sorted(wanted.items())).encode()).hexdigest()
    return f"{rebuilding_path(table)}/{old.version()}-{types[:8]}"


def _expected(lakehouse: Lakehouse, table: TableContract, day: date) -> str | None:
    """The fingerprint of the table's batch in silver; None if the batch is not in landing."""
    manifest = read_manifest(lakehouse, day)
    return expected(table, manifest)["silver"] if manifest and table.name in manifest.tables else None


def _rows(store: Store, path: str) -> dict[date, int]:
    """Batch date -> rows, without batches that have none."""
    return {day: batch.rows for day, batch in read_partitions(store, path).items() if batch.rows}


def _replace(own_url: str, url: str, spark: SparkSession) -> None:
    writer = spark.read.format("delta").load(url).write.format("delta").mode("overwrite")
    writer.options(**SPARK_PROPERTIES, overwriteSchema="true").partitionBy("_batch_date").save(own_url)
