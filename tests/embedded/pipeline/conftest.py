"""Runs of the whole pipeline on a small generated shop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lakehouse.contract.model import Contract
from lakehouse.contract.odcs import read_contract
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import step as landing
from lakehouse.pipeline import run as pipeline
from lakehouse.pipeline.run import RunReport
from lakehouse.sample_data.synthetic import Disturbances, Truth, generate
from lakehouse.settings import PROJECT_DIR, Settings
from tests.support.lake import Silent, days_of


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
