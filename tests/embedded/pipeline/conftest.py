"""Runs of the whole pipeline on a small generated shop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lakehouse import warehouse
from lakehouse.contract.model import Contract
from lakehouse.contract.odcs import read_contract
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import step as landing
from lakehouse.pipeline import run as pipeline
from lakehouse.pipeline.run import RunReport
from lakehouse.sample_data.synthetic import Disturbances, Truth, generate
from lakehouse.settings import PROJECT_DIR, Settings
from tests.support.lake import Silent, days_of

# The shop has five days, in which few orders are delivered and none is late. Its orders are spread over 420 days, so
# that there are months and a year before, and four of five are delivered, some of them late. `number`: of an order.
NUMBER = "cast(('x' || substr(md5(order_id), 1, 6)) as bit(24)) :: integer"
SPREAD = f"""
    update marts.fct_orders
    set
        delivered_at = case when {NUMBER} % 5 > 0 then timestamp '2018-01-01 12:00' end,
        delivery_days = case when {NUMBER} % 5 > 0 then {NUMBER} % 31 end,
        delay_days = case when {NUMBER} % 5 > 0 then {NUMBER} % 17 - 8 end,
        is_late = case when {NUMBER} % 5 > 0 then {NUMBER} % 17 - 8 > 0 end;
    update marts.dim_order
    set
        delivery = case when is_late then 'late' when is_late = false then 'on time' else 'not delivered' end
    from marts.fct_orders
    where dim_order.order_id = fct_orders.order_id;
    update marts.fct_order_items
    set is_handed_over_late = case when {NUMBER} % 7 > 0 then {NUMBER} % 3 = 0 end;
    update marts.fct_reviews
    set is_created_before_delivery = case when {NUMBER} % 3 > 0 then {NUMBER} % 3 = 1 end;
"""
SPREAD_DATES = f"""
    update marts.{{fact}}
    set purchase_date_key = cast(to_char(date '2017-02-01' + {NUMBER} % 420, 'YYYYMMDD') as integer)
    where purchase_date_key <> 0;
"""
FACTS = ("fct_orders", "fct_order_items", "fct_payments", "fct_reviews")


@pytest.fixture(scope="session")
def contract() -> Contract:
    return read_contract(PROJECT_DIR / "contracts", "olist")


@pytest.fixture(scope="session")
def run(spark: Any, contract: Contract) -> Callable[..., RunReport]:
    """Land the paths, if any are given, and run everything: `run(settings, *paths)`."""

    def run(settings: Settings, *paths: Path, **options: Any) -> RunReport:
        if paths:
            landing.land(Lakehouse(settings, contract), paths)
        return pipeline.run(Lakehouse(settings, contract), Silent(), spark=spark, **options)

    return run


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory, contract: Contract) -> tuple[Path, Truth]:
    """Five days of a small shop with every fault, late and repeated rows and changes; and the truth about it."""
    folder = tmp_path_factory.mktemp("shop") / "batches"
    disturbances = Disturbances(seller_changes=0.1, product_changes=0.1)
    return folder, generate(
        folder, seed=7, scale=0.15, days=5, faults=0.002, disturbances=disturbances, contract=contract
    )


@pytest.fixture(scope="session")
def first_day(
    shop: tuple[Path, Truth], new_workspace: Callable[..., Settings], run: Callable[..., RunReport]
) -> Settings:
    """A workspace that holds the first day of the shop. Tests take a copy of it."""
    settings = new_workspace()
    run(settings, days_of(shop[0])[0])
    return settings


@pytest.fixture(scope="session")
def two_days(
    shop: tuple[Path, Truth], new_workspace: Callable[..., Settings], run: Callable[..., RunReport]
) -> Settings:
    """A workspace that holds the first two days of the shop, both in one run. Tests read it or take a copy of it."""
    settings = new_workspace()
    run(settings, *days_of(shop[0])[:2])
    return settings


@pytest.fixture(scope="session")
def loaded_shop(
    shop: tuple[Path, Truth], new_workspace: Callable[..., Settings], run: Callable[..., RunReport]
) -> Settings:
    """A workspace that holds the shop, all days in one run. Tests only read it."""
    settings = new_workspace()
    run(settings, shop[0])
    return settings


@pytest.fixture(scope="session")
def months(loaded_shop: Settings, copy_of: Callable[[Settings], Settings]) -> Settings:
    """A workspace with the shop's orders, spread over fourteen months. Tests only read it."""
    settings = copy_of(loaded_shop)
    with warehouse.cursor(settings, "transformer") as cursor:
        cursor.execute(SPREAD + "".join(SPREAD_DATES.format(fact=fact) for fact in FACTS))
    return settings
