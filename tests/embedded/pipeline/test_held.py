"""A table whose batch is mostly bad is held: what was loaded stays, everything else goes on, and a person decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lakehouse.contract.model import Contract
from lakehouse.errors import BatchHeld
from lakehouse.lake.bad_records import Reason
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import step as landing
from lakehouse.load import held, raw_tables
from lakehouse.pipeline import reconcile, summary
from lakehouse.pipeline import run as pipeline
from lakehouse.settings import Settings
from lakehouse.steps import StepResult
from tests.embedded.pipeline.commands import command
from tests.support.lake import Silent, query

SELLERS, DAY = 10, "2018-01-05"
TRANSLATION = "product_category_name_translation.csv"


@pytest.fixture
def delivery(tmp_path: Path) -> Path:
    """A batch of two small tables without a fault."""
    folder = tmp_path / DAY
    folder.mkdir()
    (folder / TRANSLATION).write_text("product_category_name,product_category_name_english\nartes,art\npet_shop,pets\n")
    write_sellers(folder, bad=0)
    return folder


def write_sellers(delivery: Path, bad: int) -> None:
    """Ten sellers. The prefixes of the first ones are numbers with a point, as a program for tables saves them."""
    rows = [f"{number:032x},{'1307.0' if number < bad else '13070'},campinas,SP" for number in range(SELLERS)]
    header = "seller_id,seller_zip_code_prefix,seller_city,seller_state"
    (delivery / "olist_sellers_dataset.csv").write_text("\n".join([header, *rows]) + "\n")


@pytest.fixture
def load(contract: Contract, spark: Any) -> Callable[..., list[StepResult]]:
    """Land the delivery, load everything and count it: `run` without the marts."""

    def load(settings: Settings, delivery: Path | None = None, of: Contract = contract) -> list[StepResult]:
        lakehouse = Lakehouse(settings, of)
        if delivery:
            landing.land(lakehouse, [delivery])
        raw_tables.ensure(lakehouse)
        results = pipeline.run_lake(lakehouse, Silent(), spark)
        reconcile.tables(lakehouse, results)
        return results

    return load


def loaded(settings: Settings) -> dict[str, int]:
    return dict(query(settings, "select table_name, rows from ops.load_log where is_current", "loader"))


def counted(settings: Settings) -> list[tuple[Any, ...]]:
    statement = "select records, quarantined, raw, is_held, holds from ops.reconciliation where table_name = 'sellers'"
    return query(settings, statement, "loader")


@pytest.mark.parametrize(
    ("records", "bad", "share", "expected"),
    [(10, 5, 0.5, False), (10, 6, 0.5, True), (0, 0, 0.0, False), (1, 1, 1.0, False), (3, 1, 0.0, True)],
    ids=["half", "more than half", "an empty file", "1 holds nothing", "0 holds each"],
)
@pytest.mark.parametrize("rejected", [0, 1], ids=["quarantined", "one of them rejected"])
def test_a_batch_is_held_above_a_share(records: int, bad: int, share: float, expected: bool, rejected: int) -> None:
    rejected = min(rejected, bad)
    counts = {"bronze": records - rejected, "quarantined": bad - rejected, "superseded": 1, "duplicates": 1}

    assert held.is_held(records, counts, share) is expected


def test_what_was_loaded_stays_other_tables_go_on_and_the_error_says_why(
    settings: Settings, contract: Contract, delivery: Path, load: Callable[..., list[StepResult]]
) -> None:
    load(settings, delivery)
    before, rows = loaded(settings), query(settings, "select * from raw_olist.sellers order by _row", "loader")
    write_sellers(delivery, bad=SELLERS)
    (delivery / TRANSLATION).write_text("product_category_name,product_category_name_english\nbeleza,beauty\n")

    results = load(settings, delivery)

    assert {result.table for result in results if result.is_held} == {"sellers"}
    assert query(settings, "select * from raw_olist.sellers order by _row", "loader") == rows
    assert loaded(settings) == {**before, "category_translation": 1}
    assert counted(settings) == [(SELLERS, SELLERS, 0, True, True)]
    with pytest.raises(BatchHeld) as error:
        pipeline.stop_if_held(Lakehouse(settings, contract))
    assert str(error.value).splitlines() == [
        "Not loaded, because too many records are bad. What was loaded before stays:",
        "  sellers of 2018-01-05 is held: 10 of 10 records (100.00%) were rejected or quarantined",
        "    10 seller_zip_code_prefix: does not match [0-9]{5}; for example 1307.0 in row 1",
        "Correct the files and land them again. Or load what is good of them: "
        "`lakehouse accept sellers --batch-date 2018-01-05`, then `lakehouse run`.",
    ]


def test_the_commands_say_so_and_what_a_user_accepts_is_loaded_until_the_next_delivery(
    settings: Settings, contract: Contract, delivery: Path, load: Callable[..., list[StepResult]]
) -> None:
    write_sellers(delivery, bad=6)
    results = load(settings, delivery)
    of_workspace = ("--workspace", settings.workspace_name)

    reasons = summary.commonest_reasons(Lakehouse(settings, contract), results, 3)
    done = [command(settings, step, *of_workspace) for step in ("silver", "load")]
    status = command(settings, "status", *of_workspace).stdout
    quarantine = command(settings, "quarantine", "--counts", *of_workspace)
    accepted = [command(settings, "accept", "sellers", "--batch-date", DAY, *of_workspace) for _ in range(2)]

    assert reasons == [("sellers", Reason("seller_zip_code_prefix: does not match [0-9]{5}", 6, "1307.0", 1))]
    assert [each.returncode for each in done] == [1, 1]
    assert all("sellers of 2018-01-05 is held: 6 of 10 records" in each.stderr for each in done)
    assert "held: 6 of 10 records (60.00%)" in status and f"accept sellers --batch-date {DAY}" in status
    assert "sellers of 2018-01-05 is held" in quarantine.stderr and "1307" not in quarantine.stderr
    assert [each.returncode for each in accepted] == [0, 1]
    assert "is not held" in accepted[1].stderr
    load(settings)
    assert loaded(settings)["sellers"] == 4
    assert counted(settings) == [(SELLERS, 6, 4, False, True)]
    write_sellers(delivery, bad=7)
    assert [result.table for result in load(settings, delivery) if result.is_held] == ["sellers"]


def test_while_it_is_held_nothing_is_written_and_no_spark_starts(
    settings: Settings, contract: Contract, delivery: Path, load: Callable[..., list[StepResult]]
) -> None:
    write_sellers(delivery, bad=SELLERS)
    load(settings, delivery)
    noted = (
        "select xmin::text, checked_at from ops.reconciliation "
        "union all select xmin::text, loaded_at from ops.batch_counts order by 1, 2"
    )
    before = query(settings, noted, "loader")

    lakehouse = Lakehouse(settings, contract)
    results = pipeline.run_lake(lakehouse, Silent())  # without a session, it would start one
    reconcile.tables(lakehouse, results)

    assert [(result.table, result.done, result.is_held) for result in results] == [("sellers", False, True)]
    assert query(settings, noted, "loader") == before


def test_a_corrected_file_ends_it(settings: Settings, delivery: Path, load: Callable[..., list[StepResult]]) -> None:
    write_sellers(delivery, bad=6)
    load(settings, delivery)
    assert "sellers" not in loaded(settings)
    write_sellers(delivery, bad=5)

    load(settings, delivery)

    assert loaded(settings)["sellers"] == 5
    assert counted(settings) == [(SELLERS, 5, 5, False, True)]


def test_a_contract_may_allow_another_share(
    settings: Settings, contract: Contract, delivery: Path, load: Callable[..., list[StepResult]]
) -> None:
    write_sellers(delivery, bad=7)
    tables = [replace(t, hold_above_share=0.7) if t.name == "sellers" else t for t in contract.tables]

    assert not any(result.is_held for result in load(settings, delivery, replace(contract, tables=tuple(tables))))
