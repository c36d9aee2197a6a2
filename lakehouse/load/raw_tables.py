"""The contract -> the tables of `raw_<source>`.

Create, extend, index and replace the tables that the contract describes. Everything runs as the role loader.
Each table has two indexes: one on the key and batch date, to find the newest version of a key, and one on the batch
date, to replace a batch.
"""

from __future__ import annotations

import re
import secrets

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from lakehouse.contract.model import Contract, TableContract
from lakehouse.lakehouse import Lakehouse


def ensure(lakehouse: Lakehouse) -> None:
    """Create the schema, tables and columns that the warehouse lacks. Two calls at the same time are safe.

    A table that a user dropped is made again, and its batches are no longer loaded. A table of which a type has changed
    stays as it is, until a new one takes its place (rebuild.py).
    """
    with lakehouse.cursor() as cursor:
        if _is_as_the_contract_says(cursor, lakehouse.contract):
            return
    with lakehouse.lock("publish") as publishing, lakehouse.cursor() as cursor:
        publishing.fence(cursor)
        cursor.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(lakehouse.contract.raw_schema)))
        there = columns_there(cursor, lakehouse.contract)
        for table in lakehouse.contract.tables:
            _bring_up_to_date(cursor, lakehouse.contract, table, there.get(table.name))


def with_other_types(cursor: Cursor, contract: Contract) -> set[str]:
    """The raw tables of which a column has another type than in the contract."""
    there = columns_there(cursor, contract)
    return {
        table.name
        for table in contract.tables
        if any(there.get(table.name, {}).get(name, kind) != kind for name, kind in table.sql_columns)
    }


def create_staging(lakehouse: Lakehouse, table: TableContract, *, has_whole_table: bool = False) -> str:
    """Create an empty table with a name of its own, the columns of a raw table, and `_task`. Returns the name.

    The new table is unlogged (half the writing) if its rows will be copied into the raw table. It is logged if it will
    become the raw table itself, since an unlogged table is empty after a crash. `has_whole_table`: it will.
    """
    name = f"_staging_{table.name}_{secrets.token_hex(4)}"
    columns = _definitions([*table.sql_columns, ("_task", "bigint")])
    contract = lakehouse.contract
    with lakehouse.cursor() as cursor:
        takes_its_place = has_whole_table or may_be_replaced(cursor, contract, table)
        kind = sql.SQL("" if takes_its_place else "unlogged ")
        relation = sql.Identifier(contract.raw_schema, name)
        cursor.execute(sql.SQL("create {}table {} ({})").format(kind, relation, columns))
    return name


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


def may_be_replaced(cursor: Cursor, contract: Contract, table: TableContract) -> bool:
    """Whether another table can replace this one: it has no rows, and no view depends on it."""
    relation = sql.Identifier(contract.raw_schema, table.name)
    cursor.execute(sql.SQL("select exists (select from {})").format(relation))
    (has_rows,) = cursor.fetchone() or (True,)
    cursor.execute(
        "select exists (select from pg_depend where refobjid = %s::regclass and classid = 'pg_rewrite'::regclass)",
        (f"{contract.raw_schema}.{table.name}",),
    )
    (has_views,) = cursor.fetchone() or (True,)
    return not has_rows and not has_views


def swap_in(cursor: Cursor, contract: Contract, table: TableContract, staging: str) -> None:
    """Replace the table with the staging table, after dropping `_task`, and create the indexes. Views are dropped.

    The new table has the schema's default grants.
    """
    old, new = (sql.Identifier(contract.raw_schema, name) for name in (table.name, staging))
    cursor.execute("set local maintenance_work_mem = '256MB'")
    cursor.execute(sql.SQL("alter table {} drop column _task").format(new))
    cursor.execute(sql.SQL("drop table {} cascade").format(old))
    cursor.execute(sql.SQL("alter table {} rename to {}").format(new, sql.Identifier(table.name)))
    _create_indexes(cursor, contract, table)
    cursor.execute(sql.SQL("analyze {}").format(old))


def _is_as_the_contract_says(cursor: Cursor, contract: Contract) -> bool:
    there = columns_there(cursor, contract)
    # A column that was removed from the contract stays in its table.
    return all(dict(table.sql_columns).keys() <= there.get(table.name, {}).keys() for table in contract.tables)


def columns_there(cursor: Cursor, contract: Contract) -> dict[str, dict[str, str]]:
    """Table -> column -> type, written as in the contract."""
    cursor.execute(
        """
        select tables.relname, columns.attname, format_type(columns.atttypid, columns.atttypmod)
        from pg_class as tables
        inner join pg_namespace as schemas on schemas.oid = tables.relnamespace
        inner join pg_attribute as columns on columns.attrelid = tables.oid
        where schemas.nspname = %s and tables.relkind = 'r' and columns.attnum > 0 and not columns.attisdropped
        order by tables.relname, columns.attnum
        """,
        (contract.raw_schema,),
    )
    there: dict[str, dict[str, str]] = {}
    for table, column, kind in cursor.fetchall():
        there.setdefault(table, {})[column] = kind.replace("timestamp without time zone", "timestamp")
    return there


def _bring_up_to_date(cursor: Cursor, contract: Contract, table: TableContract, there: dict[str, str] | None) -> None:
    relation = sql.Identifier(contract.raw_schema, table.name)
    if there is None:
        cursor.execute(sql.SQL("create table {} ({})").format(relation, _definitions(table.sql_columns)))
        _create_indexes(cursor, contract, table)
        _forget_loads(cursor, contract, table)
        return
    for name, kind in table.sql_columns:
        if name not in there:
            column = _definitions([(name, kind)])
            cursor.execute(sql.SQL("alter table {} add column {}").format(relation, column))


def _forget_loads(cursor: Cursor, contract: Contract, table: TableContract) -> None:
    """The table is new, so it has none of the batches that were loaded, and the marts must be built from scratch.

    What is held is noted again by the next run.
    """
    cursor.execute("delete from ops.batch_counts where source = %s and table_name = %s", (contract.source, table.name))
    cursor.execute(
        "update ops.load_log set is_current = false where source = %s and table_name = %s and is_current",
        (contract.source, table.name),
    )
    if cursor.rowcount:
        cursor.execute("delete from ops.marts_state where source = %s", (contract.source,))


def _create_indexes(cursor: Cursor, contract: Contract, table: TableContract) -> None:
    looked_up = (*table.indexed_columns, "_batch_date") if table.key else table.indexed_columns
    for suffix, columns in (("key", looked_up), ("batch_date", ("_batch_date",))):
        cursor.execute(
            sql.SQL("create index {} on {} ({})").format(
                sql.Identifier(f"{table.name}_{suffix}"),
                sql.Identifier(contract.raw_schema, table.name),
                sql.SQL(", ").join(map(sql.Identifier, columns)),
            )
        )


def _definitions(columns: tuple[tuple[str, str], ...] | list[tuple[str, str]]) -> sql.Composable:
    return sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in columns)
