"""A table's batch in the warehouse becomes what silver holds. Readers see the old batch or the new one."""

from __future__ import annotations

import threading
from dataclasses import replace
from decimal import Decimal

import pytest

from lakehouse import warehouse
from lakehouse.contract.model import Column, ColumnType
from lakehouse.errors import LakehouseError, ReconciliationError, WarehouseError
from lakehouse.lakehouse import Lakehouse
from lakehouse.load import copy, raw_tables
from lakehouse.load import step as load
from lakehouse.load.copy_task import StagingTable
from lakehouse.load.publication import Publication
from lakehouse.pipeline.run import pending_now
from tests.support.made_up_shop import FIRST, HEADER, SECOND, THIRD, Shop, orders


@pytest.fixture
def shop(new_workspace, spark, tmp_path):
    shop = Shop(new_workspace(source="shop"), spark, tmp_path / "delivery")
    load.ensure_tables(Lakehouse(shop.settings, shop.contract))
    return shop


def changed_keys(shop: Shop) -> list[str | None]:
    """The changed keys of the last load, sorted: order_id and item with a bar between."""
    statement = "select key from ops.changed_keys where load_id = (select max(load_id) from ops.load_log)"
    keys = [key for (key,) in shop.query(statement)]
    return sorted((key if key is None else key.replace(chr(31), "|") for key in keys), key=str)


def table_names(shop: Shop) -> set[str]:
    return {name for (name,) in shop.query("select tablename from pg_tables where schemaname = 'raw_shop'")}


def object_id(shop: Shop) -> int:
    return shop.query("select 'raw_shop.orders'::regclass::oid")[0][0]


class TestTheFirstBatch:
    """Into an empty table, which the staging table replaces."""

    def test_is_there_as_in_silver(self, shop):
        before = object_id(shop)

        result = shop.load("o1,1,10.5,paid,4.5", "o2,2,,,")

        assert result.counts == {"silver": 2, "raw": 2}
        assert shop.raw("*") == [
            ("o1", 1, Decimal("10.50"), "paid", 4.5, "orders.csv", 1, FIRST),
            ("o2", 2, None, None, None, "orders.csv", 2, FIRST),
        ]
        assert object_id(shop) != before

    def test_changes_every_key(self, shop):
        shop.load("o1,1,10.5,paid,4.5")

        assert changed_keys(shop) == [None]

    def test_leaves_a_logged_indexed_table_that_the_transformer_reads_and_nothing_else(self, shop):
        shop.load("o1,1,10.5,paid,4.5")

        kinds = shop.query("select relpersistence::text from pg_class where oid = 'raw_shop.orders'::regclass")
        indexes = {name for (name,) in shop.query("select indexname from pg_indexes where schemaname = 'raw_shop'")}
        assert kinds == [("p",)]
        assert indexes == {"orders_key", "orders_batch_date"}
        assert table_names(shop) == {"orders"}
        assert shop.query("select order_id from raw_shop.orders", "transformer") == [("o1",)]

    def test_leaves_out_rows_of_tasks_that_did_not_return(self, shop, monkeypatch):
        copy_twice(monkeypatch)

        result = shop.load("o1,1,1.00,new,", "o2,1,1.00,new,")

        assert result.counts["raw"] == 2
        assert shop.raw("order_id") == [("o1",), ("o2",)]

    def test_is_inserted_if_a_view_depends_on_the_table(self, shop):
        shop.query("create view raw_shop.seen as select order_id from raw_shop.orders; select 1")
        before = object_id(shop)

        shop.load("o1,1,1.00,new,")

        assert object_id(shop) == before
        assert shop.query("select * from raw_shop.seen") == [("o1",)]
        assert changed_keys(shop) == ["o1|1"]


class TestALaterBatch:
    """Into a table with rows: the new ones are inserted."""

    @pytest.fixture(autouse=True)
    def first_batch(self, shop):
        shop.load("o1,1,1.00,new,", "o2,1,2.00,,1", "o3,,3.00,new,")

    def test_joins_the_others(self, shop):
        before = object_id(shop)

        shop.load("o1,1,9.00,new,", day=SECOND)

        assert shop.raw("order_id, amount, _batch_date")[2:] == [
            ("o3", Decimal("3.00"), FIRST),
            ("o1", Decimal("9.00"), SECOND),
        ]
        assert object_id(shop) == before
        assert table_names(shop) == {"orders"}
        assert changed_keys(shop) == ["o1|1"]

    def test_again_is_not_done_again(self, shop):
        loads = shop.query("select count(*) from ops.load_log")

        result = shop.load("o1,1,1.00,new,", "o2,1,2.00,,1", "o3,,3.00,new,")

        assert (result.done, result.counts) == (False, {"silver": 3, "raw": 3})
        assert shop.query("select count(*) from ops.load_log") == loads

    def test_replaced_leaves_nothing_of_the_old_one(self, shop):
        shop.load("o1,1,9.00,new,", "o4,1,4.00,new,")

        assert shop.raw("order_id, amount") == [("o1", Decimal("9.00")), ("o4", Decimal("4.00"))]
        assert shop.query("select rows, is_current from ops.load_log order by load_id") == [(3, False), (2, True)]

    @pytest.mark.parametrize(
        ("rows", "keys"),
        [
            (["o1,1,1.00,new,", "o2,1,2.00,,1", "o3,,3.00,new,", "o4,1,4.00,new,"], ["o4|1"]),
            (["o1,1,1.00,new,", "o3,,3.00,new,"], ["o2|1"]),
            (["o1,1,1.50,new,", "o2,1,2.00,,1", "o3,,3.00,new,"], ["o1|1"]),
            (["o1,1,1.00,,", "o2,1,2.00,,1", "o3,,3.00,new,"], ["o1|1"]),
            (["o1,1,1.00,new,", "o2,1,2.00,paid,1", "o3,,3.00,new,"], ["o2|1"]),
            (["o1,1,1.00,new,", "o2,1,2.00,,", "o3,,3.00,new,"], ["o2|1"]),
            (["o1,1,1.00,new,", "o2,1,2.00,,1", "o3,,4.00,new,"], ["o3|"]),
            (["o3,,3.00,new,", "o2,1,2.0,,1.0", "o1,1,1,new,", "o1,1,x,,"], []),
        ],
        ids=[
            "a row came",
            "a row vanished",
            "a value changed",
            "a value became null",
            "a null became a value",
            "a number became null",
            "of a key with a null",
            "only order and writing changed",
        ],
    )
    def test_changes_the_keys_whose_rows_differ(self, shop, rows, keys):
        shop.load(*rows)

        assert changed_keys(shop) == keys

    def test_withdrawn_takes_its_rows_away(self, shop):
        shop.load("o9,1,9.00,new,", day=SECOND)
        withdrawn = shop.withdraw()
        shop.to_silver(withdrawn)

        result = shop.to_raw(withdrawn)

        assert result.counts == {"silver": 0, "raw": 0}
        assert shop.raw("order_id, _batch_date") == [("o9", SECOND)]
        assert changed_keys(shop) == ["o1|1", "o2|1", "o3|"]

    def test_leaves_out_rows_of_tasks_that_did_not_return(self, shop, monkeypatch):
        copy_twice(monkeypatch)

        result = shop.load("o5,1,1.00,new,", "o6,1,1.00,new,", day=SECOND)

        assert result.counts["raw"] == 2
        assert shop.raw("order_id")[3:] == [("o5",), ("o6",)]

    def test_with_missing_rows_is_not_published(self, shop, monkeypatch):
        lose_a_task(monkeypatch)

        with pytest.raises(ReconciliationError, match="1 rows in silver, 0 were copied"):
            shop.load("o5,1,1.00,new,", day=SECOND)

        assert len(shop.raw()) == 3
        assert shop.query("select count(*) from ops.load_log") == [(1,)]

    def test_that_failed_leaves_a_staging_table_which_the_next_load_drops(self, shop, monkeypatch):
        with monkeypatch.context() as patch:
            lose_a_task(patch)
            with pytest.raises(ReconciliationError):
                shop.load("o5,1,1.00,new,", day=SECOND)
        shop.query("create table raw_shop._staging_orders_extra_0123abcd (); select 1")  # of another table
        left = table_names(shop) - {"orders", "_staging_orders_extra_0123abcd"}

        shop.load("o5,1,1.00,new,", day=SECOND)

        assert len(left) == 1
        assert table_names(shop) == {"orders", "_staging_orders_extra_0123abcd"}

    def test_is_seen_whole_or_not_at_all(self, shop):
        seen: set[tuple[int, int]] = set()
        stop = threading.Event()

        def read() -> None:
            with warehouse.connect(shop.settings, "transformer", autocommit=True) as connection:
                cursor = connection.cursor()
                while not stop.is_set():
                    cursor.execute("select count(*), count(distinct status) from raw_shop.orders where score = 3")
                    seen.add(cursor.fetchone())

        reader = threading.Thread(target=read)
        reader.start()
        try:
            shop.load(*(f"o{number},1,1.00,new,3" for number in range(2000)), day=SECOND)
            shop.load(*(f"o{number},1,1.00,paid,3" for number in range(1500)), day=SECOND)
        finally:
            stop.set()
            reader.join()

        assert seen == {(0, 0), (2000, 1), (1500, 1)}

    def test_killed_while_publishing_leaves_the_old_one(self, shop, monkeypatch):
        def killed(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Publication, "_check", killed)
            shop.load("o1,1,9.00,new,")

        assert len(shop.raw()) == 3
        assert shop.load("o1,1,9.00,new,").done
        assert shop.raw("amount") == [(Decimal("9.00"),)]
        assert changed_keys(shop) == ["o1|1", "o2|1", "o3|"]


def test_a_table_that_a_user_dropped_is_made_again_and_its_batches_are_due(shop):
    shop.load("o1,1,1.00,new,")
    shop.query(
        "insert into ops.marts_state (source, load_id, project_hash, status) values ('shop', 1, '', 'complete'); "
        "drop table raw_shop.orders; select 1"
    )

    load.ensure_tables(shop.lakehouse)

    assert [pending.step for pending in pending_now(shop.lakehouse)] == ["load"]
    assert shop.query("select count(*) from ops.marts_state") == [(0,)], "the next build starts over"
    assert shop.load("o1,1,1.00,new,").done
    assert shop.raw("order_id") == [("o1",)]


class TestAContractThatChanges:
    def test_a_column_that_came_later_is_null_before(self, shop):
        shop.load("o1,1,1.00,new,")
        channel = Column("channel", ColumnType("text"), "", since=SECOND)
        newer = shop.with_table(orders(channel), HEADER + ",channel")

        newer.load("o2,1,1.00,new,,web", day=SECOND)

        assert newer.raw("order_id, channel") == [("o1", None), ("o2", "web")]
        assert changed_keys(newer) == ["o2|1"]

    def test_a_batch_loaded_again_gets_values_in_an_added_column(self, shop):
        shop.load("o1,1,1.00,new,", "o2,1,1.00,new,")
        newer = shop.with_table(orders(Column("channel", ColumnType("text"), "")), HEADER + ",channel")

        newer.load("o1,1,1.00,new,,web", "o2,1,1.00,new,,")

        assert newer.raw("order_id, channel") == [("o1", "web"), ("o2", None)]
        assert changed_keys(newer) == ["o1|1"]

    def test_a_removed_column_stays_and_is_null_from_then_on(self, shop):
        shop.load("o1,1,1.00,new,5")
        fewer = shop.with_table(replace(shop.table, columns=shop.table.columns[:-1]), HEADER.removesuffix(",score"))
        load.ensure_tables(Lakehouse(shop.settings, fewer.contract))

        fewer.load("o2,1,1.00,new", day=SECOND)

        assert shop.raw("order_id, score") == [("o1", 5.0), ("o2", None)]

    def test_tables_as_the_contract_says_are_left_alone(self, shop, monkeypatch):
        def not_needed(*_, **__):
            raise AssertionError("took the lock")

        monkeypatch.setattr(warehouse, "lock", not_needed)

        load.ensure_tables(Lakehouse(shop.settings, shop.contract))
        fewer = shop.with_table(replace(shop.table, columns=shop.table.columns[:-1]))
        load.ensure_tables(Lakehouse(shop.settings, fewer.contract))


def test_a_changed_key_of_a_table_without_key_is_all_its_columns(shop):
    keyless = shop.with_table(orders(key=()))
    keyless.load("o1,1,1.00,new,1")

    keyless.load("o1,1,1.00,new,", day=SECOND)

    assert changed_keys(keyless) == ["o1|1|1.00|new|"]


def test_silver_must_hold_what_was_landed(shop):
    manifest = shop.deliver("o1,1,1.00,new,")

    with pytest.raises(LakehouseError, match="lakehouse silver"):
        shop.to_raw(manifest)


def test_a_silver_that_lost_rows_is_noticed(shop):
    manifest = shop.deliver("o1,1,1.00,new,")
    shop.to_silver(manifest)
    shop.delta_table().delete()

    with pytest.raises(ReconciliationError, match="1 rows were written, 0 are there"):
        shop.to_raw(manifest)


def test_a_refusing_warehouse_is_reported_without_its_password(shop, monkeypatch):
    manifest = shop.deliver("o1,1,1.00,new,")
    shop.to_silver(manifest)
    make = raw_tables.create_staging
    monkeypatch.setattr(raw_tables, "create_staging", lambda *given: make(*given) + "_gone")

    with pytest.raises(WarehouseError, match="could not be copied") as failure:
        shop.to_raw(manifest)

    assert shop.settings.password("loader") not in str(failure.value)


def test_batches_of_three_days_are_all_there_in_any_order(shop):
    for day in (THIRD, FIRST, SECOND):
        shop.load(f"o1,1,{day.day}.00,new,", day=day)

    assert shop.raw("amount") == [(Decimal("5.00"),), (Decimal("6.00"),), (Decimal("7.00"),)]


def copy_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commit every task's rows twice, as by a task that fails after its commit and runs again."""
    once = StagingTable.copy

    def twice(target, batches):
        kept = list(batches)
        list(once(target, iter(kept)))
        yield from once(target, iter(kept))

    monkeypatch.setattr(copy, "StagingTable", type("Twice", (StagingTable,), {"copy": twice}))


def lose_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commit rows under ids that are not returned."""
    whole = load.copy_rows
    monkeypatch.setattr(load, "copy_rows", lambda *given: [(task + 1, rows) for task, rows in whole(*given)])
