"""A workspace with marts, whose raw tables the tests fill themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import pytest

from lakehouse import warehouse
from lakehouse.contract.model import Contract
from lakehouse.contract.odcs import read_contract
from lakehouse.lakehouse import Lakehouse
from lakehouse.load import step as load
from lakehouse.marts import step as marts
from lakehouse.settings import PROJECT_DIR, Settings
from tests.embedded.marts.raw_rows import publish

Deliver = Callable[..., None]


@pytest.fixture(scope="session")
def contract() -> Contract:
    return read_contract(PROJECT_DIR / "contracts", "olist")


@pytest.fixture(scope="session")
def deliver(contract: Contract) -> Deliver:
    """Publish rows of a batch: `deliver(settings, "2018-01-01", orders=[{…}])`."""

    def deliver(settings: Settings, day: str, every_key: bool = False, **rows: Sequence[Mapping[str, Any]]) -> None:
        with warehouse.cursor(settings) as cursor:
            publish(cursor, contract, date.fromisoformat(day), rows, every_key=every_key)

    return deliver


@pytest.fixture(scope="module")
def without_marts(new_workspace: Callable[..., Settings], contract: Contract) -> Settings:
    """A workspace with empty raw tables, in which dbt has not built anything."""
    settings = new_workspace()
    load.ensure_tables(Lakehouse(settings, contract))
    return settings


@pytest.fixture(scope="session")
def new_shop(new_workspace: Callable[..., Settings], contract: Contract, deliver: Deliver) -> Callable[[], Settings]:
    """Make a workspace with empty raw tables and marts that hold only the unknown members."""

    def make() -> Settings:
        settings = new_workspace()
        load.ensure_tables(Lakehouse(settings, contract))
        deliver(settings, "2016-01-01", every_key=True, orders=[])
        assert marts.run(Lakehouse(settings, contract)).full_refresh
        return settings

    return make
