"""ops and marts -> what people ask after a run: where the records went, how large the marts are, and some figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from lakehouse.lake.ledger import read_ledger
from lakehouse.lake.places import table_path
from lakehouse.lakehouse import Lakehouse
from lakehouse.steps import StepResult
from lakehouse.warehouse import counts

if TYPE_CHECKING:
    from lakehouse.lake.bad_records import Reason


@dataclass(frozen=True)
class Figure:
    """The answer to one query of dbt/analyses/<source>; its title is the file's first line."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def records_per_table(lakehouse: Lakehouse) -> list[tuple[str, dict[str, int]]]:
    """The records at each stage per table, in the contract's order, summed over all batches."""
    with lakehouse.cursor() as cursor:
        return counts.records_per_table(cursor, lakehouse.contract)


def commonest_reasons(lakehouse: Lakehouse, results: Iterable[StepResult], most: int) -> list[tuple[str, Reason]]:
    """(table, reason) for the most bad records of the batches that a run processed, each with an example."""
    from lakehouse.lake.bad_records import first_example

    units = [(result.table, result.batch_date) for result in results if result.done and result.step == "silver"]
    if not units:
        return []
    with lakehouse.cursor() as cursor:
        found = counts.reasons_of(cursor, lakehouse.contract.source, units)[:most]
    bronze, silver, table_of = lakehouse.bronze, lakehouse.silver, lakehouse.contract.table
    examples = [
        (table, first_example(bronze, silver, table_of(table), day, reason, records))
        for table, reason, records, day in found
    ]
    return [(table, example) for table, example in examples if example]


def rows_per_mart(lakehouse: Lakehouse) -> list[tuple[str, int]]:
    """The row count of every table in the schema marts, dimensions first."""
    with lakehouse.cursor("bi_reader") as cursor:
        cursor.execute("select tablename from pg_tables where schemaname = 'marts' order by tablename")
        names = [name for (name,) in cursor.fetchall()]
        return [(name, _count(cursor, name)) for name in names]


def figures(lakehouse: Lakehouse) -> list[Figure]:
    """The answers to every query of dbt/analyses/<source>, as bi_reader; none before the marts are built.

    Each file's first line is `-- <title>`.
    """
    found: list[Figure] = []
    if not _has_marts(lakehouse):
        return found
    with lakehouse.cursor("bi_reader") as cursor:
        for path in sorted((lakehouse.settings.dbt_dir / "analyses" / lakehouse.contract.source).glob("*.sql")):
            title, query = _question(path)
            cursor.execute(query)
            columns = tuple(column.name for column in cursor.description or ())
            found.append(Figure(title, columns, tuple(cursor.fetchall())))
    return found


def warnings(lakehouse: Lakehouse, tables: Sequence[str]) -> list[tuple[str, str, int]]:
    """(table, reason, rows) for rows kept with a warning in any batch, from silver's ledgers; the most rows first."""
    totals: dict[tuple[str, str], int] = {}
    for table in tables:
        path = table_path(lakehouse.contract.table(table))
        for entry in read_ledger(lakehouse.silver, path).entries.values():
            for reason, rows in entry.warnings.items():
                totals[table, reason] = totals.get((table, reason), 0) + rows
    return sorted(((t, reason, rows) for (t, reason), rows in totals.items()), key=lambda row: (-row[2], *row[:2]))


def _has_marts(lakehouse: Lakehouse) -> bool:
    query = "select exists (select from ops.marts_state where source = %s and status = 'complete')"
    return lakehouse.one(query, lakehouse.contract.source) == (True,)


def _question(path: Path) -> tuple[str, str]:
    title, _, query = path.read_text(encoding="utf-8").partition("\n")
    return title.removeprefix("--").strip(), query


def _count(cursor: Cursor, mart: str) -> int:
    cursor.execute(sql.SQL("select count(*) from {}").format(sql.Identifier("marts", mart)))
    (rows,) = cursor.fetchone() or (0,)
    return int(rows)
