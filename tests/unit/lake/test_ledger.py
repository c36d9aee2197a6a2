"""What a layer remembers of its batches, and what makes it forget."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from lakehouse.contract.model import Column, ColumnType, Rule, TableContract
from lakehouse.lake.ledger import Entry, begin, fingerprint, read_ledger, record
from lakehouse.lake.store import Store, open_store
from tests.support.small_source import orders, settings_in

DAY, NEXT_DAY = date(2018, 1, 5), date(2018, 1, 6)
DONE = Entry("f1", {"silver": 3}, {"amount: less than 0": 1})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(settings_in(tmp_path), "bronze")


def test_a_table_never_written_has_an_empty_ledger(store: Store) -> None:
    assert read_ledger(store, "shop/orders").entries == {}


def test_what_is_recorded_is_read_back_beside_the_other_batches(store: Store) -> None:
    record(store, "shop/orders", DAY, DONE)
    record(store, "shop/orders", NEXT_DAY, Entry("f2", {"silver": 0}))

    ledger = read_ledger(store, "shop/orders")

    assert ledger.entries == {DAY: DONE, NEXT_DAY: Entry("f2", {"silver": 0}, {})}
    assert read_ledger(store, "shop/words").entries == {}


def test_a_batch_is_done_only_for_the_fingerprint_it_was_made_from(store: Store) -> None:
    record(store, "shop/orders", DAY, DONE)

    ledger = read_ledger(store, "shop/orders")

    assert ledger.is_done(DAY, "f1")
    assert not ledger.is_done(DAY, "f2")
    assert not ledger.is_done(NEXT_DAY, "f1")


def test_a_batch_that_is_begun_anew_is_no_longer_vouched_for(store: Store) -> None:
    record(store, "shop/orders", DAY, DONE)
    record(store, "shop/orders", NEXT_DAY, DONE)

    begin(store, "shop/orders", DAY)

    assert list(read_ledger(store, "shop/orders").entries) == [NEXT_DAY]


def test_beginning_an_unknown_batch_writes_nothing(store: Store) -> None:
    begin(store, "shop/orders", DAY)

    assert store.keys("shop") == []


def _with_rule(table: TableContract, rule: Rule) -> TableContract:
    first, *others = table.columns
    return replace(table, columns=(replace(first, rules=(*first.rules, rule)), *others))


@pytest.mark.parametrize(
    "changed",
    [
        ("other input", orders(), 1),
        ("input", orders(Column("late", ColumnType("text"), "")), 1),
        ("input", replace(orders(), key=("order_id", "note")), 1),
        ("input", _with_rule(orders(), Rule("order_id", "pattern", "error", pattern="[a-z]+")), 1),
        ("input", orders(), 2),
    ],
    ids=["the input", "a column", "the key", "a rule", "the step's own rules"],
)
def test_the_fingerprint_changes_with(changed: tuple[str, TableContract, int]) -> None:
    assert fingerprint(*changed) != fingerprint("input", orders(), 1)


def test_the_fingerprint_does_not_change_with_a_description() -> None:
    described = replace(orders(), description="what it means", grain="one row per order")

    assert fingerprint("input", described, 1) == fingerprint("input", orders(), 1)
