"""Runs of the whole pipeline on a small generated shop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from outcomes import Silent

from lakehouse import landing, pipeline
from lakehouse.contract import Contract, read_contract
from lakehouse.pipeline import RunReport
from lakehouse.settings import PROJECT_DIR, Settings
from lakehouse.synthetic import Disturbances, Truth, generate


@pytest.fixture(scope="session")
def contract() -> Contract:
    return read_contract(PROJECT_DIR / "contracts", "olist")


@pytest.fixture(scope="session")
def run(spark: Any, contract: Contract) -> Callable[..., RunReport]:
    """Land the paths, if any are given, and run everything: `run(settings, *paths)`."""

    def run(settings: Settings, *paths: Path, **options: Any) -> RunReport:
        if paths:
            landing.land(settings, contract, paths)
        return pipeline.run(settings, contract, Silent(), spark=spark, **options)

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
def loaded_shop(
    shop: tuple[Path, Truth], new_state: Callable[..., Settings], run: Callable[..., RunReport]
) -> Settings:
    """A state that holds the shop, all days in one run. Tests read it and leave it as it is."""
    settings = new_state()
    run(settings, shop[0])
    return settings
