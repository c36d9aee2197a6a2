"""A type changes in the contract: readers see the old history or the new one, whole; never a part."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lakehouse.contract.model import ColumnType
from lakehouse.errors import BatchHeld, LakehouseError
from lakehouse.lake import ledger
from lakehouse.lake.ledger import read_ledger
from lakehouse.landing.manifest import manifest_key, read_manifest
from lakehouse.load import step as load
from lakehouse.pipeline import reconcile
from lakehouse.pipeline import run as pipeline
from lakehouse.silver import rebuild
from lakehouse.silver import step as silver
from tests.support.lake import Silent
from tests.support.made_up_shop import FIRST, SECOND, Shop

OLD = [("o1", 1), ("o2", 2)]


@pytest.fixture
def shop(new_workspace: Any, spark: Any, tmp_path: Any) -> Shop:
    """Two batches of one row each, loaded."""
    shop = Shop(new_workspace(source="shop"), spark, tmp_path / "delivery")
    shop.load("o1,1,1.00,new,")
    shop.load("o2,2,1.00,new,", day=SECOND)
    return shop


def with_type(shop: Shop, kind: ColumnType, column: str = "item") -> Shop:
    """The same workspace, after the type of a column was changed, and bronze made again."""
    columns = tuple(replace(c, type=kind) if c.name == column else c for c in shop.table.columns)
    changed = shop.with_table(replace(shop.table, columns=columns))
    pipeline.run_step(changed.lakehouse, "bronze", Silent())
    return changed


def to_silver(shop: Shop, day: Any) -> Any:
    manifest = read_manifest(shop.lakehouse, day)
    assert manifest
    return shop.to_silver(manifest)


def to_raw(shop: Shop, day: Any) -> Any:
    manifest = read_manifest(shop.lakehouse, day)
    assert manifest
    return shop.to_raw(manifest)


@pytest.mark.parametrize("kind", [ColumnType("bigint"), ColumnType("text")], ids=str)
def test_readers_of_silver_see_the_old_history_until_the_new_one_is_whole(shop: Shop, kind: ColumnType) -> None:
    changed = with_type(shop, kind)

    to_silver(changed, SECOND)
    assert shop.silver("order_id, item") == OLD
    assert set(read_ledger(shop.lakehouse.silver, "shop/orders").entries) == {FIRST}

    to_silver(changed, FIRST)
    new = [(order, str(item) if kind.kind == "text" else item) for order, item in OLD]
    assert changed.silver("order_id, item") == new
    assert changed.delta_table().schema().to_arrow().field("item").type == kind.arrow
    assert [to_silver(changed, day).done for day in (FIRST, SECOND)] == [False, False]
    assert changed.lakehouse.silver.keys("rebuilding") == []


def test_a_killed_run_keeps_what_it_made_beside_the_table(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = with_type(shop, ColumnType("bigint"))
    to_silver(changed, SECOND)

    with monkeypatch.context() as patch:
        patch.setattr(silver, "_make", None)
        to_silver(changed, SECOND)
    with monkeypatch.context() as patch, pytest.raises(TypeError):
        patch.setattr(ledger, "record_all", None)  # killed after the swap, before it is noted
        to_silver(changed, FIRST)

    assert [to_silver(changed, day).done for day in (FIRST, SECOND)] == [True, True]
    assert changed.silver("order_id, item") == OLD
    rebuild.drop_leftovers(changed.lakehouse.silver, changed.table)
    assert changed.lakehouse.silver.keys("rebuilding") == []


def test_a_type_that_is_changed_back_leaves_everything_as_it_was(shop: Shop) -> None:
    to_silver(with_type(shop, ColumnType("integer"), "order_id"), SECOND)
    assert len(shop.quarantine()) == 1

    pipeline.run_step(shop.lakehouse, "bronze", Silent())
    assert [to_silver(shop, day).done for day in (FIRST, SECOND)] == [False, True]
    assert [to_raw(shop, day).done for day in (FIRST, SECOND)] == [False, False]
    assert (shop.silver("order_id, item"), shop.quarantine()) == (OLD, [])


def test_a_batch_that_is_gone_from_landing_keeps_the_table_as_it_is(shop: Shop) -> None:
    changed = with_type(shop, ColumnType("bigint"))
    changed.lakehouse.landing.delete(manifest_key("shop", FIRST))

    with pytest.raises(LakehouseError, match=r"no longer in landing \(2018-01-05\)"):
        to_silver(changed, SECOND)

    assert shop.silver("order_id, item") == OLD
    assert shop.raw("order_id, item") == OLD


def test_the_warehouse_changes_at_once_when_silver_has_all(shop: Shop) -> None:
    shop.query("create view raw_shop.seen as select item from raw_shop.orders; select 1")
    changed = with_type(shop, ColumnType("bigint"))
    load.ensure_tables(changed.lakehouse)
    to_silver(changed, SECOND)
    with pytest.raises(LakehouseError, match="lakehouse silver"):
        to_raw(changed, SECOND)
    assert shop.raw("order_id, item, pg_typeof(item)::text") == [(*row, "integer") for row in OLD]
    to_silver(changed, FIRST)

    result = to_raw(changed, SECOND)

    assert (result.done, result.counts) == (True, {"silver": 1, "raw": 1})
    assert not to_raw(changed, FIRST).done
    assert changed.raw("order_id, item, pg_typeof(item)::text") == [(*row, "bigint") for row in OLD]
    newest = "select key from ops.changed_keys where load_id = (select max(load_id) from ops.load_log)"
    assert changed.query(newest) == [(None,)], "every key"
    changed.load("o3,3000000000,1.00,new,", day=SECOND)
    assert changed.raw("order_id, item") == [("o1", 1), ("o3", 3_000_000_000)]


def test_a_batch_that_silver_does_not_hold_anymore_keeps_the_old_table(shop: Shop) -> None:
    changed = with_type(shop, ColumnType("bigint"))
    for day in (FIRST, SECOND):
        to_silver(changed, day)
    changed.deliver("o1,9,1.00,new,")  # again, and not yet in silver

    with pytest.raises(LakehouseError, match=r"silver does not hold .* \(2018-01-05\)"):
        to_raw(changed, SECOND)

    assert shop.raw("order_id, item") == OLD


def test_a_held_batch_keeps_the_old_table(shop: Shop) -> None:
    shop.load("2,2,1.00,new,", day=SECOND)
    changed = with_type(shop, ColumnType("integer"), "order_id")
    for day in (FIRST, SECOND):
        to_silver(changed, day)

    assert [to_raw(changed, day).is_held for day in (FIRST, SECOND)] == [True, True]
    assert shop.raw("order_id, item") == [("o1", 1), ("2", 2)]
    (waiting,) = pipeline.pending_now(changed.lakehouse, batch_date=SECOND)
    assert (waiting.is_held, waiting.waits_for) == (True, FIRST)
    with pytest.raises(BatchHeld) as held:
        pipeline.stop_if_held(changed.lakehouse, table="orders", batch_date=SECOND)
    assert "orders of 2018-01-06 waits for the batch of 2018-01-05, which is held: 1 of 1 records" in str(held.value)
    assert "order_id: not a valid integer" in str(held.value)
    assert "`lakehouse accept orders --batch-date 2018-01-05`" in str(held.value)
    quality = "select batch_date, loaded, is_held from ops.batch_counts order by 1"
    assert shop.query(quality) == [(FIRST, 0, True), (SECOND, 0, True)]
    (count,) = reconcile.tables(changed.lakehouse, batch_date=SECOND, held=[("orders", SECOND)])
    assert (count.silver, count.raw, count.is_held) == (1, 0, True)

    changed.deliver("1,1,1.00,new,")
    to_silver(changed, FIRST)
    assert to_raw(changed, SECOND).done
    assert changed.raw("order_id, item") == [(1, 1), (2, 2)]
    assert shop.query(quality) == [(FIRST, 1, False), (SECOND, 1, False)]


def test_a_step_for_one_batch_takes_all_batches_of_the_table(shop: Shop) -> None:
    columns = tuple(replace(c, type=ColumnType("bigint")) if c.name == "item" else c for c in shop.table.columns)
    changed = shop.with_table(replace(shop.table, columns=columns))

    results = pipeline.run_step(changed.lakehouse, "bronze", Silent(), table="orders", batch_date=SECOND)
    assert [result.batch_date for result in results] == [FIRST, SECOND]

    results = pipeline.run_lake(changed.lakehouse, Silent(), shop.spark)
    assert [(result.step, result.batch_date) for result in results if result.step != "bronze"] == [
        ("silver", FIRST),
        ("silver", SECOND),
        ("load", FIRST),
        ("load", SECOND),
    ]
    assert changed.raw("order_id, item, pg_typeof(item)::text") == [(*row, "bigint") for row in OLD]
