"""Rows in a staging table -> a batch of a raw table, replaced in one transaction, which also notes what changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from lakehouse.contract.model import Contract, TableContract
from lakehouse.errors import ReconciliationError
from lakehouse.load import raw_tables
from lakehouse.load.counts import BatchCounts, note_loaded

# A task that copied rows into the staging table, and how many.
Tasks = list[tuple[int, int]]


@dataclass(frozen=True)
class LoadedBatch:
    """A table's batch as it is published. `rows`: the number of rows in silver, and then in the raw table.

    `counts`: None if the table was withdrawn.
    """

    day: date
    fingerprint: str
    rows: int
    counts: BatchCounts | None


@dataclass(frozen=True)
class Publication:
    """The transaction that replaces rows of a raw table. The staging table is gone afterwards."""

    cursor: Cursor
    contract: Contract
    table: TableContract

    def replace_batch(self, batch: LoadedBatch, staging: str | None, tasks: Tasks) -> None:
        """Replace one batch. `staging`: None if the batch has no rows.

        Raises ReconciliationError if the staging table does not hold the batch's rows.
        """
        if staging and raw_tables.may_be_replaced(self.cursor, self.contract, self.table):
            self.replace_table([batch], staging, tasks)
            return
        load_id = self._log(batch)
        new_rows = self._new_rows(staging, tasks)
        self._note_changed(load_id, self._differing_keys(batch.day, new_rows))
        self._replace_rows(batch, new_rows)
        if staging:
            self.cursor.execute(sql.SQL("drop table {}").format(self._relation(staging)))

    def replace_table(self, batches: Sequence[LoadedBatch], staging: str, tasks: Tasks) -> None:
        """Put the staging table, which holds these batches, in the table's place. Views of the old table are dropped.

        Raises ReconciliationError if the staging table does not hold the batches' rows.
        """
        load_ids = [self._log(batch) for batch in batches]
        # An abandoned task may still be copying. Wait until it ends, then delete the rows of all abandoned tasks.
        self.cursor.execute(sql.SQL("lock table {} in access exclusive mode").format(self._relation(staging)))
        self.cursor.execute(
            sql.SQL("delete from {} where _task <> all(%s)").format(self._relation(staging)), (_ids(tasks),)
        )
        self.cursor.execute(sql.SQL("select _batch_date, count(*) from {} group by 1").format(self._relation(staging)))
        there = dict(self.cursor.fetchall())
        for batch in batches:
            self._check(batch, there.pop(batch.day, 0))
        if there:
            raise ReconciliationError(
                f"{self.contract.raw_schema}.{self.table.name}: rows of other batches were copied, too "
                f"({', '.join(map(str, sorted(there)))}). Nothing was published; run the same command again."
            )
        raw_tables.swap_in(self.cursor, self.contract, self.table, staging)
        if load_ids:
            self._note_changed(load_ids[-1], sql.SQL("select null"))

    def _log(self, batch: LoadedBatch) -> int:
        of_table = (self.contract.source, self.table.name, batch.day)
        self.cursor.execute(
            "update ops.load_log set is_current = false "
            "where source = %s and table_name = %s and batch_date = %s and is_current",
            of_table,
        )
        self.cursor.execute(
            "insert into ops.load_log (source, table_name, batch_date, fingerprint, rows, is_current) "
            "values (%s, %s, %s, %s, %s, true) returning load_id",
            (*of_table, batch.fingerprint, batch.rows),
        )
        (load_id,) = self.cursor.fetchone() or (0,)
        note_loaded(self.cursor, self.table, batch.day, batch.counts, batch.rows)
        return int(load_id)

    def _new_rows(self, staging: str | None, tasks: Tasks) -> sql.Composable:
        """A query for the batch's new rows."""
        if staging is None:
            return sql.SQL("select {} from {} where false").format(self._columns(lineage=True), self._relation())
        return sql.SQL("select {} from {} where _task = any({})").format(
            self._columns(lineage=True), self._relation(staging), sql.Literal(_ids(tasks))
        )

    def _replace_rows(self, batch: LoadedBatch, new_rows: sql.Composable) -> None:
        self.cursor.execute(sql.SQL("delete from {} where _batch_date = %s").format(self._relation()), (batch.day,))
        self.cursor.execute(
            sql.SQL("insert into {} ({}) {}").format(self._relation(), self._columns(lineage=True), new_rows)
        )
        self._check(batch, self.cursor.rowcount)

    def _differing_keys(self, day: date, new_rows: sql.Composable) -> sql.Composable:
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
            day=sql.Literal(day),
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

    def _check(self, batch: LoadedBatch, there: int) -> None:
        if there != batch.rows:
            raise ReconciliationError(
                f"{self.contract.raw_schema}.{self.table.name} of {batch.day}: {batch.rows} rows in silver, "
                f"{there} were copied. Nothing was published; run the same command again."
            )

    def _relation(self, name: str | None = None) -> sql.Composable:
        return sql.Identifier(self.contract.raw_schema, name or self.table.name)

    def _columns(self, *, lineage: bool) -> sql.Composable:
        names = [name for name, _ in self.table.sql_columns] if lineage else self.table.column_names
        return sql.SQL(", ").join(map(sql.Identifier, names))


def _ids(tasks: Tasks) -> list[int]:
    return [task for task, _ in tasks]
