"""A state whose raw tables the tests fill themselves, and whose marts exist."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import pytest
from raw_rows import publish

from lakehouse import load, marts, warehouse
from lakehouse.contract import Contract, read_contract
from lakehouse.settings import PROJECT_DIR, Settings

Deliver = Callable[..., None]


@pytest.fixture(scope="session")
def contract() -> Contract:
    return read_contract(PROJECT_DIR / "contracts", "olist")


@pytest.fixture(scope="session")
def deliver(contract: Contract) -> Deliver:
    """Publish rows of a batch: `deliver(settings, "2018-01-01", orders=[{…}])`."""

    def deliver(settings: Settings, day: str, every_key: bool = False, **rows: Sequence[Mapping[str, Any]]) -> None:
        with warehouse.connect(settings, "loader") as connection, connection.cursor() as cursor:
            publish(cursor, contract, date.fromisoformat(day), rows, every_key=every_key)

    return deliver


@pytest.fixture(scope="session")
def new_shop(new_state: Callable[..., Settings], contract: Contract, deliver: Deliver) -> Callable[[], Settings]:
    """Makes a state with empty raw tables and marts that hold the unknown members only."""

    def make() -> Settings:
        settings = new_state()
        load.ensure_tables(settings, contract)
        deliver(settings, "2016-01-01", every_key=True, orders=[])
        assert marts.run(settings, contract).full_refresh
        return settings

    return make
