"""silver -> `raw_<source>.<table>`, per table and batch. A batch is replaced in one transaction.

Each call creates its own staging table, into which Spark's tasks copy the rows. The driver then publishes the rows of
the tasks that completed successfully. Readers see either the old batch or the new one. The keys whose rows differ are
added to `ops.changed_keys`.
"""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from lakehouse.contract.model import Contract, TableContract
from lakehouse.errors import LakehouseError, ReconciliationError, WarehouseError
from lakehouse.lake.delta import Partition, read_partition
from lakehouse.lake.ledger import Entry, read_ledger
from lakehouse.lake.places import table_path
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing.manifest import Manifest
from lakehouse.load import raw_tables
from lakehouse.load.copy_task import RETURNED, StagingTable
from lakehouse.load.held import judge
from lakehouse.settings import Target
from lakehouse.spark.errors import reason_of, spark_errors
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
    Raises LakehouseError if silver does not contain what the manifest names, WarehouseError if rows cannot be copied,
    and ReconciliationError if rows are missing.
    """
    begin = time.monotonic()
    fingerprints = expected(table, manifest)
    day, fingerprint = manifest.batch_date, fingerprints["load"]
    loaded = _loaded(lakehouse, table, day)
    if loaded and loaded.fingerprint == fingerprint:
        counts = {"silver": loaded.rows, "raw": loaded.rows}
        return StepResult("load", table.name, day, False, counts, 0.0, {})
    entry = _silver_entry(lakehouse, table, day, fingerprints["silver"])
    if judge(lakehouse, table, manifest, entry):
        return StepResult("load", table.name, day, False, {"silver": entry.counts["silver"]}, 0.0, {}, is_held=True)

    rows = _silver_rows(lakehouse, table, day, entry)
    drop_leftovers(lakehouse, table)
    staging, tasks = None, []
    if rows.rows:
        staging = raw_tables.create_staging(lakehouse, table, f"_staging_{table.name}_{secrets.token_hex(4)}")
        tasks = _copy(lakehouse, table, spark, rows, day, staging)
    copied = time.monotonic()
    with lakehouse.lock("publish") as publishing, lakehouse.cursor() as cursor:
        publishing.fence(cursor)
        _Publication(cursor, lakehouse.contract, table, day, fingerprint, rows.rows).publish(staging, tasks)
    phases = {"copy": copied - begin, "publish": time.monotonic() - copied}
    counts = {"silver": rows.rows, "raw": rows.rows}
    return StepResult("load", table.name, day, True, counts, time.monotonic() - begin, phases)


def drop_leftovers(lakehouse: Lakehouse, table: TableContract) -> list[str]:
    """Drop the staging tables that killed loads of this table left behind. Returns the names of the dropped tables.

    The caller holds the table's lock.
    """
    pattern = re.compile(rf"_staging_{table.name}_[0-9a-f]{{8}}")
    with lakehouse.cursor() as cursor:
        cursor.execute("select tablename from pg_tables where schemaname = %s", (lakehouse.contract.raw_schema,))
        dead = sorted(name for (name,) in cursor.fetchall() if pattern.fullmatch(name))
        for name in dead:
            cursor.execute(sql.SQL("drop table {}").format(sql.Identifier(lakehouse.contract.raw_schema, name)))
    return dead


@dataclass(frozen=True)
class _Loaded:
    fingerprint: str
    rows: int


def _loaded(lakehouse: Lakehouse, table: TableContract, day: date) -> _Loaded | None:
    row = lakehouse.one(
        "select fingerprint, rows from ops.load_log "
        "where source = %s and table_name = %s and batch_date = %s and is_current",
        *(table.source, table.name, day),
    )
    return _Loaded(*row) if row else None


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


def _copy(
    lakehouse: Lakehouse,
    table: TableContract,
    spark: SparkSession,
    rows: Partition,
    day: date,
    staging: str,
) -> list[tuple[int, int]]:
    """Copy the partition into the staging table in one Spark action.

    Returns (task, rows) for each task that completed successfully.
    """
    from pyspark.sql import functions as sf

    settings, schema = lakehouse.settings, lakehouse.contract.raw_schema
    target = StagingTable(
        host=settings.postgres_host,
        port=settings.postgres_port,
        database=settings.database_name,
        schema=schema,
        table=staging,
        password_file=str(settings.password_file("loader")),
        password_variable="LAKEHOUSE_LOADER_PASSWORD",  # noqa: S106 - the variable's name
        sslmode="require" if settings.target is Target.AWS else "prefer",
    )
    names = [name for name, _ in table.sql_columns]
    # The batch date is in the name of the files' folder, not in the files.
    silver_rows = spark.read.schema(table.spark_schema).parquet(*rows.files)
    silver_rows = silver_rows.withColumn("_batch_date", sf.lit(day).cast("date")).select(*names)
    try:
        returned = silver_rows.mapInArrow(target.copy, RETURNED).collect()
    except spark_errors() as error:
        raise WarehouseError(
            f"{schema}.{table.name} of {day} could not be copied into the warehouse: {reason_of(error)}\n"
            "Nothing was published. Run the same command again; `lakehouse doctor` checks warehouse and disk."
        ) from error
    return [(row["task"], row["rows"]) for row in returned]


@dataclass(frozen=True)
class _Publication:
    """The transaction that replaces one batch of a table. `rows`: the expected number of rows."""

    cursor: Cursor
    contract: Contract
    table: TableContract
    day: date
    fingerprint: str
    rows: int

    def publish(self, staging: str | None, tasks: list[tuple[int, int]]) -> None:
        load_id = self._log()
        if staging and raw_tables.may_be_replaced(self.cursor, self.contract, self.table):
            self._replace_table(staging, tasks)
            self._note_changed(load_id, sql.SQL("select null"))
            return
        new_rows = self._new_rows(staging, tasks)
        self._note_changed(load_id, self._differing_keys(new_rows))
        self._replace_rows(new_rows)
        if staging:
            self.cursor.execute(sql.SQL("drop table {}").format(self._relation(staging)))

    def _log(self) -> int:
        batch = (self.contract.source, self.table.name, self.day)
        self.cursor.execute(
            "update ops.load_log set is_current = false "
            "where source = %s and table_name = %s and batch_date = %s and is_current",
            batch,
        )
        self.cursor.execute(
            "insert into ops.load_log (source, table_name, batch_date, fingerprint, rows, is_current) "
            "values (%s, %s, %s, %s, %s, true) returning load_id",
            (*batch, self.fingerprint, self.rows),
        )
        (load_id,) = self.cursor.fetchone() or (0,)
        return int(load_id)

    def _replace_table(self, staging: str, tasks: list[tuple[int, int]]) -> None:
        """Put the staging table in the table's place, which is possible since the table has no rows and no views."""
        # An abandoned task may still be copying. Wait until it ends, then delete the rows of all abandoned tasks.
        self.cursor.execute(sql.SQL("lock table {} in access exclusive mode").format(self._relation(staging)))
        self.cursor.execute(
            sql.SQL("delete from {} where _task <> all(%s)").format(self._relation(staging)), (_ids(tasks),)
        )
        self.cursor.execute(sql.SQL("select count(*) from {}").format(self._relation(staging)))
        (there,) = self.cursor.fetchone() or (0,)
        self._check(there)
        raw_tables.swap_in(self.cursor, self.contract, self.table, staging)

    def _new_rows(self, staging: str | None, tasks: list[tuple[int, int]]) -> sql.Composable:
        """A query for the batch's new rows."""
        if staging is None:
            return sql.SQL("select {} from {} where false").format(self._columns(lineage=True), self._relation())
        return sql.SQL("select {} from {} where _task = any({})").format(
            self._columns(lineage=True), self._relation(staging), sql.Literal(_ids(tasks))
        )

    def _replace_rows(self, new_rows: sql.Composable) -> None:
        self.cursor.execute(sql.SQL("delete from {} where _batch_date = %s").format(self._relation()), (self.day,))
        self.cursor.execute(
            sql.SQL("insert into {} ({}) {}").format(self._relation(), self._columns(lineage=True), new_rows)
        )
        self._check(self.cursor.rowcount)

    def _differing_keys(self, new_rows: sql.Composable) -> sql.Composable:
        """A query for the keys whose old and new rows differ in this batch. `except` treats nulls as equal.

        Two keys never give the same text: silver quarantines a key that holds the separator, and '' is null there. Of a
        table without a key this is sure for the first column only, which is the one that models look up.
        """
        key = sql.SQL(" || chr(31) || ").join(
            sql.SQL("coalesce({}::text, '')").format(sql.Identifier(name)) for name in self.table.unique_key
        )
        return sql.SQL(
            """
            with old_rows as (select {columns} from {table} where _batch_date = {day}),
            new_rows as (select {columns} from ({new_rows}) as staged),
            differing as (
                (select * from old_rows except select * from new_rows)
                union all
                (select * from new_rows except select * from old_rows)
            )
            select distinct {key} from differing
            """
        ).format(
            columns=self._columns(lineage=False),
            table=self._relation(),
            day=sql.Literal(self.day),
            new_rows=new_rows,
            key=key,
        )

    def _note_changed(self, load_id: int, keys: sql.Composable) -> None:
        self.cursor.execute(
            sql.SQL(
                "insert into ops.changed_keys (load_id, source, table_name, key) "
                "select {}, {}, {}, changed.key from ({}) as changed(key)"
            ).format(sql.Literal(load_id), sql.Literal(self.contract.source), sql.Literal(self.table.name), keys)
        )

    def _check(self, there: int) -> None:
        if there != self.rows:
            raise ReconciliationError(
                f"{self.contract.raw_schema}.{self.table.name} of {self.day}: {self.rows} rows in silver, "
                f"{there} were copied. Nothing was published; run the same command again."
            )

    def _relation(self, name: str | None = None) -> sql.Composable:
        return sql.Identifier(self.contract.raw_schema, name or self.table.name)

    def _columns(self, *, lineage: bool) -> sql.Composable:
        names = [name for name, _ in self.table.sql_columns] if lineage else self.table.column_names
        return sql.SQL(", ").join(map(sql.Identifier, names))


def _ids(tasks: list[tuple[int, int]]) -> list[int]:
    return [task for task, _ in tasks]
