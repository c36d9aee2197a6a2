"""Rows -> raw tables, published as load/step.py does: a batch is replaced, changed keys are noted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from lakehouse.contract.model import Contract, TableContract

Row = Mapping[str, Any]


def publish(
    cursor: Cursor,
    contract: Contract,
    batch_date: date,
    rows: Mapping[str, Sequence[Row]],
    *,
    every_key: bool = False,
) -> None:
    """Replace the batch's rows of these tables; columns that a row does not name are null. The caller is loader."""
    for name, new_rows in rows.items():
        table = contract.table(name)
        relation = sql.Identifier(contract.raw_schema, name)
        columns = sql.SQL(", ").join(map(sql.Identifier, table.column_names))
        cursor.execute(sql.SQL("select {} from {} where _batch_date = %s").format(columns, relation), (batch_date,))
        old = {tuple(row) for row in cursor.fetchall()}
        new = [tuple(row.get(column) for column in table.column_names) for row in new_rows]

        cursor.execute(sql.SQL("delete from {} where _batch_date = %s").format(relation), (batch_date,))
        for number, row in enumerate(new, start=1):
            cursor.execute(
                sql.SQL("insert into {} values %s").format(relation), ((*row, f"{name}.csv", number, batch_date),)
            )
        cursor.execute(sql.SQL("select {} from {} where _batch_date = %s").format(columns, relation), (batch_date,))
        differing = old ^ {tuple(row) for row in cursor.fetchall()}
        _note(cursor, contract, batch_date, table, {None} if every_key else {_key(table, row) for row in differing})


def _note(
    cursor: Cursor, contract: Contract, batch_date: date, table: TableContract, keys: set[str] | set[None]
) -> None:
    batch = (contract.source, table.name, batch_date)
    cursor.execute(
        "update ops.load_log set is_current = false where (source, table_name, batch_date) = %s and is_current",
        (batch,),
    )
    cursor.execute(
        "insert into ops.load_log (source, table_name, batch_date, fingerprint, rows, is_current) "
        "values (%s, %s, %s, '', 0, true) returning load_id",
        batch,
    )
    (load_id,) = cursor.fetchone() or (0,)
    for key in keys:
        cursor.execute("insert into ops.changed_keys values (%s, %s, %s, %s)", (load_id, *batch[:2], key))


def _key(table: TableContract, row: tuple[Any, ...]) -> str:
    values = dict(zip(table.column_names, row, strict=True))
    return "\x1f".join("" if values[column] is None else str(values[column]) for column in table.unique_key)
