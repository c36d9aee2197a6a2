"""The order of the batches does not matter, nor how a history is cut into them; incremental equals full refresh."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lakehouse.pipeline.run import RunReport
from lakehouse.sample_data.synthetic import Truth
from lakehouse.settings import Settings
from tests.support.lake import all_rows, days_of, differences, rows_whatever_the_batches

Run = Callable[..., RunReport]


@pytest.mark.long
def test_batches_run_one_by_one_give_the_marts_of_one_run(
    loaded_shop: Settings, shop: tuple[Path, Truth], new_workspace: Callable[..., Settings], run: Run
) -> None:
    days = days_of(shop[0])
    random.Random(1).shuffle(days)
    settings = new_workspace()

    for day in days:
        run(settings, day)

    # The shop's first build is a full refresh.
    assert differences(all_rows(settings), all_rows(loaded_shop)) == {}


@pytest.mark.long
def test_the_same_history_in_two_batches_gives_the_same_marts(
    loaded_shop: Settings, shop: tuple[Path, Truth], new_workspace: Callable[..., Settings], run: Run, tmp_path: Path
) -> None:
    days = days_of(shop[0])
    earlier, later = in_one_batch(days[:2], tmp_path), in_one_batch(days[2:], tmp_path)
    settings = new_workspace()

    run(settings, later)
    run(settings, earlier)

    assert differences(rows_whatever_the_batches(settings), rows_whatever_the_batches(loaded_shop)) == {}


def in_one_batch(days: Sequence[Path], folder: Path) -> Path:
    """The files of these days, joined in order, as the last day's batch."""
    batch = folder / days[-1].name
    batch.mkdir()
    for day in days:
        for file in day.iterdir():
            header, _, records = file.read_bytes().partition(b"\n")
            target = batch / file.name
            sent = target.read_bytes() if target.exists() else header + b"\n"
            target.write_bytes(sent + records)
    return batch
