"""A made-up source of one table, with short ways to process its batches and to read the results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder

from lakehouse import warehouse
from lakehouse.bronze import step as bronze
from lakehouse.contract.model import Column, ColumnType, Contract, Rule, TableContract
from lakehouse.lake.ledger import read_ledger
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import step as landing
from lakehouse.landing.manifest import Manifest, read_manifest
from lakehouse.load import step as load
from lakehouse.settings import Settings
from lakehouse.silver import step as silver
from lakehouse.steps import StepResult

FIRST, SECOND, THIRD = date(2018, 1, 5), date(2018, 1, 6), date(2018, 1, 7)
HEADER = "order_id,item,amount,status,score"


def orders(*more: Column, key: tuple[str, ...] = ("order_id", "item")) -> TableContract:
    """Five columns with every kind of rule, and more columns if given."""
    columns = (
        Column("order_id", ColumnType("text"), "", (Rule("order_id", "required", "error"),)),
        Column("item", ColumnType("integer"), ""),
        Column("amount", ColumnType("decimal", 12, 2), "", (Rule("amount", "range", "error", minimum=Decimal(0)),)),
        Column(
            "status",
            ColumnType("text"),
            "",
            (
                Rule("status", "valid_values", "error", values=("new", "paid")),
                Rule("status", "required", "warning"),
            ),
        ),
        Column("score", ColumnType("double"), "", (Rule("score", "range", "warning", maximum=Decimal(5)),)),
        *more,
    )
    return TableContract("orders", "shop", "", "", ("orders",), columns, key)


def contract_of(table: TableContract) -> Contract:
    return Contract("shop", "A shop", "", (table,))


@dataclass
class Shop:
    """One workspace and its source. Rows are CSV lines without the header."""

    settings: Settings
    spark: Any
    folder: Path
    table: TableContract = field(default_factory=orders)
    header: str = HEADER

    @property
    def contract(self) -> Contract:
        return contract_of(self.table)

    @property
    def lakehouse(self) -> Lakehouse:
        return Lakehouse(self.settings, self.contract)

    def with_table(self, table: TableContract, header: str | None = None) -> Shop:
        """The same workspace under another contract."""
        return replace(self, table=table, header=header or self.header)

    def deliver(self, *rows: str, day: date = FIRST) -> Manifest:
        """Land a file and read it into bronze."""
        self.folder.mkdir(exist_ok=True)
        path = self.folder / "orders.csv"
        path.write_bytes("\n".join([self.header, *rows, ""]).encode())
        landed = landing.land(self.lakehouse, [path], day)[0].manifest
        bronze.run(self.lakehouse, self.table, landed)
        return landed

    def withdraw(self, day: date = FIRST) -> Manifest:
        """Withdraw the batch."""
        manifest = read_manifest(self.lakehouse, day)
        assert manifest is not None
        withdrawn = manifest.with_tables({"orders": None})
        bronze.run(self.lakehouse, self.table, withdrawn)
        return withdrawn

    def to_silver(self, manifest: Manifest) -> StepResult:
        return silver.run(self.lakehouse, self.table, manifest, self.spark)

    def to_raw(self, manifest: Manifest) -> StepResult:
        return load.run(self.lakehouse, self.table, manifest, self.spark)

    def load(self, *rows: str, day: date = FIRST) -> StepResult:
        """Process a delivery from landing to the warehouse."""
        load.ensure_tables(self.lakehouse)
        manifest = self.deliver(*rows, day=day)
        self.to_silver(manifest)
        return self.to_raw(manifest)

    def silver(self, columns: str = "order_id, item, amount, status, score") -> list[tuple[Any, ...]]:
        """Rows of the silver table, by batch and position."""
        return self.delta("shop/orders", columns)

    def quarantine(self, columns: str = "_row, reasons") -> list[tuple[Any, ...]]:
        """Rows of the quarantine, by batch and position."""
        return self.delta("quarantine/shop/orders", columns)

    def delta(self, key: str, columns: str) -> list[tuple[Any, ...]]:
        table = self.delta_table(key)
        rows = QueryBuilder().register("t", table).execute(f"select {columns} from t order by _batch_date, _row")
        return [tuple(row.values()) for row in pa.table(rows).to_pylist()]

    def delta_table(self, key: str = "shop/orders") -> DeltaTable:
        store = self.lakehouse.silver
        return DeltaTable(store.delta_url(key), storage_options=store.delta_options())

    def has_delta_table(self, key: str) -> bool:
        return DeltaTable.is_deltatable(self.lakehouse.silver.delta_url(key))

    def warnings(self, day: date = FIRST) -> dict[str, int]:
        """What silver noted about a batch, besides its counts."""
        return read_ledger(self.lakehouse.silver, "shop/orders").entries[day].warnings

    def query(self, statement: str, role: str = "loader") -> list[tuple[Any, ...]]:
        with warehouse.cursor(self.settings, role) as cursor:  # type: ignore[arg-type]
            cursor.execute(statement)
            return cursor.fetchall()

    def raw(self, columns: str = "order_id, item, amount, status, score") -> list[tuple[Any, ...]]:
        """Rows of the raw table, by batch and position."""
        return self.query(f"select {columns} from raw_shop.orders order by _batch_date, _row")


MakeShop = Callable[..., Shop]
