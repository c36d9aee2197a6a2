"""The marts of a warehouse beside those that the oracle computes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from psycopg2.extensions import cursor as Cursor

from tests.support.oracle import Mart

# Mart -> its rows that the oracle does not have, and the rows of the oracle that it lacks.
Differences = dict[str, tuple[Mart, Mart]]


def differences_from_oracle(cursor: Cursor, expected: Mapping[str, Mart]) -> Differences:
    """Compare all rows and columns of these marts. The cursor's role may read them."""
    found = {}
    for name, rows in expected.items():
        cursor.execute(f"select * from marts.{name}")
        columns = [column.name for column in cursor.description or ()]
        assert all(set(row) == set(columns) for row in rows), f"{name} has other columns: {', '.join(columns)}"
        here = Counter(cursor.fetchall())
        there = Counter(tuple(row[column] for column in columns) for row in rows)
        if here != there:
            found[name] = (_rows(columns, here - there), _rows(columns, there - here))
    return found


def marts_in(cursor: Cursor) -> set[str]:
    """The names of all marts of the warehouse."""
    cursor.execute("select tablename from pg_tables where schemaname = 'marts'")
    return {name for (name,) in cursor.fetchall()}


def _rows(columns: list[str], rows: Counter[tuple[Any, ...]]) -> Mart:
    return [dict(zip(columns, row, strict=True)) for row in rows.elements()]
