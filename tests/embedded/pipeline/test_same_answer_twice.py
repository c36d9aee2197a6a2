"""A batch run again changes nothing; a replaced batch gives what a fresh pipeline would give."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from lakehouse.contract.model import Contract
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import step as landing
from lakehouse.pipeline import run as pipeline
from lakehouse.pipeline.run import RunReport
from lakehouse.sample_data.synthetic import Truth
from lakehouse.settings import Settings
from tests.support.lake import all_rows, data_quality, days_of, delta_versions, differences, query

Run = Callable[..., RunReport]


def test_with_nothing_new_nothing_is_written_and_no_spark_is_started(
    loaded_shop: Settings, shop: tuple[Path, Truth], contract: Contract, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    # xmin is the transaction that wrote a row: equal rows with equal xmin were not touched.
    def written() -> list[Any]:
        ops = ("load_log", "batch_counts", "changed_keys", "reconciliation", "mart_reconciliation", "marts_state")
        facts = ("fct_orders", "fct_order_items", "dim_customer")
        tables = [f"ops.{name}" for name in (*ops, "runs")] + [f"marts.{name}" for name in facts] + ["raw_olist.orders"]
        return [query(loaded_shop, f"select xmin::text, * from {t} order by 2, 3, 4", _owner_of(t)) for t in tables]

    def refuse(*_: object) -> None:
        raise AssertionError("Spark was asked for")

    before = delta_versions(loaded_shop, contract), written()
    monkeypatch.setattr("lakehouse.spark.background.SparkWhenNeeded.session", refuse)

    report = run(loaded_shop, shop[0])

    assert not report.did_something
    assert (delta_versions(loaded_shop, contract), written()) == before


def _owner_of(table: str) -> str:
    return "transformer" if table.startswith("marts.") else "loader"


def test_a_corrected_file_replaces_its_table_of_its_batch_everywhere(
    shop: tuple[Path, Truth],
    two_days: Settings,
    copy_of: Callable[[Settings], Settings],
    new_workspace: Callable[..., Settings],
    run: Run,
    tmp_path: Path,
) -> None:
    first, second = days_of(shop[0])[:2]
    settings, fresh = copy_of(two_days), new_workspace()
    corrected = tmp_path / first.name
    corrected.mkdir()
    # The first order is gone, and the status of the second has changed.
    lines = (first / "olist_orders_dataset.csv").read_bytes().split(b"\n")
    changed = lines[2].split(b",")
    gone, altered = lines[1].split(b",")[0].decode(), changed[0].decode()
    changed[2] = b"unavailable"
    (corrected / "olist_orders_dataset.csv").write_bytes(b"\n".join([lines[0], b",".join(changed), *lines[3:]]))
    status_of = f"select order_id, order_status from raw_olist.orders where _batch_date = '{first.name}'"
    before = dict(query(settings, status_of))
    assert gone in before
    assert before[altered] != "unavailable"

    run(settings, corrected)

    whole = tmp_path / "whole" / first.name
    shutil.copytree(first, whole)
    shutil.copy(corrected / "olist_orders_dataset.csv", whole)
    run(fresh, whole, second)
    for schema in ("marts", "raw_olist"):
        assert differences(all_rows(settings, schema), all_rows(fresh, schema)) == {}
    assert data_quality(settings) == data_quality(fresh)
    after = dict(query(settings, status_of))
    assert gone not in after
    assert after[altered] == "unavailable"


def test_a_withdrawn_table_leaves_nothing_behind(
    shop: tuple[Path, Truth],
    two_days: Settings,
    copy_of: Callable[[Settings], Settings],
    new_workspace: Callable[..., Settings],
    run: Run,
    contract: Contract,
    tmp_path: Path,
) -> None:
    first, second = days_of(shop[0])[:2]
    settings, fresh = copy_of(two_days), new_workspace()
    only_there = (
        "select count(*) from marts.fct_orders inner join raw_olist.orders using (order_id) "
        f"where not exists (select from raw_olist.orders as others where others.order_id = fct_orders.order_id "
        f"and others._batch_date <> '{second.name}')"
    )
    assert query(settings, only_there)[0][0] > 0

    landing.remove(Lakehouse(settings, contract), date.fromisoformat(second.name), "orders")
    run(settings)

    without = tmp_path / second.name
    shutil.copytree(second, without)
    (without / "olist_orders_dataset.csv").unlink()
    run(fresh, first, without)
    for schema in ("marts", "raw_olist"):
        assert differences(all_rows(settings, schema), all_rows(fresh, schema)) == {}
    assert data_quality(settings) == data_quality(fresh)
    assert query(settings, f"select count(*) from raw_olist.orders where _batch_date = '{second.name}'") == [(0,)]


def test_a_wiped_lake_is_filled_again_without_another_load(
    first_day: Settings, copy_of: Callable[[Settings], Settings], run: Run
) -> None:
    settings = copy_of(first_day)
    loads = query(settings, "select max(load_id) from ops.load_log", "loader")
    marts = all_rows(settings)
    shutil.rmtree(settings.layer_url("silver"))
    shutil.rmtree(settings.layer_url("bronze"))

    report = run(settings)

    assert {result.step for result in report.results if result.done} == {"bronze", "silver"}
    assert query(settings, "select max(load_id) from ops.load_log", "loader") == loads
    assert differences(all_rows(settings), marts) == {}


def test_what_is_pending_says_why(
    shop: tuple[Path, Truth], first_day: Settings, copy_of: Callable[[Settings], Settings], contract: Contract
) -> None:
    settings = copy_of(first_day)
    days = days_of(shop[0])
    landing.land(Lakehouse(settings, contract), [days[1]])
    landing.remove(Lakehouse(settings, contract), date.fromisoformat(days[0].name), "orders")

    found = {(unit.table, unit.step, unit.why) for unit in pipeline.pending_now(Lakehouse(settings, contract))}

    assert ("orders", "bronze", "withdrawn since") in found
    assert ("customers", "bronze", "not done yet") in found
