"""What a ledger remembers about its batches, and what makes it forget."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, cast

import pytest

from lakehouse.lake.ledger import Entry, begin, read_ledger, record
from lakehouse.lake.store import Store, open_store
from tests.support.small_source import settings_in

DAY, NEXT_DAY, LAST_DAY = date(2018, 1, 5), date(2018, 1, 6), date(2018, 1, 7)
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


def test_a_batch_that_begins_again_loses_its_entry(store: Store) -> None:
    record(store, "shop/orders", DAY, DONE)
    record(store, "shop/orders", NEXT_DAY, DONE)

    begin(store, "shop/orders", DAY)

    assert list(read_ledger(store, "shop/orders").entries) == [NEXT_DAY]


def test_beginning_an_unknown_batch_writes_nothing(store: Store) -> None:
    begin(store, "shop/orders", DAY)

    assert store.keys("shop") == []


class _Racing:
    """A store in which another writer adds a batch as soon as the ledger has been read, once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._raced = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def read(self, key: str) -> bytes | None:
        data = self._store.read(key)
        if not self._raced:
            self._raced = True
            record(self._store, "shop/orders", NEXT_DAY, DONE)
        return data


@pytest.mark.parametrize("is_new", [True, False], ids=["no ledger yet", "a ledger with another batch"])
def test_of_two_writers_at_the_same_time_none_loses_an_entry(store: Store, is_new: bool) -> None:
    if not is_new:
        record(store, "shop/orders", LAST_DAY, DONE)

    record(cast(Store, _Racing(store)), "shop/orders", DAY, DONE)

    assert set(read_ledger(store, "shop/orders").entries) == {DAY, NEXT_DAY, *([] if is_new else [LAST_DAY])}


def test_what_another_writer_adds_while_a_batch_begins_stays(store: Store) -> None:
    record(store, "shop/orders", DAY, DONE)

    begin(cast(Store, _Racing(store)), "shop/orders", DAY)

    assert set(read_ledger(store, "shop/orders").entries) == {NEXT_DAY}
