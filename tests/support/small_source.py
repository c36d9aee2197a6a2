"""A made-up source of two tables, with short ways to land its files and to read the results."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import TableNotFoundError

from lakehouse.bronze import step as bronze
from lakehouse.contract.model import Column, ColumnType, Contract, Rule, TableContract
from lakehouse.lake.store import open_store
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import step as landing
from lakehouse.landing.manifest import Manifest, read_manifest, read_manifests
from lakehouse.settings import Settings

DAY = date(2018, 1, 5)


def orders(*more: Column) -> TableContract:
    """Three columns and a key."""
    columns = (
        Column("order_id", ColumnType("text"), "", (Rule("order_id", "required", "error"),)),
        Column("amount", ColumnType("decimal", 12, 2), ""),
        Column("note", ColumnType("text"), ""),
        *more,
    )
    return TableContract("orders", "shop", "", "", ("shop_orders_dataset", "orders"), columns, ("order_id",))


def shop(*more: Column) -> Contract:
    """The source: orders (with more columns, if given) and a table of one column."""
    words = TableContract("words", "shop", "", "", ("words",), (Column("word", ColumnType("text"), ""),))
    return Contract("shop", "A shop", "", (orders(*more), words))


def settings_in(folder: Path, **more: Any) -> Settings:
    """A lake below the folder, whatever the environment says."""
    return Settings(_env_file=None, source="shop", home=folder / "home", workspace="test", **more)  # type: ignore[call-arg]


def land(
    settings: Settings, folder: Path, contract: Contract | None = None, day: date = DAY, **files: bytes
) -> Manifest:
    """Land `table=bytes` as `<table>.csv` of one day."""
    delivery = folder / "delivery"
    delivery.mkdir(exist_ok=True)
    paths = []
    for table, content in files.items():
        path = delivery / f"{table}.csv"
        path.write_bytes(content)
        paths.append(path)
    return landing.land(Lakehouse(settings, contract or shop()), paths, day)[0].manifest


def manifest_in(settings: Settings, day: date) -> Manifest | None:
    """The manifest of a day in landing, for the source that the settings name."""
    return read_manifest(_lakehouse(settings), day)


def manifests_in(settings: Settings) -> list[Manifest]:
    """The manifests of all days."""
    return read_manifests(_lakehouse(settings))


def _lakehouse(settings: Settings) -> Lakehouse:
    return Lakehouse(settings, replace(shop(), source=settings.source))


def run_bronze(
    settings: Settings, manifest: Manifest, contract: Contract | None = None, table: str = "orders"
) -> dict[str, int]:
    """The counts of one table's batch."""
    contract = contract or shop()
    return bronze.run(Lakehouse(settings, contract), contract.table(table), manifest).counts


def rows_of(settings: Settings, key: str = "shop/orders") -> list[dict[str, Any]]:
    """All rows of a bronze table, by batch and position; none if there is no table."""
    store = open_store(settings, "bronze")
    try:
        table = DeltaTable(store.delta_url(key), storage_options=store.delta_options())
    except TableNotFoundError:
        return []
    found = pa.table(QueryBuilder().register("t", table).execute("select * from t order by _batch_date, _row"))
    return found.to_pylist()


def values_of(settings: Settings, *columns: str, key: str = "shop/orders") -> list[tuple[Any, ...]]:
    """Some columns of all rows of a bronze table, by batch and position."""
    return [tuple(row[column] for column in columns) for row in rows_of(settings, key)]


def version_of(settings: Settings, key: str = "shop/orders") -> int:
    """How many commits a bronze table had before its last one."""
    store = open_store(settings, "bronze")
    return DeltaTable(store.delta_url(key), storage_options=store.delta_options()).version()
