"""The real archive, replayed in months and backfilled by Airflow, gives the same rows as the archive in one batch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from benchmarks.airflow_api import Api
from benchmarks.sandbox import environment_of_stack, free_port
from lakehouse.sample_data.replay import replay
from lakehouse.settings import Settings
from tests.stack.conftest import readable_by_all, removed_afterwards, run_embedded
from tests.stack.support.compose import Stack
from tests.support.archive import ARCHIVE, NEEDS_ARCHIVE
from tests.support.lake import NEWEST_BUILT, days_of, differences, query, rows_whatever_the_batches

PROJECT = "lakehouse-backfill-test"
LOADS = "select load_id, table_name, batch_date, loaded_at from ops.load_log order by 1"

# Every CI run has a backfill of two days (test_orchestration.py) and the whole archive (test_end_to_end.py).
pytestmark = [*NEEDS_ARCHIVE, pytest.mark.nightly]


@pytest.fixture(scope="module")
def own_stack(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack for this module, with `arrivals` paused: what is landed waits."""
    ports = {name: str(free_port()) for name in ("POSTGRES_PORT", "AIRFLOW_PORT")}
    with removed_afterwards(
        Stack(PROJECT, environment_of_stack(PROJECT, **ports), tmp_path_factory.mktemp("clients"))
    ) as stack:
        stack.make("up")
        logged_in(stack).pause("arrivals")
        yield stack


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The archive's batches, by date."""
    folder = tmp_path_factory.mktemp("archive") / "months"
    replay(ARCHIVE, folder, "month")
    readable_by_all(folder)
    return days_of(folder)


def test_three_months(own_stack: Stack, months: list[Path], embedded: Settings, tmp_path: Path) -> None:
    """Up to March 2017, when it is a real shop: 5,000 orders and the million places."""
    three = tmp_path / "three"
    as_one(months[:5], three)
    for month in months[5:7]:
        shutil.copytree(month, three / month.name)
    whole = as_one(days_of(three), tmp_path / "whole")

    backfill(own_stack, readable_by_all(three))

    reference = run_embedded(embedded, "three_months", whole)
    assert query(reference, "select count(*) from marts.fct_orders") == [(5_591,)]
    assert differences(rows_whatever_the_batches(own_stack.settings()), rows_whatever_the_batches(reference)) == {}


def test_neither_another_backfill_nor_arrivals_repeats_work(own_stack: Stack, months: list[Path]) -> None:
    before = query(own_stack.settings(), LOADS, "loader")

    said = own_stack.make("backfill", f"FROM={months[5].name}", f"TO={months[6].name}").stdout
    api = logged_in(own_stack)
    api.pause("arrivals", False)
    api.begin("arrivals")
    own_stack.wait(lambda: {run["state"] for run in api.runs("arrivals")} == {"success"}, "arrivals did not end well")
    api.pause("arrivals")

    assert [line.split()[1] for line in said.splitlines()] == ["success", "success"]
    assert {run["run_type"] for run in api.runs("lake")} == {"scheduled", "backfill"}
    assert query(own_stack.settings(), LOADS, "loader") == before


@pytest.mark.timeout(5400)
def test_the_whole_archive(own_stack: Stack, months: list[Path], embedded: Settings) -> None:
    backfill(own_stack, months[0].parent)

    reference = run_embedded(embedded, "archive", ARCHIVE)
    assert differences(rows_whatever_the_batches(own_stack.settings()), rows_whatever_the_batches(reference)) == {}


def backfill(stack: Stack, batches: Path) -> None:
    """Land all batches of the folder in one step, then let Airflow process them day by day."""
    days = [batch.name for batch in days_of(batches)]
    stack.cli("land", "/data", "--workspace", "main", mount=batches)
    said = stack.make("backfill", f"FROM={days[0]}", f"TO={days[-1]}").stdout
    assert sorted(line.split()[:2] for line in said.splitlines()) == [[day, "success"] for day in days]
    stack.wait(lambda: query(stack.settings(), NEWEST_BUILT, "loader") == [(True,)], "the marts were not built")


def logged_in(stack: Stack) -> Api:
    api = stack.airflow()
    api.log_in("airflow", "airflow")
    return api


def as_one(batches: Sequence[Path], parent: Path) -> Path:
    """One batch with the records of all batches in their order, and the date of the last."""
    whole = parent / batches[-1].name
    whole.mkdir(parents=True)
    for file in {file.name for batch in batches for file in batch.iterdir()}:
        with (whole / file).open("wb") as to:
            for number, batch in enumerate(batch for batch in batches if (batch / file).exists()):
                with (batch / file).open("rb") as part:
                    header = part.readline()
                    if number == 0:
                        to.write(header)
                    shutil.copyfileobj(part, to)
    return readable_by_all(whole)
