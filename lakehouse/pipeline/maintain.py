"""A workspace -> the same data, compacted and checked. Run weekly against what grows or drifts a little every day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg2 import sql

from lakehouse import warehouse
from lakehouse.contract.model import TableContract
from lakehouse.errors import SparkError
from lakehouse.lake.conformance import ensure_conformance
from lakehouse.lake.delta import open_table
from lakehouse.lake.places import quarantine_path, rejected_path, table_path
from lakehouse.lakehouse import Lakehouse
from lakehouse.load import raw_tables
from lakehouse.marts import step as marts
from lakehouse.pipeline import reconcile
from lakehouse.settings import Layer
from lakehouse.silver import rebuild
from lakehouse.silver.partition import commits_atomically
from lakehouse.spark.background import SparkWhenNeeded
from lakehouse.spark.errors import explained, spark_errors

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyspark.sql import SparkSession

# For each layer, the Delta tables of one source table.
DELTA_TABLES: tuple[tuple[Layer, Callable[[TableContract], str]], ...] = (
    ("bronze", table_path),
    ("bronze", rejected_path),
    ("silver", table_path),
    ("silver", quarantine_path),
)


@dataclass(frozen=True)
class Maintenance:
    """What was done: Delta files merged and removed, warehouse tables analysed, leftovers dropped, dbt tests run.

    `tests` is 0 if the marts are not complete; the next run completes them.
    """

    files_merged: int
    files_removed: int
    tables_analysed: int
    leftovers: tuple[str, ...]
    changed_keys_removed: int
    tests: int
    warnings: tuple[tuple[str, int], ...]


def maintain(lakehouse: Lakehouse, note: Callable[[str], None]) -> Maintenance:
    """OPTIMIZE and VACUUM the lake, ANALYZE the warehouse, drop leftovers of killed runs, run every dbt test in full.

    VACUUM keeps files younger than `vacuum_retention_hours`, since a running reader may still need them.
    Raises SparkError if Spark cannot compact a table, MartsError if a test of severity error fails, ReconciliationError
    if a fact has lost rows.
    """
    warehouse.prepare(lakehouse.settings)
    ensure_conformance(lakehouse.settings, "bronze", "silver")
    merged = removed = 0
    leftovers: list[str] = []
    with SparkWhenNeeded(lakehouse.settings) as spark:
        for table in lakehouse.contract.tables:
            with lakehouse.lock_table(table.name):
                rebuild.drop_leftovers(lakehouse.silver, table)
                for layer, path_of in DELTA_TABLES:
                    path = path_of(table)
                    if (layer, path_of) == ("silver", table_path) and rebuild.is_due(lakehouse.silver, table):
                        continue  # what is made beside the table belongs to this version of it
                    note(f"Compacting {layer} {path}")
                    try:
                        added, deleted = _compact(lakehouse, layer, path, spark)
                    except spark_errors() as error:
                        raise SparkError(
                            f"{layer}/{path} could not be compacted: {explained(error, lakehouse.settings)}\n"
                            "Nothing is lost. Then run the same command again."
                        ) from error
                    merged, removed = merged + added, removed + deleted
                leftovers += raw_tables.drop_leftovers(lakehouse, table)
    note("Cleaning up the warehouse")
    with lakehouse.lock("publish"):
        keys = _drop_used_keys(lakehouse)
        analysed = _analyse(lakehouse)
    note("Running every dbt test")
    tested = marts.test(lakehouse)
    if tested.done:
        reconcile.facts(lakehouse, all_keys=True)
    return Maintenance(merged, removed, analysed, tuple(leftovers), keys, tested.tests, tuple(tested.warnings))


def _compact(lakehouse: Lakehouse, layer: Layer, path: str, spark: SparkWhenNeeded) -> tuple[int, int]:
    """Compact one Delta table; return (files merged away, files deleted). Without files to merge, commit nothing.

    delta-rs does the work, except for silver on a store where its commits could overwrite another writer's: Spark
    compacts those tables.
    """
    store = lakehouse.layer(layer)
    table = open_table(store, path)
    if table is None:
        return 0, 0
    hours = lakehouse.settings.vacuum_retention_hours
    if layer == "silver" and not commits_atomically(store, spark.session):
        merged = _optimize_by_spark(spark.session(), store.spark_url(path))
        table.update_incremental()
        deleted = _vacuum(table, hours, dry_run=True)
        if deleted:
            _vacuum_by_spark(spark.session(), store.spark_url(path), hours)
    else:
        merged = int(table.optimize.compact()["numFilesRemoved"])
        deleted = _vacuum(table, hours, dry_run=False)
    table.create_checkpoint()
    return merged, deleted


def _vacuum(table: DeltaTable, hours: int, *, dry_run: bool) -> int:
    """How many data files are (or would be) deleted, including files that a killed writer never committed."""
    files = table.vacuum(retention_hours=hours, dry_run=dry_run, enforce_retention_duration=False, full=True)
    return sum(file.endswith(".parquet") for file in files)  # Hadoop puts a checksum beside each on a local disk


def _optimize_by_spark(spark: SparkSession, url: str) -> int:
    (done,) = spark.sql(f"optimize delta.`{url}`").collect()
    return int(done["metrics"]["numFilesRemoved"])


def _vacuum_by_spark(spark: SparkSession, url: str, hours: int) -> None:
    spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    # Vacuum lists folders in this many tasks; with the default of 10,000 the smallest table takes a minute.
    spark.conf.set("spark.sql.sources.parallelPartitionDiscovery.parallelism", "4")
    spark.sql(f"vacuum delta.`{url}` retain {hours} hours").collect()


def _drop_used_keys(lakehouse: Lakehouse) -> int:
    """Delete the changed keys that the marts already contain; return how many. The caller holds the lock `publish`."""
    with lakehouse.cursor() as cursor:
        cursor.execute(
            """
            delete from ops.changed_keys as used using ops.marts_state as state
            where used.source = %s and state.source = used.source
                and state.status = 'complete' and used.load_id <= state.load_id
            """,
            (lakehouse.contract.source,),
        )
        return int(cursor.rowcount)


def _analyse(lakehouse: Lakehouse) -> int:
    """VACUUM and ANALYZE each table as the role that owns it; return how many. The caller holds `publish`.

    Staging tables are left out, since a running load may drop its staging table at any time.
    """
    found = 0
    for role in ("loader", "transformer"):
        with lakehouse.cursor(role, autocommit=True) as cursor:
            cursor.execute(
                "select schemaname, tablename from pg_tables "
                "where tableowner = current_user and tablename not like %s order by 1, 2",
                ("\\_staging\\_%",),
            )
            for schema, table in cursor.fetchall():
                cursor.execute(sql.SQL("vacuum (analyze) {}").format(sql.Identifier(schema, table)))
                found += 1
    return found
