"""Two runs at the same time: the second waits, or stops with a clear message; nothing is ever doubled."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lakehouse import warehouse
from lakehouse.contract.model import Contract
from lakehouse.errors import LakehouseError
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import step as landing
from lakehouse.pipeline import run as pipeline
from lakehouse.sample_data.synthetic import Truth
from lakehouse.settings import Settings
from tests.support.lake import Silent, all_rows, days_of, differences


def test_two_runs_at_the_same_time_give_the_result_of_one(
    shop: tuple[Path, Truth],
    two_days: Settings,
    new_workspace: Callable[..., Settings],
    contract: Contract,
    spark: Any,
) -> None:
    # One waits while the other builds the marts, on a busy machine for more than the default half minute.
    settings = new_workspace().model_copy(update={"lock_wait_seconds": 300})
    landing.land(Lakehouse(settings, contract), days_of(shop[0])[:2])
    failures: list[BaseException] = []

    def one_of_two() -> None:
        try:
            pipeline.run(Lakehouse(settings, contract), Silent(), spark=spark)
        except BaseException as error:  # noqa: BLE001 - the test shows it
            failures.append(error)

    both = [threading.Thread(target=one_of_two) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()

    assert failures == []
    assert differences(all_rows(settings), all_rows(two_days)) == {}
    assert differences(all_rows(settings, "raw_olist"), all_rows(two_days, "raw_olist")) == {}


def test_a_run_that_must_not_wait_names_the_lock_and_its_holder(
    shop: tuple[Path, Truth], new_workspace: Callable[..., Settings], contract: Contract, spark: Any
) -> None:
    settings = new_workspace(lock_wait_seconds=0)
    landing.land(Lakehouse(settings, contract), [days_of(shop[0])[0]])

    with (
        warehouse.lock(settings, "olist.orders"),
        pytest.raises(LakehouseError, match=r"olist\.orders is held by another run[\s\S]*pid"),
    ):
        pipeline.run(Lakehouse(settings, contract), Silent(), spark=spark)
