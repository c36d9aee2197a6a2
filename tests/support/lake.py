"""The pipeline's results, read back (rows of tables, versions of Delta tables); and CSV files to feed it."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

from deltalake import DeltaTable
from psycopg2 import sql

from lakehouse import warehouse
from lakehouse.contract.model import Contract
from lakehouse.lake.store import open_store
from lakehouse.settings import Settings
from lakehouse.steps import Pending, StepResult

Rows = list[tuple[Any, ...]]

# Whether the marts hold everything that was loaded; for the role `loader`.
NEWEST_BUILT = """
    select status = 'complete' and load_id = (select max(load_id) from ops.load_log) from ops.marts_state
"""


class Silent:
    """An observer that remembers the steps, in order."""

    def __init__(self) -> None:
        self.steps: list[StepResult] = []
        self.models: list[str] = []

    def planned(self, pending: list[Pending]) -> None:
        pass

    def started(self, step: str, table: str, batch_date: date) -> None:
        pass

    def finished(self, result: StepResult) -> None:
        self.steps.append(result)

    def model(self, name: str, rows: int | None, seconds: float) -> None:
        self.models.append(name)

    def note(self, text: str) -> None:
        pass


def environment_of(settings: Settings, **more: str) -> dict[str, str]:
    """The environment with which a separate process works on the same home and warehouse."""
    return {
        **os.environ,
        "LAKEHOUSE_HOME": str(settings.home),
        "LAKEHOUSE_EMBEDDED_POSTGRES_DIR": str(settings.embedded_postgres_dir),
        "LAKEHOUSE_POSTGRES_PORT": str(settings.postgres_port),
        "LAKEHOUSE_JARS_DIR": str(settings.jars_path),
        **({"LAKEHOUSE_DBT_PYTHON": str(settings.dbt_python)} if settings.dbt_python else {}),
        **more,
    }


def days_of(folder: Path) -> list[Path]:
    """The batches of a source, by date."""
    return sorted(path for path in folder.iterdir() if path.is_dir())


def query(settings: Settings, statement: str | sql.Composable, role: str = "transformer") -> Rows:
    """The rows of a query."""
    with warehouse.cursor(settings, role) as cursor:  # type: ignore[arg-type]
        cursor.execute(statement)
        return cursor.fetchall()


def all_rows(
    settings: Settings,
    schema: str = "marts",
    without: Mapping[str, Set[str]] = MappingProxyType({}),
    only: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Rows]:
    """Every row of every table of a schema, all columns in the order of their names, sorted.

    `without`: table -> columns to leave out. `only`: table -> condition of the rows wanted.
    """
    columns: dict[str, list[str]] = {}
    for table, column in query(
        settings,
        sql.SQL(
            "select table_name, column_name from information_schema.columns "
            "inner join information_schema.tables using (table_schema, table_name) "
            "where table_schema = {} and table_type = 'BASE TABLE' order by 1, 2"
        ).format(sql.Literal(schema)),
    ):
        if column not in without.get(table, ()):
            columns.setdefault(table, []).append(column)
    return {
        table: query(
            settings,
            sql.SQL("select {columns} from {table} where {condition} order by {columns}").format(
                columns=sql.SQL(", ").join(map(sql.Identifier, names)),
                table=sql.Identifier(schema, table),
                condition=sql.SQL(only.get(table, "true")),
            ),
        )
        for table, names in columns.items()
    }


def data_quality(settings: Settings, columns: str = "source, table_name, batch_date, ") -> Rows:
    """marts.data_quality without its time, sorted; with fewer columns that say which batch it is, if wanted.

    It is no part of `all_rows`: it depends on how a history is cut into batches.
    """
    counts = "records, rejected, duplicates, superseded, quarantined, loaded, is_held"
    return query(settings, f"select {columns}{counts} from marts.data_quality order by {columns}records", "bi_reader")


def digests(rows: Mapping[str, Rows]) -> dict[str, tuple[int, str]]:
    """Table -> number of rows, and a hash of them all, in whatever order they come."""
    texts = {table: "\n".join(sorted(map(repr, of))) for table, of in rows.items()}
    return {table: (len(rows[table]), hashlib.sha256(text.encode()).hexdigest()[:16]) for table, text in texts.items()}


def rows_whatever_the_batches(settings: Settings) -> dict[str, Rows]:
    """The part of the marts that does not depend on how a history was cut into batches.

    Versions of products and sellers, and their keys, are dated by batch. So only their current rows are compared, and
    the products and sellers that items point to. The distance is that to the seller's place in the item's version.
    """
    rows = all_rows(
        settings,
        without={
            "dim_product": {"product_key", "valid_from"},
            "dim_seller": {"seller_key", "valid_from"},
            "fct_order_items": {"product_key", "seller_key", "distance_km"},
        },
        only={"dim_product": "is_current", "dim_seller": "is_current"},
    )
    rows["what items point to"] = query(
        settings,
        "select order_id, order_item_id, product_id, seller_id from marts.fct_order_items "
        "inner join marts.dim_product using (product_key) inner join marts.dim_seller using (seller_key) order by 1, 2",
    )
    return rows


def differences(left: Mapping[str, Rows], right: Mapping[str, Rows]) -> dict[str, tuple[Rows, Rows]]:
    """Table -> rows only in the first, rows only in the second (some of each); empty if all are equal."""
    found = {}
    for table in sorted({*left, *right}):
        here, there = Counter(left.get(table, [])), Counter(right.get(table, []))
        if here != there:
            found[table] = ([*(here - there)][:3], [*(there - here)][:3])
    return found


def delta_versions(settings: Settings, contract: Contract) -> dict[str, int]:
    """The version of every Delta table of the lake."""
    found = {}
    for layer, folder in (("bronze", ""), ("bronze", "rejected/"), ("silver", ""), ("silver", "quarantine/")):
        for table in contract.tables:
            url = open_store(settings, layer).delta_url(f"{folder}{contract.source}/{table.name}")  # type: ignore[arg-type]
            if DeltaTable.is_deltatable(url):
                found[f"{layer} {folder}{table.name}"] = DeltaTable(url).version()
    return found


def write_csv(path: Path, header: Sequence[str], *rows: Sequence[str]) -> Path:
    """Write a delivery of these rows unchanged: the caller quotes them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(",".join(row) + "\n" for row in (header, *rows)), encoding="utf-8")
    return path
