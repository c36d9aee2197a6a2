"""Graded rows of a batch -> the batch's partition of a table in the silver layer, replaced in one commit.

delta-rs commits an Arrow table in milliseconds. Spark, whose tasks write the files, takes one to two seconds to commit
a DataFrame of any size. The table's lock keeps delta-rs and Spark from writing at the same time. Where Spark's commit
is not atomic (S3 with Delta's own log store), Spark makes every commit, since a killed client's job may still be
running in the Connect server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse.contract.model import TableContract
from lakehouse.errors import ReconciliationError
from lakehouse.lake.delta import TABLE_PROPERTIES, read_partition, replace_partition
from lakehouse.lake.places import quarantine_path
from lakehouse.lake.store import Store

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

QUARANTINE = "_source_file string, _row bigint, _batch_date date, reasons array<string>, record string"
# A table that Spark makes. Its timestamps have no time zone.
SPARK_PROPERTIES = {**TABLE_PROPERTIES, "delta.feature.timestampNtz": "supported"}
# Delta's setting for the log store on S3, and its value in images that contain the log store of spark/java.
LOG_STORE_OF_S3A, CONDITIONAL_LOG_STORE = "spark.delta.logStore.s3a.impl", "lakehouse.ConditionalLogStore"


def commits_atomically(store: Store, session: Callable[[], SparkSession]) -> bool:
    """Whether Spark's commit to a table in this store never overwrites another commit. Only if so may delta-rs write.

    True for a folder, and for S3 with the log store of spark/java, which the stack's Connect server has.
    """
    return store.spark_commits_atomically or session().conf.get(LOG_STORE_OF_S3A, "") == CONDITIONAL_LOG_STORE


@dataclass(frozen=True)
class SilverPartition:
    """A batch's place in silver and in quarantine. `path`: the silver table's path in its layer."""

    spark: SparkSession
    store: Store
    table: TableContract
    path: str
    day: date
    file_name: str

    @cached_property
    def delta_rs_may_write(self) -> bool:
        """Whether this process commits small batches. If not, it sends their rows back to Spark, which commits them."""
        return commits_atomically(self.store, lambda: self.spark)

    def write_silver(self, rows: DataFrame | pa.Table, expected: int) -> None:
        """Replace the silver partition with these rows, which have the contract columns and `_row`."""
        names = [*self.table.column_names, "_source_file", "_row", "_batch_date"]
        self._write(self.path, rows, names, expected)

    def write_quarantine(self, rows: DataFrame | pa.Table | None, expected: int) -> None:
        """Replace the quarantine partition with these rows, which have `_row`, `_reasons` and `_record`.

        Commits nothing if the partition is empty and stays empty.
        """
        if rows is None or not expected:
            if not read_partition(self.store, quarantine_path(self.table), self.day).rows:
                return
            rows = pa.schema(
                [("_row", pa.int64()), ("_reasons", pa.list_(pa.string())), ("_record", pa.string())]
            ).empty_table()
        if isinstance(rows, pa.Table):
            rows = rows.select(["_row", "_reasons", "_record"]).rename_columns(["_row", "reasons", "record"])
        else:
            rows = rows.withColumnsRenamed({"_reasons": "reasons", "_record": "record"})
        names = ["_source_file", "_row", "_batch_date", "reasons", "record"]
        self._write(quarantine_path(self.table), rows, names, expected)

    def _write(self, key: str, rows: DataFrame | pa.Table, names: list[str], expected: int) -> None:
        """Replace a partition atomically, then check the row count in the table's log."""
        if isinstance(rows, pa.Table):
            lineage = {
                "_source_file": pa.repeat(pa.scalar(self.file_name, pa.string()), rows.num_rows),
                "_batch_date": pa.repeat(pa.scalar(self.day, pa.date32()), rows.num_rows),
            }
            complete = pa.table([lineage[name] if name in lineage else rows[name] for name in names], names=names)
            if self.delta_rs_may_write:
                replace_partition(self.store, key, complete, self.day)
            else:
                schema = self.table.spark_schema if key == self.path else QUARANTINE
                one_file = self.spark.createDataFrame(complete, schema).coalesce(1)
                self._commit_by_spark(key, one_file)
        else:
            self._write_by_spark(key, rows, names)
        written = read_partition(self.store, key, self.day).rows
        if written != expected:
            raise ReconciliationError(f"{key} of {self.day}: {expected} rows were to be written, {written} are there.")

    def _write_by_spark(self, key: str, rows: DataFrame, names: list[str]) -> None:
        from pyspark.sql import functions as sf  # pyspark takes half a second to import

        lineage = {"_source_file": sf.lit(self.file_name), "_batch_date": sf.lit(self.day)}
        complete = rows.select(*(lineage[name].alias(name) if name in lineage else sf.col(name) for name in names))
        self._commit_by_spark(key, complete)

    def _commit_by_spark(self, key: str, complete: DataFrame) -> None:
        options = {**SPARK_PROPERTIES, "mergeSchema": "true", "replaceWhere": f"_batch_date = '{self.day.isoformat()}'"}
        writer = complete.write.format("delta").mode("overwrite").options(**options)
        writer.partitionBy("_batch_date").save(self.store.spark_url(key))
