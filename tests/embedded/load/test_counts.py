"""The counts of a batch are committed with its rows, and those of a held one alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lakehouse.load import counts, held
from lakehouse.load import step as load
from lakehouse.load.publication import Publication
from lakehouse.pipeline import run as pipeline
from lakehouse.settings import Settings
from tests.support.lake import Silent
from tests.support.made_up_shop import FIRST, SECOND, Shop

GOOD = ["o1,1,1.00,new,", "o2,1,2.00,new,"]
BAD = ["o3,x,1.00,new,", "o4,x,1.00,new,", "o5,x,1.00,new,"]
OF_GOOD, OF_HELD = (FIRST, 2, 0, 0, 0, 0, 2, False), (FIRST, 5, 0, 0, 0, 3, 0, True)
NOTED = (
    "select batch_date, records, rejected, duplicates, superseded, quarantined, loaded, is_held from ops.batch_counts"
)


@pytest.fixture
def shop(new_workspace: Callable[..., Settings], spark: Any, tmp_path: Any) -> Shop:
    return Shop(new_workspace(source="shop"), spark, tmp_path / "delivery")


def noted(shop: Shop) -> list[tuple[Any, ...]]:
    return shop.query(f"{NOTED} order by 1")


def killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_they_say_where_each_record_went_and_when_the_rest_was_loaded(shop: Shop) -> None:
    duplicate, superseded, quarantined, rejected = "o1,1,1,new,", "o2,1,9.00,new,", BAD[0], "o4,1"

    shop.load(duplicate, superseded, *GOOD, quarantined, rejected)

    assert noted(shop) == [(FIRST, 6, 1, 1, 1, 1, 2, False)]
    assert shop.query("select loaded_at from ops.batch_counts") == shop.query("select loaded_at from ops.load_log")


def test_they_are_those_of_the_delivery_that_came_last(shop: Shop) -> None:
    shop.load(*GOOD, "o3,1,1.00,new,")
    shop.load("o9,1,9.00,new,", day=SECOND)

    shop.load(*GOOD)

    assert noted(shop) == [OF_GOOD, (SECOND, 1, 0, 0, 0, 0, 1, False)]


def test_an_empty_file_has_zeros_and_a_withdrawn_table_nothing(shop: Shop) -> None:
    shop.load(*GOOD)
    shop.load(day=SECOND)
    assert noted(shop) == [OF_GOOD, (SECOND, 0, 0, 0, 0, 0, 0, False)]

    for day in (FIRST, SECOND):
        withdrawn = shop.withdraw(day)
        shop.to_silver(withdrawn)
        shop.to_raw(withdrawn)

    assert noted(shop) == []


def test_the_same_again_writes_nothing(shop: Shop) -> None:
    shop.load(*GOOD)
    before = shop.query("select xmin::text, * from ops.batch_counts")

    shop.load(*GOOD)

    assert shop.query("select xmin::text, * from ops.batch_counts") == before


@pytest.mark.parametrize("before", [[], ["o1,1,7.00,new,"]], ids=["into an empty table", "of which rows are there"])
@pytest.mark.parametrize(
    ("where", "name"), [(Publication, "_check"), (counts, "_note")], ids=["at the rows", "at the counts"]
)
def test_a_killed_publication_leaves_rows_and_counts_as_they_were(
    where: Any, name: str, before: list[str], shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    load.ensure_tables(shop.lakehouse)
    if before:
        shop.load(*before)
    old = shop.raw(), noted(shop), shop.query("select * from ops.load_log")

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(where, name, killed)
        shop.load(*GOOD)

    assert (shop.raw(), noted(shop), shop.query("select * from ops.load_log")) == old
    assert shop.load(*GOOD).done
    assert noted(shop) == [OF_GOOD]


def test_those_of_a_held_batch_are_committed_alone_with_nothing_loaded(shop: Shop) -> None:
    shop.load(*GOOD)
    rows = shop.raw()

    assert shop.load(*GOOD, *BAD).is_held

    assert noted(shop) == [OF_HELD]
    assert shop.query("select loaded_at from ops.batch_counts") == [(None,)]
    assert shop.raw() == rows


def test_those_of_a_held_batch_are_noted_by_the_next_run_if_one_was_killed_before(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.load(*GOOD)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(counts, "_note", killed)
        shop.load(*GOOD, *BAD)
    assert noted(shop) == [OF_GOOD]

    for _ in range(2):  # without Spark; the second time nothing is written
        (result,) = pipeline.run_step(shop.lakehouse, "load", Silent())
        assert result.is_held
        assert noted(shop) == [OF_HELD]
    assert shop.query("select count(distinct xmin::text) from ops.batch_counts") == [(1,)]


def test_while_it_is_held_no_run_writes_them_again(shop: Shop) -> None:
    shop.load(*GOOD, *BAD)
    before = shop.query("select xmin::text, * from ops.batch_counts")

    pipeline.run_step(shop.lakehouse, "load", Silent())

    assert shop.query("select xmin::text, * from ops.batch_counts") == before


def test_what_a_user_accepts_is_loaded(shop: Shop) -> None:
    shop.load(*GOOD, *BAD)
    held.accept(shop.lakehouse, shop.table, FIRST)

    pipeline.run_lake(shop.lakehouse, Silent(), shop.spark)

    assert noted(shop) == [(FIRST, 5, 0, 0, 0, 3, 2, False)]


def test_the_delivery_that_was_loaded_before_ends_it_even_if_only_the_load_is_asked(shop: Shop) -> None:
    shop.load(*GOOD)
    shop.load(*GOOD, *BAD)
    shop.to_silver(shop.deliver(*GOOD))

    (due,) = pipeline.pending_now(shop.lakehouse)
    assert (due.step, due.is_held) == ("load", False)
    pipeline.run_lake(shop.lakehouse, Silent(), shop.spark)

    assert noted(shop) == [OF_GOOD]
    assert pipeline.pending_now(shop.lakehouse) == []


def test_what_was_published_meanwhile_is_not_noted_as_held(shop: Shop) -> None:
    shop.load(*GOOD)

    load.hold(shop.lakehouse, shop.table, FIRST)

    assert noted(shop) == [OF_GOOD]


def test_a_table_that_is_made_again_has_none(shop: Shop) -> None:
    shop.load(*GOOD)
    shop.load(*GOOD, *BAD, day=SECOND)
    shop.query("drop table raw_shop.orders; select 1")

    load.ensure_tables(shop.lakehouse)
    assert noted(shop) == []
    pipeline.run_lake(shop.lakehouse, Silent(), shop.spark)

    assert noted(shop) == [OF_GOOD, (SECOND, *OF_HELD[1:])]


def test_a_table_that_is_loaded_again_with_a_new_type_has_those_of_all_batches(shop: Shop) -> None:
    shop.load(*GOOD)
    shop.load("o3,1,1.00,new,", "o3,1,1.00,new,", day=SECOND)
    columns = tuple(
        replace(c, type=replace(c.type, kind="bigint")) if c.name == "item" else c for c in shop.table.columns
    )
    changed = shop.with_table(replace(shop.table, columns=columns))
    shop.query("delete from ops.batch_counts returning 1")

    pipeline.run_lake(changed.lakehouse, Silent(), shop.spark)

    assert noted(shop) == [OF_GOOD, (SECOND, 2, 0, 1, 0, 0, 1, False)]
