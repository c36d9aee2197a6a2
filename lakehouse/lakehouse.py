"""Settings and a contract -> one object that opens the lake's stores and the warehouse when they are first used."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from psycopg2.extensions import cursor as Cursor

from lakehouse import warehouse
from lakehouse.contract.model import Contract
from lakehouse.lake.store import Store, open_store
from lakehouse.settings import Layer, Role, Settings
from lakehouse.warehouse import HeldLock


@dataclass(frozen=True)
class Lakehouse:
    """One workspace and one source.

    Built once per command or task, since a store keeps the credentials with which it was opened.
    """

    settings: Settings
    contract: Contract

    @classmethod
    def open(cls, settings: Settings) -> Lakehouse:
        """Read the contract of the source that the settings name. Raises ContractError if there is none."""
        from lakehouse.contract.odcs import read_contract  # commands that only query the warehouse need not load it

        return cls(settings, read_contract(settings.contracts_dir, settings.source))

    @cached_property
    def landing(self) -> Store:
        """The store with the files as delivered, and the batches' manifests."""
        return open_store(self.settings, "landing")

    @cached_property
    def bronze(self) -> Store:
        """The store with the records as sent, and the rejected records."""
        return open_store(self.settings, "bronze")

    @cached_property
    def silver(self) -> Store:
        """The store with the typed rows, and the quarantined records."""
        return open_store(self.settings, "silver")

    def layer(self, name: Layer) -> Store:
        """The store of the layer with this name."""
        store: Store = getattr(self, name)
        return store

    def cursor(self, role: Role = "loader", *, autocommit: bool = False) -> AbstractContextManager[Cursor]:
        """A cursor on a new connection to the warehouse; see `warehouse.cursor`."""
        return warehouse.cursor(self.settings, role, autocommit=autocommit)

    def one(self, query: str, *values: object, role: Role = "loader") -> tuple[Any, ...] | None:
        """The first row that a query to the warehouse returns. None if there is no row. Raises WarehouseError."""
        with self.cursor(role) as cursor:
            cursor.execute(query, values)
            row: tuple[Any, ...] | None = cursor.fetchone()
        return row

    def lock(
        self, name: str, *, shared: bool = False, wait_seconds: float | None = None
    ) -> AbstractContextManager[HeldLock]:
        """A lock between the runs of this workspace; see `warehouse.lock`."""
        return warehouse.lock(self.settings, name, shared=shared, wait_seconds=wait_seconds)

    def lock_table(self, table: str) -> AbstractContextManager[HeldLock]:
        """The lock under which a table's batches are written, from bronze to load."""
        return self.lock(f"{self.contract.source}.{table}")
