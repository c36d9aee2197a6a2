"""bronze -> `silver/<source>/<table>`, typed and unique, and `silver/quarantine/<source>/<table>`; per table and batch.

A small batch takes one Spark job, and this process commits the result. A large batch takes several jobs: the first one
types, grades and counts all rows and keeps the result in memory, and the second one writes the result. Invalid or
superseded rows take more jobs. Quarantine is committed before the table, and the ledger is written last, so the next
run replaces whatever a killed run left.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.contract.model import TableContract
from lakehouse.errors import LakehouseError, ReconciliationError, SparkError
from lakehouse.lake import ledger
from lakehouse.lake.delta import Partition, read_partition
from lakehouse.lake.ledger import Entry, read_ledger
from lakehouse.lake.places import table_path
from lakehouse.lake.store import Store
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing.manifest import Manifest
from lakehouse.silver import rebuild
from lakehouse.silver.partition import SilverPartition
from lakehouse.spark.errors import explained, spark_errors
from lakehouse.steps import StepResult, expected

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Up to this size a batch is small: one task and one commit by this process are faster than shuffles and a commit by
# Spark, and the rows fit into the heap. The bytes are those delivered, since a repetitive gigabyte takes only a few
# megabytes in bronze.
SMALL_ROWS = 200_000
SMALL_BYTES = 64 * 1024 * 1024
# Where Spark must make the commit, the rows come here only to go back. That is worth it for a day's batch, not for a
# history.
SMALL_ROWS_RETURNED = 20_000
SMALL_BYTES_RETURNED = 4 * 1024 * 1024


def run(lakehouse: Lakehouse, table: TableContract, manifest: Manifest, spark: SparkSession) -> StepResult:
    """Make a table's batch in silver from bronze, unless it is up to date. The caller holds the table's lock.

    The counts satisfy bronze = duplicates + superseded + quarantined + silver. A withdrawn table gets an empty
    partition. While the table's types are not the contract's, the batch goes into a new table beside it (rebuild.py).
    Raises LakehouseError if bronze does not contain what the manifest names, SparkError or StoreError if the work
    cannot be done, and ReconciliationError if rows are missing.
    """
    begin = time.monotonic()
    store, own_path, day = lakehouse.silver, table_path(table), manifest.batch_date
    fingerprint = expected(table, manifest)["silver"]
    known = read_ledger(store, own_path)
    if known.is_done(day, fingerprint):
        return StepResult("silver", table.name, day, False, known.entries[day].counts, 0.0, {})
    phases: dict[str, float] = {}
    try:
        path = rebuild.path_to_write(store, table)
        made = read_ledger(store, path) if path != own_path else known
        if made.is_done(day, fingerprint):
            entry = made.entries[day]
        else:
            entry, phases = _make(lakehouse, table, manifest, path, spark)
        if path != own_path:
            rebuild.swap_in(lakehouse, table, path, spark)
    except spark_errors() as error:
        raise SparkError(
            f"{lakehouse.contract.source}.{table.name} of {day} could not be brought to silver: "
            f"{explained(error, lakehouse.settings)}\n"
            "Then run the same command again: it replaces what this one wrote."
        ) from error
    return StepResult("silver", table.name, day, True, entry.counts, time.monotonic() - begin, phases)


def _make(
    lakehouse: Lakehouse, table: TableContract, manifest: Manifest, path: str, spark: SparkSession
) -> tuple[Entry, dict[str, float]]:
    """Replace the batch in the silver table at `path`; return the entry, which is recorded, and the phases' seconds."""
    store, day, fingerprints = lakehouse.silver, manifest.batch_date, expected(table, manifest)
    _require_bronze(lakehouse.bronze, table_path(table), day, fingerprints["bronze"])
    table_then = _as_of(table, day)
    delivered = manifest.tables.get(table.name)
    target = SilverPartition(spark, store, table_then, path, day, delivered.name if delivered else "")
    source = read_partition(lakehouse.bronze, table_path(table), day)
    # The quarantine is replaced, too, which the entry of the table itself speaks of.
    for entry_of in {path, table_path(table)}:
        ledger.begin(store, entry_of, day)
    batch = _Batch(spark, table_then, source, target)
    is_small = _is_small(target.delta_rs_may_write, source.rows, delivered.size if delivered else 0)
    entry, phases = (batch.replace_small if is_small else batch.replace_large)(fingerprints["silver"])
    ledger.record(store, path, day, entry)
    return entry, phases


def _is_small(delta_rs_may_write: bool, rows: int, size: int) -> bool:
    if delta_rs_may_write:
        return rows <= SMALL_ROWS and size <= SMALL_BYTES
    return rows <= SMALL_ROWS_RETURNED and size <= SMALL_BYTES_RETURNED


def _require_bronze(store: Store, path: str, day: date, fingerprint: str) -> None:
    if not read_ledger(store, path).is_done(day, fingerprint):
        raise LakehouseError(
            f"Bronze does not hold {path.replace('/', '.')} of {day} as it was landed.\n"
            "Run `lakehouse bronze` first, or `lakehouse run` for all steps."
        )


def _as_of(table: TableContract, day: date) -> TableContract:
    """The table with the rules that apply on this day: a column is not required before the day in its `since`."""
    demanded = table.demanded_columns(day)
    columns = tuple(
        column
        if column.name in demanded
        else replace(column, rules=tuple(rule for rule in column.rules if rule.check != "required"))
        for column in table.columns
    )
    return replace(table, columns=columns)


class _Batch:
    """One table's batch on its way from bronze (`source`) to silver (`target`).

    `replace_small` and `replace_large` have the same result: both replace the silver and the quarantine partition. They
    return the ledger's entry, with the counts, and the seconds that each phase took.
    """

    def __init__(self, spark: SparkSession, table: TableContract, source: Partition, target: SilverPartition) -> None:
        self._spark = spark
        self._table = table
        self._source = source
        self._target = target

    def replace_small(self, fingerprint: str) -> tuple[Entry, dict[str, float]]:
        from lakehouse.silver import rules

        started = time.monotonic()
        graded = rules.graded_rows(self._sent_rows().coalesce(1), self._table).toArrow()
        self._check_read(graded.num_rows)
        of_grade = {
            grade: graded.filter(pc.equal(graded["_grade"], grade))
            for grade in (rules.DUPLICATE, rules.SUPERSEDED, rules.INVALID, rules.ACCEPTED)
        }
        counts = dict(
            zip(("duplicates", "superseded", "quarantined", "silver"), map(len, of_grade.values()), strict=True)
        )
        kept = of_grade[rules.ACCEPTED]
        warnings = Counter(reason for reasons in kept["_warnings"].to_pylist() for reason in reasons)
        done = time.monotonic()
        faulty = pa.concat_tables([of_grade[rules.INVALID], of_grade[rules.SUPERSEDED]])
        self._target.write_quarantine(faulty, faulty.num_rows)
        quarantined = time.monotonic()
        self._target.write_silver(kept, kept.num_rows)
        phases = {"grade": done - started, "quarantine": quarantined - done, "write": time.monotonic() - quarantined}
        return Entry(fingerprint, {"bronze": graded.num_rows, **counts}, dict(sorted(warnings.items()))), phases

    def replace_large(self, fingerprint: str) -> tuple[Entry, dict[str, float]]:
        from lakehouse.silver import rules

        started = time.monotonic()
        sent = self._sent_rows()
        distinct = rules.distinct_rows(sent, self._table).persist()
        try:
            counts, warnings = self._count(distinct)
            counted = time.monotonic()
            kept = distinct.where("_is_valid")
            quarantine = rules.invalid_rows(sent, self._table) if counts["quarantined"] else None
            if counts["superseded"]:
                newest = rules.newest_per_key(distinct, self._table)
                kept = newest.where("_is_newest")
                warnings = self._warnings(kept)
                superseded = rules.superseded_rows(sent, newest, self._table)
                quarantine = quarantine.unionByName(superseded) if quarantine else superseded
            self._target.write_quarantine(quarantine, counts["quarantined"] + counts["superseded"])
            quarantined = time.monotonic()
            self._target.write_silver(kept, counts["silver"])
        finally:
            distinct.unpersist()
        phases = {
            "grade": counted - started,
            "quarantine": quarantined - counted,
            "write": time.monotonic() - quarantined,
        }
        return Entry(fingerprint, counts, warnings), phases

    def _sent_rows(self) -> DataFrame:
        """The batch's rows in bronze with all contract columns as text. A column that bronze lacks is null."""
        schema = ", ".join([*(f"`{name}` string" for name in self._table.column_names), "_row bigint"])
        if not self._source.files:
            return self._spark.createDataFrame([], schema)
        return self._spark.read.schema(schema).parquet(*self._source.files)

    def _count(self, distinct: DataFrame) -> tuple[dict[str, int], dict[str, int]]:
        """The numbers of rows by grade and of warnings by reason, counted in one pass over all rows."""
        from lakehouse.silver import rules

        aggregates = rules.counts_of(distinct, self._table)
        reasons = rules.warnings_of(self._table)
        row = distinct.agg(*aggregates.values(), *reasons.values()).collect()[0]
        found = dict(zip([*aggregates, *reasons], (int(value or 0) for value in row), strict=True))
        self._check_read(found["bronze"])
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
        """The number of warnings for these rows, by reason."""
        from lakehouse.silver import rules

        reasons = rules.warnings_of(self._table)
        if not reasons:
            return {}
        row = kept.agg(*reasons.values()).collect()[0]
        return {reason: int(value) for reason, value in zip(reasons, row, strict=True) if value}

    def _check_read(self, rows: int) -> None:
        if rows != self._source.rows:
            raise ReconciliationError(
                f"{self._target.path} of {self._target.day}: bronze holds {self._source.rows} rows, Spark read {rows}."
            )
