"""Typed rows per batch -> what was true when: newest rows, versions, keys. Plain Python, nothing of `lakehouse`.

The middle of the oracle, between oracle_rows.py and oracle.py. The rules are those of docs/scd2.md.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, time
from itertools import groupby, pairwise
from typing import Any

from tests.support.oracle_rows import TABLES, Batches, Row

# When a version is valid (until: exclusive, None: still) and the row that describes it.
Version = tuple[datetime, datetime | None, Row]

BEGINNING = datetime(1900, 1, 1)


def current(batches: Batches, name: str) -> list[Row]:
    """The newest row of each key: that of the latest batch date, whenever it arrived."""
    table, newest = TABLES[name], {}
    for day in sorted(batches[name]):
        newest.update({table.key_of(row): row for row in batches[name][day]})
    return list(newest.values())


def keys_of(batches: Batches, name: str) -> set[Any]:
    """Every key that a batch of a table with a key of one column describes."""
    return {TABLES[name].key_of(row)[0] for rows in batches[name].values() for row in rows}


def surrogate_key(natural_key: str, valid_from: datetime) -> str:
    """The hash of a natural key and the moment when its version opens."""
    return hashlib.md5(f"{natural_key}|{valid_from:%Y-%m-%d %H:%M:%S}".encode()).hexdigest()


def inferred_customer_key(customer_id: Any) -> str:
    """No moment is at the end, so no person's id can give the same hash."""
    return hashlib.md5(f"{customer_id}|customer_id".encode()).hexdigest()


def orders_of_people(batches: Batches) -> dict[Any, list[Row]]:
    """Person -> their orders, by time of purchase, of one moment by order_id. Only people with orders."""
    person_of = {row["customer_id"]: row["customer_unique_id"] for row in current(batches, "customers")}
    found: dict[Any, list[Row]] = defaultdict(list)
    for order in sorted(current(batches, "orders"), key=lambda row: (row["order_purchase_timestamp"], row["order_id"])):
        if order["customer_id"] in person_of:
            found[person_of[order["customer_id"]]].append(order)
    return found


def versions_of_people(batches: Batches) -> dict[Any, list[Version]]:
    """Person -> versions of the address. An order whose address differs from the order before starts one.

    Orders at the same moment count as one, with the address of the highest order_id. A person without any order has
    the address of the highest customer_id.
    """
    customers = {row["customer_id"]: row for row in current(batches, "customers")}
    people = {row["customer_unique_id"] for row in customers.values()}
    orders = orders_of_people(batches)

    def states(person: Any) -> list[tuple[datetime, Row]]:
        if person not in orders:
            highest = max(key for key, row in customers.items() if row["customer_unique_id"] == person)
            return [(BEGINNING, customers[highest])]
        last_of_moment = {
            order["order_purchase_timestamp"]: customers[order["customer_id"]] for order in orders[person]
        }
        return list(last_of_moment.items())

    address = [name for name in TABLES["customers"].columns if name not in ("customer_id", "customer_unique_id")]
    return {person: _versions(states(person), address) for person in people}


def versions_by_batch(batches: Batches, name: str, key: str) -> dict[Any, list[Version]]:
    """Product or seller -> versions. A batch whose attributes differ from the batch before starts one."""
    states: dict[Any, list[tuple[datetime, Row]]] = defaultdict(list)
    for day in sorted(batches[name]):
        for row in batches[name][day]:
            states[row[key]].append((datetime.combine(day, time.min), row))
    attributes = [column for column in TABLES[name].columns if column != key]
    return {natural_key: _versions(found, attributes) for natural_key, found in states.items()}


def valid_at(versions: Sequence[Version], moment: datetime) -> datetime:
    """When the version that was valid at the moment began."""
    (start,) = [start for start, end, _ in versions if start <= moment and (end is None or moment < end)]
    return start


def _versions(states: Sequence[tuple[datetime, Row]], attributes: Sequence[str]) -> list[Version]:
    """Moments with what was true then, in order -> one version per change. The first one opens at the beginning."""
    changes = [next(same) for _, same in groupby(states, key=lambda state: [state[1][name] for name in attributes])]
    starts = [BEGINNING, *(moment for moment, _ in changes[1:])]
    return [(start, end, row) for (start, end), (_, row) in zip(pairwise([*starts, None]), changes, strict=True)]
