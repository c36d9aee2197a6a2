"""Every record is counted at every stage; a run that lost or doubled one fails and names the stage."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from lakehouse import warehouse
from lakehouse.contract.model import Contract
from lakehouse.errors import ReconciliationError
from lakehouse.lake.store import open_store
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import step as landing
from lakehouse.load import raw_tables
from lakehouse.pipeline import reconcile
from lakehouse.pipeline import run as pipeline
from lakehouse.pipeline.run import RunReport
from lakehouse.sample_data.synthetic import Truth
from lakehouse.settings import Settings
from tests.support.lake import Silent, days_of, query

Run = Callable[..., RunReport]
Load = Callable[..., None]
Shop = tuple[Path, Truth]


@pytest.fixture
def day(shop: Shop) -> Path:
    return days_of(shop[0])[0]


@pytest.fixture
def sellers(day: Path, tmp_path: Path) -> Path:
    """A batch of one small table."""
    folder = tmp_path / day.name
    folder.mkdir()
    shutil.copy(day / "olist_sellers_dataset.csv", folder)
    return folder


@pytest.fixture
def load(contract: Contract, spark: Any) -> Callable[..., None]:
    """Land the paths, if any are given, load everything into raw_olist and count it: `run` without the marts."""

    def load(settings: Settings, *paths: Path) -> None:
        if paths:
            landing.land(Lakehouse(settings, contract), paths)
        raw_tables.ensure(Lakehouse(settings, contract))
        reconcile.tables(
            Lakehouse(settings, contract), pipeline.run_lake(Lakehouse(settings, contract), Silent(), spark)
        )

    return load


def execute(settings: Settings, statement: str, role: str = "loader") -> None:
    with warehouse.cursor(settings, role) as cursor:  # type: ignore[arg-type]
        cursor.execute(statement)


def test_the_equations_hold_for_every_batch(loaded_shop: Settings) -> None:
    broken = query(
        loaded_shop,
        "select * from ops.reconciliation where not holds or records <> bronze + rejected or silver <> raw "
        "or bronze <> silver + duplicates + superseded + quarantined",
        "loader",
    )

    assert broken == []
    assert query(loaded_shop, "select count(*) from ops.reconciliation", "loader")[0][0] > 30


def test_every_fact_has_as_many_rows_as_its_source_has_keys(loaded_shop: Settings, contract: Contract) -> None:
    reconcile.facts(Lakehouse(loaded_shop, contract), all_keys=True)

    facts = query(
        loaded_shop,
        "select mart, source_rows, mart_rows, holds from ops.mart_reconciliation order by 1",
        "loader",
    )

    tables = {
        "marts.fct_order_items": "distinct (order_id, order_item_id)) from raw_olist.order_items",
        "marts.fct_orders": "distinct order_id) from raw_olist.orders",
        "marts.fct_payments": "distinct (order_id, payment_sequential)) from raw_olist.order_payments",
        "marts.fct_reviews": "distinct (review_id, order_id)) from raw_olist.order_reviews",
    }
    keys = {mart: query(loaded_shop, f"select count({what}", "loader")[0][0] for mart, what in tables.items()}
    assert facts == [(mart, rows, rows, True) for mart, rows in keys.items()]


BREAKS: dict[str, tuple[Callable[[Settings], None], str]] = {
    "a record missing in bronze": (
        lambda settings: _delete(settings, "bronze", "olist/sellers"),
        r"sellers in batch 2018-01-01: \d+ records in file, but \d+ in bronze \+ \d+ rejected",
    ),
    "a record missing in silver": (
        lambda settings: _delete(settings, "silver", "olist/sellers"),
        r"sellers in batch 2018-01-01: \d+ in bronze, but \d+ in silver \+",
    ),
    "a record missing in the warehouse": (
        lambda settings: execute(
            settings,
            "delete from raw_olist.sellers where seller_id = (select min(seller_id) from raw_olist.sellers)",
        ),
        r"sellers in batch 2018-01-01: \d+ in silver, but \d+ in the warehouse",
    ),
    "a record doubled in the warehouse": (
        lambda settings: execute(
            settings, "insert into raw_olist.sellers select * from raw_olist.sellers order by 1 limit 1"
        ),
        r"sellers in batch 2018-01-01: \d+ in silver, but \d+ in the warehouse",
    ),
}


def _delete(settings: Settings, layer: Any, key: str) -> None:
    table = DeltaTable(open_store(settings, layer).delta_url(key))
    deleted = table.delete("_row = 2")
    assert deleted["num_deleted_rows"] == 1


@pytest.mark.parametrize(("harm", "message"), BREAKS.values(), ids=BREAKS)
def test_a_run_that_broke_an_equation_fails_and_names_it_until_it_holds_again(
    harm: Callable[[Settings], None],
    message: str,
    sellers: Path,
    new_workspace: Callable[..., Settings],
    run: Run,
    contract: Contract,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = new_workspace()
    count = reconcile.tables

    def count_harmed(lakehouse: Lakehouse, *rest: Any) -> Any:
        harm(lakehouse.settings)
        return count(lakehouse, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(reconcile, "tables", count_harmed)
        with pytest.raises(ReconciliationError, match=message):
            run(settings, sellers)

    assert query(settings, "select table_name, holds from ops.reconciliation", "loader") == [("sellers", False)]
    # Nothing is pending any more, but the next run still checks it.
    with pytest.raises(ReconciliationError, match=message):
        run(settings)


def test_the_next_run_counts_what_a_killed_run_did_not(
    sellers: Path, new_workspace: Callable[..., Settings], load: Load, contract: Contract, spark: Any
) -> None:
    settings = new_workspace()
    landing.land(Lakehouse(settings, contract), [sellers])
    raw_tables.ensure(Lakehouse(settings, contract))
    pipeline.run_lake(Lakehouse(settings, contract), Silent(), spark)
    assert query(settings, "select 1 from ops.reconciliation", "loader") == []

    load(settings)

    assert query(settings, "select table_name, holds from ops.reconciliation", "loader") == [("sellers", True)]


def test_a_run_with_a_batch_of_its_own_counts_of_others_only_what_is_left_over(
    sellers: Path, new_workspace: Callable[..., Settings], contract: Contract, spark: Any
) -> None:
    settings = new_workspace()
    landing.land(Lakehouse(settings, contract), [sellers])
    raw_tables.ensure(Lakehouse(settings, contract))
    pipeline.run_lake(Lakehouse(settings, contract), Silent(), spark)
    own = date.fromisoformat(sellers.name)
    another = date(2020, 1, 1)

    assert reconcile.tables(Lakehouse(settings, contract), batch_date=another) == []
    execute(settings, "update ops.load_log set loaded_at = now() - interval '16 minutes'")
    (left_over,) = reconcile.tables(Lakehouse(settings, contract), batch_date=another)
    execute(settings, "delete from ops.reconciliation; update ops.load_log set loaded_at = now()")
    (counted,) = reconcile.tables(Lakehouse(settings, contract), batch_date=own)

    execute(settings, "update ops.reconciliation set holds = false")
    assert reconcile.tables(Lakehouse(settings, contract), batch_date=another) == [counted]

    assert left_over == counted
    assert (counted.table, counted.batch_date) == ("sellers", own)


def test_a_redelivery_during_the_count_is_no_loss(
    sellers: Path, new_workspace: Callable[..., Settings], load: Load, contract: Contract, spark: Any
) -> None:
    settings = new_workspace()
    landing.land(Lakehouse(settings, contract), [sellers])
    raw_tables.ensure(Lakehouse(settings, contract))
    results = pipeline.run_lake(Lakehouse(settings, contract), Silent(), spark)
    file = sellers / "olist_sellers_dataset.csv"
    file.write_bytes(b"\n".join(file.read_bytes().split(b"\n")[:-3]) + b"\n")
    landing.land(Lakehouse(settings, contract), [sellers])

    counted_too_late = reconcile.tables(Lakehouse(settings, contract), results)
    load(settings)

    assert counted_too_late == []
    assert query(settings, "select table_name, holds from ops.reconciliation", "loader") == [("sellers", True)]


def test_every_run_names_a_fact_that_lacks_a_row(
    first_day: Settings, copy_of: Callable[[Settings], Settings], run: Run, contract: Contract
) -> None:
    settings = copy_of(first_day)
    execute(
        settings,
        "delete from marts.fct_payments where order_id = (select min(order_id) from marts.fct_payments)",
        "transformer",
    )

    with pytest.raises(ReconciliationError, match=r"marts\.fct_payments: \d+ rows, but \d+ current keys"):
        reconcile.facts(Lakehouse(settings, contract))

    with pytest.raises(ReconciliationError, match=r"marts\.fct_payments"):
        run(settings)


def test_a_withdrawn_table_counts_zero_at_every_stage(
    sellers: Path, new_workspace: Callable[..., Settings], load: Load, contract: Contract
) -> None:
    settings = new_workspace()
    load(settings, sellers)

    landing.remove(Lakehouse(settings, contract), date.fromisoformat(sellers.name), "sellers")
    load(settings)

    assert query(
        settings,
        "select records, rejected, bronze, duplicates, superseded, quarantined, silver, raw, holds "
        "from ops.reconciliation",
        "loader",
    ) == [(0, 0, 0, 0, 0, 0, 0, 0, True)]
