"""A batch run again changes nothing; a batch replaced gives what a fresh pipeline would give."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from outcomes import all_rows, days_of, delta_versions, differences, query

from lakehouse import landing, pipeline
from lakehouse.contract import Contract
from lakehouse.pipeline import RunReport
from lakehouse.settings import Settings
from lakehouse.synthetic import Truth

Run = Callable[..., RunReport]


def test_with_nothing_new_nothing_is_written_and_no_spark_is_started(
    loaded_shop: Settings, shop: tuple[Path, Truth], contract: Contract, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    # xmin is the transaction that wrote a row: equal rows with equal xmin were not touched.
    def written() -> list[Any]:
        ops = ("load_log", "changed_keys", "reconciliation", "mart_reconciliation", "marts_state", "runs")
        facts = ("fct_orders", "fct_order_items", "dim_customer")
        tables = [f"ops.{name}" for name in ops] + [f"marts.{name}" for name in facts] + ["raw_olist.orders"]
        return [query(loaded_shop, f"select xmin::text, * from {t} order by 2, 3, 4", _owner_of(t)) for t in tables]

    def refuse(*_: object) -> None:
        raise AssertionError("Spark was asked for")

    before = delta_versions(loaded_shop, contract), written()
    monkeypatch.setattr("lakehouse.pipeline.SparkWhenNeeded.session", refuse)

    report = run(loaded_shop, shop[0])

    assert not report.did_something
    assert (delta_versions(loaded_shop, contract), written()) == before


def _owner_of(table: str) -> str:
    return "transformer" if table.startswith("marts.") else "loader"


def test_a_corrected_file_replaces_its_table_of_its_batch_everywhere(
    shop: tuple[Path, Truth], new_state: Callable[..., Settings], run: Run, tmp_path: Path
) -> None:
    days = days_of(shop[0])
    settings, fresh = new_state(), new_state()
    run(settings, *days[:3])
    corrected = tmp_path / days[1].name
    corrected.mkdir()
    # The first order is gone, the status of the second is another one.
    lines = (days[1] / "olist_orders_dataset.csv").read_bytes().split(b"\n")
    gone, changed = lines[1].split(b",")[0].decode(), lines[2].split(b",")
    changed[2] = b"unavailable"
    (corrected / "olist_orders_dataset.csv").write_bytes(b"\n".join([lines[0], b",".join(changed), *lines[3:]]))

    run(settings, corrected)

    everything = tmp_path / "everything" / days[1].name
    everything.mkdir(parents=True)
    for file in days[1].iterdir():
        source = corrected / file.name if (corrected / file.name).exists() else file
        (everything / file.name).write_bytes(source.read_bytes())
    run(fresh, days[0], everything, days[2])
    assert differences(all_rows(settings), all_rows(fresh)) == {}
    assert (
        query(settings, f"select 1 from raw_olist.orders where order_id = '{gone}' and _batch_date = '{days[1].name}'")
        == []
    )


def test_a_withdrawn_table_leaves_nothing_of_itself(
    shop: tuple[Path, Truth], new_state: Callable[..., Settings], run: Run, contract: Contract, tmp_path: Path
) -> None:
    days = days_of(shop[0])
    settings, fresh = new_state(), new_state()
    run(settings, *days[:3])

    landing.remove(settings, contract, date.fromisoformat(days[2].name), "orders")
    run(settings)

    without = tmp_path / days[2].name
    without.mkdir()
    for file in days[2].iterdir():
        if file.name != "olist_orders_dataset.csv":
            (without / file.name).write_bytes(file.read_bytes())
    run(fresh, *days[:2], without)
    assert differences(all_rows(settings), all_rows(fresh)) == {}
    assert query(settings, f"select count(*) from raw_olist.orders where _batch_date = '{days[2].name}'") == [(0,)]


def test_a_wiped_lake_is_filled_again_without_loading_anything_anew(
    shop: tuple[Path, Truth], new_state: Callable[..., Settings], run: Run
) -> None:
    import shutil

    settings = new_state()
    run(settings, days_of(shop[0])[0])
    loads = query(settings, "select max(load_id) from ops.load_log", "loader")
    marts = all_rows(settings)
    shutil.rmtree(settings.layer_url("silver"))
    shutil.rmtree(settings.layer_url("bronze"))

    report = run(settings)

    assert {result.step for result in report.results if result.done} == {"bronze", "silver"}
    assert query(settings, "select max(load_id) from ops.load_log", "loader") == loads
    assert differences(all_rows(settings), marts) == {}


def test_what_is_pending_says_why(
    shop: tuple[Path, Truth], new_state: Callable[..., Settings], run: Run, contract: Contract
) -> None:
    settings = new_state()
    days = days_of(shop[0])
    run(settings, days[0])
    landing.land(settings, contract, [days[1]])
    landing.remove(settings, contract, date.fromisoformat(days[0].name), "orders")

    found = {(unit.table, unit.step, unit.why) for unit in pipeline.pending_now(settings, contract)}

    assert ("orders", "bronze", "withdrawn since") in found
    assert ("customers", "bronze", "not done yet") in found
