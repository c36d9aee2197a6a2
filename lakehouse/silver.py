"""bronze -> `silver/<source>/<table>`, typed and unique, and `silver/quarantine/<source>/<table>`; per table and batch.

Two Spark jobs for a batch without faults: one types, grades and counts all rows and keeps the result in memory, one
writes it. Quarantine is committed before the table, the ledger comes last: whatever a killed run leaves is replaced.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from lakehouse import bronze, ledger
from lakehouse.contract import TableContract
from lakehouse.errors import LakehouseError, ReconciliationError
from lakehouse.ledger import Entry, StepResult, read_ledger
from lakehouse.manifest import Manifest
from lakehouse.partition import TABLE_PROPERTIES, Partition, read_partition, replace_partition
from lakehouse.settings import Settings
from lakehouse.store import Store, open_store

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from lakehouse.contract import Contract

RULE_VERSION = 1

# Up to this many rows one task is faster than several with a shuffle between them, and so is a commit by delta-rs: that
# of Spark takes one to two seconds whatever the size. The table's lock keeps the two from writing at once.
ROWS_FOR_ONE_TASK = 50_000


def expected_fingerprint(table: TableContract, manifest: Manifest) -> str:
    """Of this batch's partition, as it has to be."""
    return ledger.fingerprint(bronze.expected_fingerprint(table, manifest), table, RULE_VERSION)


def run(
    settings: Settings, contract: Contract, table: TableContract, manifest: Manifest, spark: SparkSession
) -> StepResult:
    """Bring a table's batch from bronze to silver; nothing if that is done. The caller holds the table's lock.

    Counts: bronze = duplicates + superseded + quarantined + silver. A withdrawn table has an empty partition.
    Raises LakehouseError if bronze does not hold what the manifest names, ReconciliationError if rows went missing.
    """
    begin = time.monotonic()
    store, key, day = open_store(settings, "silver"), f"{contract.source}/{table.name}", manifest.batch_date
    fingerprint = expected_fingerprint(table, manifest)
    known = read_ledger(store, key)
    if known.is_done(day, fingerprint):
        return StepResult("silver", table.name, day, False, known.entries[day].counts, 0.0, {})

    bronze_store = open_store(settings, "bronze")
    _require_bronze(bronze_store, key, table, manifest)
    source, file_name = read_partition(bronze_store, key, day), _file_name(manifest, table)
    batch = _Batch(spark, store, _as_of(table, day), key, day, source, file_name)
    ledger.begin(store, key, day)
    entry, phases = batch.replace(fingerprint)
    ledger.record(store, key, day, entry)
    return StepResult("silver", table.name, day, True, entry.counts, time.monotonic() - begin, phases)


def _require_bronze(store: Store, key: str, table: TableContract, manifest: Manifest) -> None:
    expected = bronze.expected_fingerprint(table, manifest)
    if not read_ledger(store, key).is_done(manifest.batch_date, expected):
        raise LakehouseError(
            f"Bronze does not hold {key.replace('/', '.')} of {manifest.batch_date} as it was landed.\n"
            "Run `lakehouse bronze` first, or `lakehouse run` for all steps."
        )


def _as_of(table: TableContract, day: date) -> TableContract:
    """The table with the rules of that day: a column is not required before the day from which it is demanded."""
    demanded = table.demanded_columns(day)
    columns = tuple(
        column
        if column.name in demanded
        else replace(column, rules=tuple(rule for rule in column.rules if rule.check != "required"))
        for column in table.columns
    )
    return replace(table, columns=columns)


def _file_name(manifest: Manifest, table: TableContract) -> str:
    delivered = manifest.tables.get(table.name)
    return delivered.name if delivered else ""


class _Batch:
    """One table's batch on its way from bronze to silver."""

    def __init__(
        self,
        spark: SparkSession,
        store: Store,
        table: TableContract,
        key: str,
        day: date,
        source: Partition,
        file_name: str,
    ) -> None:
        self._spark = spark
        self._store = store
        self._table = table
        self._key = key
        self._day = day
        self._source = source
        self._file_name = file_name

    def replace(self, fingerprint: str) -> tuple[Entry, dict[str, float]]:
        """Write both partitions anew; the counts of what was written and the seconds it took."""
        from lakehouse import grading  # pyspark takes half a second to import

        started = time.monotonic()
        sent = self._sent_rows()
        distinct = grading.distinct_rows(sent, self._table).persist()
        try:
            counts, warnings = self._count(distinct)
            counted = time.monotonic()
            kept = distinct.where("_is_valid")
            quarantine = grading.faulty_rows(sent, self._table) if counts["quarantined"] else None
            if counts["superseded"]:
                newest = grading.newest_per_key(distinct, self._table)
                kept = newest.where("_is_newest")
                warnings = self._warnings(kept)
                superseded = grading.superseded_rows(sent, newest, self._table)
                quarantine = quarantine.unionByName(superseded) if quarantine else superseded
            self._write_quarantine(quarantine, counts["quarantined"] + counts["superseded"])
            quarantined = time.monotonic()
            self._write_silver(kept, counts["silver"])
        finally:
            distinct.unpersist()
        phases = {
            "grade": counted - started,
            "quarantine": quarantined - counted,
            "write": time.monotonic() - quarantined,
        }
        return Entry(fingerprint, counts, warnings), phases

    def _sent_rows(self) -> DataFrame:
        """The batch's rows in bronze, all contract columns as text; null in a column that bronze does not have yet."""
        schema = ", ".join([*(f"`{name}` string" for name in self._table.column_names), "_row bigint"])
        if not self._source.files:
            return self._spark.createDataFrame([], schema)
        rows = self._spark.read.schema(schema).parquet(*self._source.files)
        return rows.coalesce(1) if self._source.rows <= ROWS_FOR_ONE_TASK else rows

    def _count(self, distinct: DataFrame) -> tuple[dict[str, int], dict[str, int]]:
        """Rows by grade and warnings by reason, in one pass over all rows."""
        from lakehouse import grading

        aggregates = grading.counts_of(distinct, self._table)
        reasons = grading.warnings_of(self._table)
        row = distinct.agg(*aggregates.values(), *reasons.values()).collect()[0]
        found = dict(zip([*aggregates, *reasons], (int(value or 0) for value in row), strict=True))
        if found["bronze"] != self._source.rows:
            raise ReconciliationError(
                f"{self._key} of {self._day}: bronze holds {self._source.rows} rows, Spark read {found['bronze']}."
            )
        kept = found["keys"] if self._table.key else found["valid"]
        counts = {
            "bronze": found["bronze"],
            "duplicates": found["duplicates"],
            "superseded": found["valid"] - kept,
            "quarantined": found["quarantined"],
            "silver": kept,
        }
        return counts, {reason: found[reason] for reason in reasons if found[reason]}

    def _warnings(self, kept: DataFrame) -> dict[str, int]:
        """Warnings by reason, of these rows only."""
        from lakehouse import grading

        reasons = grading.warnings_of(self._table)
        if not reasons:
            return {}
        row = kept.agg(*reasons.values()).collect()[0]
        return {reason: int(value) for reason, value in zip(reasons, row, strict=True) if value}

    def _write_quarantine(self, rows: DataFrame | None, expected: int) -> None:
        """Replace the batch's partition; no commit where there was nothing and there is nothing."""
        key = f"quarantine/{self._key}"
        if rows is None and read_partition(self._store, key, self._day).rows == 0:
            return
        if rows is None:
            rows = self._spark.createDataFrame([], "_row bigint, reasons array<string>, record string")
        self._write(key, rows, ["reasons", "record"], expected)

    def _write_silver(self, rows: DataFrame, expected: int) -> None:
        """Replace the batch's partition."""
        self._write(self._key, rows, list(self._table.column_names), expected)

    def _write(self, key: str, rows: DataFrame, columns: list[str], expected: int) -> None:
        """One atomic replace of the batch's partition, made sure of by the row counts in the table's log."""
        from pyspark.sql import functions as sf

        lineage = [
            sf.lit(self._file_name).alias("_source_file"),
            sf.col("_row"),
            sf.lit(self._day).alias("_batch_date"),
        ]
        contents = [sf.col(name) for name in columns]
        chosen = [*lineage, *contents] if key.startswith("quarantine/") else [*contents, *lineage]
        start_over = self._changes_a_type(key)
        if start_over:
            self._forget_all_batches()
        if expected <= ROWS_FOR_ONE_TASK:
            replace_partition(self._store, key, rows.select(*chosen).toArrow(), self._day, start_over=start_over)
        else:
            self._write_by_spark(key, rows.select(*chosen), start_over)
        written = read_partition(self._store, key, self._day).rows
        if written != expected:
            raise ReconciliationError(f"{key} of {self._day}: {expected} rows were to be written, {written} are there.")

    def _write_by_spark(self, key: str, rows: DataFrame, start_over: bool) -> None:
        """Its tasks write the files: these rows need not fit into this process."""
        options = {**TABLE_PROPERTIES, "delta.feature.timestampNtz": "supported"}
        if start_over:
            options["overwriteSchema"] = "true"
        else:
            options |= {"mergeSchema": "true", "replaceWhere": f"_batch_date = '{self._day.isoformat()}'"}
        writer = rows.write.format("delta").mode("overwrite").options(**options)
        writer.partitionBy("_batch_date").save(self._store.spark_url(key))

    def _changes_a_type(self, key: str) -> bool:
        """Whether the table in the lake has a column of a type that the contract gave up: it has to start over."""
        there = read_partition(self._store, key, self._day).columns
        wanted = {field.name: str(field.type) for field in self._table.arrow_schema}
        return key == self._key and any(there.get(name, kind) != kind for name, kind in wanted.items())

    def _forget_all_batches(self) -> None:
        """Of a table that starts over: its other batches are due anyway, as the contract's rules have changed."""
        for day in read_ledger(self._store, self._key).entries:
            ledger.begin(self._store, self._key, day)
