"""The order of the batches does not matter, nor whether they come one by one; incremental equals full refresh."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from outcomes import all_rows, days_of, differences

from lakehouse.pipeline import RunReport
from lakehouse.settings import Settings
from lakehouse.synthetic import Truth

Run = Callable[..., RunReport]


@pytest.mark.parametrize("seed", [None, 1, 2], ids=["in order", "shuffled", "shuffled otherwise"])
def test_one_batch_at_a_time_gives_the_marts_of_all_at_once(
    seed: int | None, loaded_shop: Settings, shop: tuple[Path, Truth], new_state: Callable[..., Settings], run: Run
) -> None:
    days = days_of(shop[0])
    if seed is not None:
        random.Random(seed).shuffle(days)
    settings = new_state()

    for day in days:
        run(settings, day)

    incremental = all_rows(settings)
    assert differences(incremental, all_rows(loaded_shop)) == {}
    run(settings, full_refresh=True)
    assert differences(incremental, all_rows(settings)) == {}
