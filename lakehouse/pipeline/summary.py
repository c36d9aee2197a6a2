"""ops and marts -> what people ask after a run: where the records went, how large the marts are, a few figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from lakehouse import warehouse
from lakehouse.contract.model import Contract
from lakehouse.settings import Settings

STAGES = ("records", "rejected", "bronze", "duplicates", "superseded", "quarantined", "silver", "raw")


@dataclass(frozen=True)
class Figure:
    """The answer to one of dbt/analyses/<source>: rows of the marts under the title of the file's first line."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def records_per_table(
    settings: Settings, contract: Contract, batch_date: date | None = None
) -> list[tuple[str, dict[str, int]]]:
    """Per table, in the contract's order: its records at each stage, of one batch or summed over all."""
    sums = ", ".join(f"sum({stage})::bigint" for stage in STAGES)
    with warehouse.connect(settings, "loader") as connection, connection.cursor() as cursor:
        cursor.execute(
            f"select table_name, {sums} from ops.reconciliation "  # noqa: S608
            "where source = %s and batch_date = coalesce(%s, batch_date) group by table_name",
            (contract.source, batch_date),
        )
        found = {table: dict(zip(STAGES, counts, strict=True)) for table, *counts in cursor.fetchall()}
    return [(table.name, found[table.name]) for table in contract.tables if table.name in found]


def rows_per_mart(settings: Settings) -> list[tuple[str, int]]:
    """Rows of every table in the schema marts, dimensions first."""
    with warehouse.connect(settings, "bi_reader") as connection, connection.cursor() as cursor:
        cursor.execute("select tablename from pg_tables where schemaname = 'marts' order by tablename")
        names = [name for (name,) in cursor.fetchall()]
        return [(name, _count(cursor, name)) for name in names]


def figures(settings: Settings, contract: Contract) -> list[Figure]:
    """Every query of dbt/analyses/<source>, answered as bi_reader; none before the marts are built.

    Their first line is `-- <title>`.
    """
    found: list[Figure] = []
    if not _has_marts(settings, contract):
        return found
    with warehouse.connect(settings, "bi_reader") as connection, connection.cursor() as cursor:
        for path in sorted((settings.dbt_dir / "analyses" / contract.source).glob("*.sql")):
            title, query = _question(path)
            cursor.execute(query)
            columns = tuple(column.name for column in cursor.description or ())
            found.append(Figure(title, columns, tuple(cursor.fetchall())))
    return found


def last_counted(settings: Settings, contract: Contract, batch_date: date) -> datetime | None:
    """When the records of a batch were last counted (ops.reconciliation); None: never."""
    with warehouse.connect(settings, "loader") as connection, connection.cursor() as cursor:
        cursor.execute(
            "select max(checked_at) from ops.reconciliation where source = %s and batch_date = %s",
            (contract.source, batch_date),
        )
        moment: datetime | None
        (moment,) = cursor.fetchone() or (None,)
    return moment


def reasons(settings: Settings, contract: Contract, batch_date: date) -> list[tuple[str, str, int]]:
    """(table, reason, records) of what of a batch was rejected or quarantined, from ops.reconciliation; most first.

    A record counts for each of its reasons.
    """
    with warehouse.connect(settings, "loader") as connection, connection.cursor() as cursor:
        cursor.execute(
            """
            select table_name, reason, times::bigint
            from ops.reconciliation, jsonb_each_text(reasons) as each (reason, times)
            where source = %s and batch_date = %s
            order by times::bigint desc, table_name, reason
            """,
            (contract.source, batch_date),
        )
        return [(table, reason, times) for table, reason, times in cursor.fetchall()]


def warnings(settings: Settings, contract: Contract, tables: Sequence[str]) -> list[tuple[str, str, int]]:
    """(table, reason, rows) of what was kept with a warning, over all batches, from silver's ledgers; most first."""
    from lakehouse.lake.ledger import read_ledger
    from lakehouse.lake.store import open_store

    store = open_store(settings, "silver")
    totals: dict[tuple[str, str], int] = {}
    for table in tables:
        for entry in read_ledger(store, f"{contract.source}/{table}").entries.values():
            for reason, rows in entry.warnings.items():
                totals[table, reason] = totals.get((table, reason), 0) + rows
    return sorted(((t, reason, rows) for (t, reason), rows in totals.items()), key=lambda row: (-row[2], *row[:2]))


def _has_marts(settings: Settings, contract: Contract) -> bool:
    with warehouse.connect(settings, "loader") as connection, connection.cursor() as cursor:
        cursor.execute(
            "select exists (select from ops.marts_state where source = %s and status = 'complete')", (contract.source,)
        )
        (complete,) = cursor.fetchone() or (False,)
    return bool(complete)


def _question(path: Path) -> tuple[str, str]:
    title, _, query = path.read_text(encoding="utf-8").partition("\n")
    return title.removeprefix("--").strip(), query


def _count(cursor: Cursor, mart: str) -> int:
    cursor.execute(sql.SQL("select count(*) from {}").format(sql.Identifier("marts", mart)))
    (rows,) = cursor.fetchone() or (0,)
    return int(rows)
