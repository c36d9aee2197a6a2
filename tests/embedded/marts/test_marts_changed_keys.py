"""Daily builds end in the rows of a full refresh, whatever is delivered, corrected or withdrawn, in whatever order,
and wherever a build is killed; and these are the rows of the oracle. Thousands of small histories, on a real Postgres.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import cursor as Cursor

from lakehouse import warehouse
from lakehouse.contract.model import Contract
from lakehouse.settings import Settings
from tests.embedded.marts.raw_rows import publish
from tests.support.compiled_models import Model, build, create, differences_from_full_refresh, rolled_back
from tests.support.oracle import marts_of
from tests.support.oracle_comparison import differences_from_oracle
from tests.support.oracle_rows import TABLES, Batches

DAYS = [dt.date(2018, 1, day) for day in (1, 2, 3)]
# Few values, so that they collide: a person may have the id of a customer row, a category may be called unknown.
CUSTOMERS, PEOPLE, ORDERS = ["c1", "c2", "c3", "unknown"], ["ana", "bob", "c1"], ["o1", "o2", "o3", "o4"]
PRODUCTS, SELLERS, ZIPS = ["p1", "p2", "unknown"], ["s1", "unknown"], ["01000", "02000"]
CATEGORIES = ["artes", "pc_gamer", "unknown"]
MOMENTS = [dt.datetime(2018, 1, 1, 12), dt.datetime(2018, 1, 2), dt.datetime(2018, 1, 2, 12), dt.datetime(2018, 1, 3)]
MONEY = [Decimal("0.00"), Decimal("10.50")]


def rows(key: dict[str, Any], values: dict[str, Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Up to four rows with different keys; every column is drawn from its list. A drawn dict is several columns."""
    strategies = {name: st.sampled_from(values) for name, values in {**key, **values}.items()}
    row = st.fixed_dictionaries(strategies).map(_spread)
    return st.lists(row, max_size=4, unique_by=lambda drawn: tuple(drawn[name] for name in key))


def _spread(row: Mapping[str, Any]) -> dict[str, Any]:
    spread: dict[str, Any] = {}
    for name, value in row.items():
        spread |= value if isinstance(value, dict) else {name: value}
    return spread


def columns(names: str, *values: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Values of several columns that are drawn together: a draw for each would take too long."""
    return [dict(zip(names.split(), row, strict=True)) for row in values]


PROGRESS = columns(
    "order_approved_at order_delivered_carrier_date order_delivered_customer_date",
    (None, None, None),
    (MOMENTS[1], None, None),
    (MOMENTS[3], MOMENTS[1], None),
    (MOMENTS[0], MOMENTS[2], MOMENTS[3]),
    (None, MOMENTS[3], MOMENTS[1]),
)
ANSWERS = columns(
    "review_comment_title review_comment_message review_creation_date review_answer_timestamp",
    (None, None, MOMENTS[1], MOMENTS[3]),
    ("Good", "Came early", MOMENTS[3], MOMENTS[0]),
    (None, "Broken", None, None),
)
PAYMENTS = columns("payment_type payment_installments", ("boleto", 1), ("voucher", 0), (None, None))
SIZES = columns(
    "product_name_lenght product_description_lenght product_photos_qty product_length_cm product_height_cm "
    "product_width_cm",
    (1, 2, 3, 4, 5, 6),
    (1, 2, 3, 6, 5, 4),
    (None, None, None, None, None, None),
)


DELIVERIES = {
    "customers": rows(
        {"customer_id": CUSTOMERS},
        {
            "customer_unique_id": PEOPLE,
            "customer_zip_code_prefix": ZIPS,
            "customer_city": ["osasco"],
            "customer_state": ["SP", "RJ"],
        },
    ),
    "orders": rows(
        {"order_id": ORDERS},
        {
            "customer_id": CUSTOMERS,
            "order_status": ["created", "delivered"],
            "order_purchase_timestamp": MOMENTS,
            "progress": PROGRESS,
            "order_estimated_delivery_date": MOMENTS,
        },
    ),
    "order_items": rows(
        {"order_id": ORDERS, "order_item_id": [1, 2]},
        {
            "product_id": PRODUCTS,
            "seller_id": SELLERS,
            "shipping_limit_date": MOMENTS,
            "price": MONEY,
            "freight_value": MONEY,
        },
    ),
    "order_payments": rows(
        {"order_id": ORDERS, "payment_sequential": [1, 2]}, {"payment": PAYMENTS, "payment_value": MONEY}
    ),
    "order_reviews": rows({"review_id": ["r1", "r2"], "order_id": ORDERS}, {"review_score": [1, 5], "answer": ANSWERS}),
    "products": rows(
        {"product_id": PRODUCTS},
        {"product_category_name": [None, *CATEGORIES], "product_weight_g": [None, 1, 2], "sizes": SIZES},
    ),
    "sellers": rows(
        {"seller_id": SELLERS},
        {"seller_zip_code_prefix": ZIPS, "seller_city": [None, "osasco"], "seller_state": ["SP", "RJ"]},
    ),
    "category_translation": rows(
        {"product_category_name": CATEGORIES}, {"product_category_name_english": ["art", "gaming"]}
    ),
    "geolocation": rows(
        {"geolocation_zip_code_prefix": ZIPS, "geolocation_lat": [1.5, 2.5], "geolocation_city": ["osasco", "santos"]},
        {"geolocation_lng": [7.25, 8.5], "geolocation_state": ["SP", "RJ"]},
    ),
}


@dataclass(frozen=True)
class Delivery:
    """A table of a batch, for the first time or again."""

    day: dt.date
    table: str
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class Build:
    """A build; it dies after `killed_after` models."""

    killed_after: int | None


MODELS = 17
deliveries = st.sampled_from(sorted(DELIVERIES)).flatmap(
    lambda table: st.builds(Delivery, st.sampled_from(DAYS), st.just(table), DELIVERIES[table])
)
builds = st.builds(Build, st.none() | st.integers(1, MODELS))
# First some rows of every table are built. Then little changes between two builds: many changes would hide a lost one.
beginning = st.tuples(
    *[st.builds(Delivery, st.just(DAYS[0]), st.just(table), drawn) for table, drawn in sorted(DELIVERIES.items())]
)
changes = st.lists(st.tuples(deliveries, st.none() | deliveries, builds), min_size=1, max_size=5)


@pytest.fixture(scope="module")
def shop(without_marts: Settings, project: list[Model]) -> Settings:
    """A workspace with empty raw tables and marts that hold only the unknown members."""
    with warehouse.cursor(without_marts, "owner") as cursor:
        create(cursor, project)
    return without_marts


@pytest.fixture(scope="module")
def models(project: list[Model]) -> list[Model]:
    found = [model for model in project if model.materialized == "incremental"]
    assert len(found) == MODELS - 1, "int_changed_keys, 6 current, 5 dimensions, 4 facts"
    return found


@pytest.mark.long
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(beginning=beginning, changes=changes)
def test_a_daily_build_ends_in_the_rows_of_a_full_refresh(
    beginning: tuple[Delivery, ...],
    changes: list[tuple[Delivery | Build | None, ...]],
    shop: Settings,
    models: list[Model],
    contract: Contract,
) -> None:
    steps = [*beginning, Build(None), *(step for change in changes for step in change), Build(None)]

    with rolled_back(shop) as cursor:
        for step in steps:
            if isinstance(step, Delivery):
                cursor.execute("set local role loader")
                publish(cursor, contract, step.day, {step.table: step.rows})
                cursor.execute("reset role")
            elif isinstance(step, Build):
                build(cursor, models, killed_after=step.killed_after)

        assert broken_windows(cursor) == []
        assert differences_from_full_refresh(cursor, models) == {}
        expected = marts_of(batches(step for step in steps if isinstance(step, Delivery)))
        del expected["dim_date"]  # nothing that is delivered changes it
        assert differences_from_oracle(cursor, expected) == {}


def batches(deliveries: Iterable[Delivery]) -> Batches:
    """What each batch holds after these deliveries. Columns that a row does not name are null."""
    found: dict[str, dict[dt.date, list[dict[str, Any]]]] = {name: {} for name in TABLES}
    for delivery in deliveries:
        names = TABLES[delivery.table].columns
        found[delivery.table][delivery.day] = [{name: row.get(name) for name in names} for row in delivery.rows]
    return found


# A version that does not begin where the one before ended (the first: at the beginning of time), or that is current
# but not the last. The unknown member is a separate member, and so is an inferred one.
WINDOWS = """
    select '{0}', {1}, valid_from, valid_to from (
        select *, lag(valid_to, 1, timestamp '1900-01-01') over own as begins, lead(valid_from) over own as ends
        from marts.{0}
        window own as (partition by {1}, is_inferred, {2} = 'unknown' order by valid_from)
    ) as versions
    where valid_from is distinct from begins or valid_to is distinct from ends or is_current <> (valid_to is null)
"""
VERSIONED = (
    ("dim_customer", "customer_unique_id", "customer_key"),
    ("dim_product", "product_id", "product_key"),
    ("dim_seller", "seller_id", "seller_key"),
)


def broken_windows(cursor: Cursor) -> list[tuple[Any, ...]]:
    """Versions that leave a gap, overlap, or are wrongly current."""
    cursor.execute("set local role transformer")
    cursor.execute(" union all ".join(WINDOWS.format(*dimension) for dimension in VERSIONED))
    return cursor.fetchall()
