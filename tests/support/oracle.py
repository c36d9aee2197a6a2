"""Typed rows per batch -> every mart, in every column: what dbt must have built. Plain Python, nothing of `lakehouse`.

The last part of the oracle: oracle_rows.py makes the rows from CSV files, oracle_history.py their versions. The rules
are those of docs/scd2.md and of the columns' descriptions in docs/tables.md. Everything is computed from all rows: no
build came before, and nothing depends on the order of arrival.

Out of reach: rows without a value in a column that the contract requires. Silver keeps them out, so no rule is about
them, and which mart row such a row makes is not promised.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from math import atan2, cos, hypot, radians, sin
from typing import Any

from tests.support.oracle_history import (
    BEGINNING,
    Version,
    current,
    inferred_customer_key,
    keys_of,
    orders_of_people,
    surrogate_key,
    valid_at,
    versions_by_batch,
    versions_of_people,
)
from tests.support.oracle_rows import Batches, Row

Mart = list[dict[str, Any]]

UNKNOWN = "unknown"
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2049, 12, 31)
MONTHS = "January February March April May June July August September October November December".split()  # noqa: SIM905
DELAY_BANDS = [
    *("15+ days early", "8-14 days early", "1-7 days early", "on the day"),
    *("1-3 days late", "4-7 days late", "8+ days late", "not delivered"),
]
OF_AN_ORDER = ("order_items", "order_payments", "order_reviews")
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()  # noqa: SIM905


def marts_of(batches: Batches) -> dict[str, Mart]:
    """All marts by name. Each row's columns are in the order of the mart's."""
    orders = fct_orders(batches)
    return {
        "dim_date": dim_date(),
        "dim_customer": dim_customer(batches),
        "dim_order": dim_order(batches, orders),
        "dim_product": dim_product(batches),
        "dim_seller": dim_seller(batches),
        "dim_geography": dim_geography(batches),
        "fct_orders": orders,
        "fct_order_items": fct_order_items(batches, orders),
        "fct_payments": fct_payments(batches, orders),
        "fct_reviews": fct_reviews(batches, orders),
    }


@cache
def dim_date() -> Mart:
    """One row per day from 2000-01-01 to 2049-12-31, and one for the unknown date."""
    days = [FIRST_DAY + timedelta(number) for number in range((LAST_DAY - FIRST_DAY).days + 1)]
    known = [
        {
            "date_key": int(f"{day:%Y%m%d}"),
            "calendar_date": day,
            "year": day.year,
            "quarter": (day.month + 2) // 3,
            "month": day.month,
            "year_month": f"{day:%Y-%m}",
            "month_start": day.replace(day=1),
            "month_name": MONTHS[day.month - 1],
            "iso_year": day.isocalendar().year,
            "iso_week": day.isocalendar().week,
            "day_of_month": day.day,
            "day_of_week": day.isoweekday(),
            "day_name": WEEKDAYS[day.weekday()],
            "is_weekend": day.isoweekday() >= 6,
            "is_inferred": False,
        }
        for day in days
    ]
    named = dict.fromkeys(("year_month", "month_name", "day_name"), UNKNOWN)
    unknown = {**dict.fromkeys(known[0]), **named, "date_key": 0, "is_weekend": False, "is_inferred": True}
    return [*known, unknown]


def dim_customer(batches: Batches) -> Mart:
    """One row per person and version of their address, per customer_id without its row, and the unknown member."""
    first = {
        person: orders[0]["order_purchase_timestamp"].date() for person, orders in orders_of_people(batches).items()
    }
    described = [
        {**_member(person, start, end), **_address(row, "customer"), "first_purchase_date": first.get(person)}
        for person, versions in versions_of_people(batches).items()
        for start, end, row in versions
    ]
    missing = {order["customer_id"] for order in current(batches, "orders")} - keys_of(batches, "customers")
    inferred = [
        {**_member(customer_id, key=inferred_customer_key(customer_id)), **_address(None), "first_purchase_date": None}
        for customer_id in missing
    ]
    unknown = {**_member(UNKNOWN, key=UNKNOWN), **_address(None), "first_purchase_date": None}
    rows = [*described, *inferred, unknown]
    return [_dimension_row("customer_key", "customer_unique_id", row) for row in rows]


def dim_order(batches: Batches, orders: Mart) -> Mart:
    """One row per order, per order_id that only items, payments or reviews name, and the unknown member."""
    order_of = {order["order_id"]: order for order in orders}
    items = _by_order(current(batches, "order_items"))
    payments = _by_order(current(batches, "order_payments"))

    def main_payment_type(order_id: Any) -> str:
        values: Counter[str] = Counter()
        for payment in payments[order_id]:
            values[_known(payment["payment_type"])] += payment["payment_value"]
        return min(values, key=lambda name: (-values[name], name), default="none")

    def final(order_id: Any) -> dict[str, Any]:
        order = order_of.get(order_id)
        purchased = order["purchased_at"] if order else None
        delivery, delay_band = _delivery(order)
        sellers, count = {item["seller_id"] for item in items[order_id]}, len(items[order_id])
        return {
            "order_id": order_id,
            "order_status": order["order_status"] if order else UNKNOWN,
            "delivery": delivery,
            "delay_band": delay_band,
            "delay_band_number": DELAY_BANDS.index(delay_band) + 1 if delay_band in DELAY_BANDS else None,
            "seller_band": ("none", "one", "several")[min(len(sellers), 2)],
            "item_band": ("none", "1", "2", "3+")[min(count, 3)],
            "main_payment_type": main_payment_type(order_id),
            "is_first_order": order["person_order_number"] == 1 if order and order["person_order_number"] else None,
            "purchase_hour": purchased.hour if purchased else None,
            "purchase_weekday": WEEKDAYS[purchased.weekday()] if purchased else UNKNOWN,
            "purchase_weekday_number": purchased.isoweekday() if purchased else None,
            "is_inferred": order is None,
        }

    named = {row["order_id"] for name in ("orders", *OF_AN_ORDER) for row in current(batches, name)}
    known = [final(order_id) for order_id in named]
    texts = ("order_id", "order_status", "delivery", "delay_band", "seller_band", "item_band", "main_payment_type")
    unknown = {
        **dict.fromkeys(final(UNKNOWN)),
        **dict.fromkeys((*texts, "purchase_weekday"), UNKNOWN),
        "is_inferred": True,
    }
    return [*known, unknown]


def dim_product(batches: Batches) -> Mart:
    """One row per product and version, per product that only items name, and the unknown member."""
    english = {
        row["product_category_name"]: row["product_category_name_english"]
        for row in current(batches, "category_translation")
    }

    def description(row: Row) -> dict[str, Any]:
        category = row.get("product_category_name")
        return {
            "product_category_name": _known(category),
            "product_category_name_english": _known(english.get(category, category) if category else None),
            "product_name_length": row.get("product_name_lenght"),
            "product_description_length": row.get("product_description_lenght"),
            "product_photo_count": row.get("product_photos_qty"),
            "product_weight_g": row.get("product_weight_g"),
            "product_length_cm": row.get("product_length_cm"),
            "product_height_cm": row.get("product_height_cm"),
            "product_width_cm": row.get("product_width_cm"),
        }

    members = _members_by_batch(batches, "products", "product_id")
    return [_dimension_row("product_key", "product_id", {**member, **description(row)}) for member, row in members]


def dim_seller(batches: Batches) -> Mart:
    """One row per seller and version, per seller that only items name, and the unknown member."""
    members = _members_by_batch(batches, "sellers", "seller_id")
    return [_dimension_row("seller_key", "seller_id", {**member, **_address(row, "seller")}) for member, row in members]


def dim_geography(batches: Batches) -> Mart:
    """One row per zip prefix of the geolocation table, and the unknown member."""
    columns = [f"geolocation_{name}" for name in ("zip_code_prefix", "lat", "lng", "city", "state")]
    sightings = {tuple(row[name] for name in columns) for rows in batches["geolocation"].values() for row in rows}
    by_zip: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for zip_code, *place in sightings:
        by_zip[zip_code].append(tuple(place))
    known = [
        {
            "zip_code_prefix": zip_code,
            "city": _most_frequent(city for _, _, city, _ in places),
            "state": _most_frequent(state for *_, state in places),
            "latitude": _median(latitude for latitude, *_ in places),
            "longitude": _median(longitude for _, longitude, *_ in places),
            "is_inferred": False,
        }
        for zip_code, places in by_zip.items()
    ]
    named = dict.fromkeys(("zip_code_prefix", "city", "state"), UNKNOWN)
    return [*known, {**named, "latitude": None, "longitude": None, "is_inferred": True}]


def fct_orders(batches: Batches) -> Mart:
    """One row per order."""
    customers = {row["customer_id"]: row for row in current(batches, "customers")}
    versions = versions_of_people(batches)
    numbers = {
        order["order_id"]: number
        for orders in orders_of_people(batches).values()
        for number, order in enumerate(orders, start=1)
    }
    items = _by_order(current(batches, "order_items"))
    payments = _by_order(current(batches, "order_payments"))
    reviews = _by_order(current(batches, "order_reviews"))

    def customer_key(order: Row) -> str:
        customer = customers.get(order["customer_id"])
        if customer is None:
            return inferred_customer_key(order["customer_id"])
        person = customer["customer_unique_id"]
        return surrogate_key(person, valid_at(versions[person], order["order_purchase_timestamp"]))

    def final(order: Row) -> dict[str, Any]:
        order_id = order["order_id"]
        purchased, promised = order["order_purchase_timestamp"], order["order_estimated_delivery_date"]
        approved, handed_over = order["order_approved_at"], order["order_delivered_carrier_date"]
        delivered = order["order_delivered_customer_date"]
        items_value = sum((item["price"] for item in items[order_id]), Decimal(0))
        freight_value = sum((item["freight_value"] for item in items[order_id]), Decimal(0))
        return {
            "order_id": order_id,
            "customer_key": customer_key(order),
            "purchase_date_key": date_key(purchased),
            "approval_date_key": date_key(approved),
            "carrier_date_key": date_key(handed_over),
            "delivery_date_key": date_key(delivered),
            "estimated_delivery_date_key": date_key(promised),
            "person_order_number": numbers.get(order_id),
            "order_status": _known(order["order_status"]),
            "purchased_at": purchased,
            "approved_at": approved,
            "handed_to_carrier_at": handed_over,
            "delivered_at": delivered,
            "estimated_delivery_at": promised,
            "approval_days": days_between(purchased, approved),
            "handling_days": days_between(approved, handed_over),
            "transit_days": days_between(handed_over, delivered),
            "delivery_days": days_between(purchased, delivered),
            "delay_days": days_between(promised, delivered),
            "is_late": None if delivered is None else delivered.date() > promised.date(),
            "item_count": len(items[order_id]),
            "product_count": len({item["product_id"] for item in items[order_id]}),
            "seller_count": len({item["seller_id"] for item in items[order_id]}),
            "payment_count": len(payments[order_id]),
            "review_count": len(reviews[order_id]),
            "items_value": items_value,
            "order_freight_value": freight_value,
            "order_value": items_value + freight_value,
            "order_payment_value": sum((payment["payment_value"] for payment in payments[order_id]), Decimal(0)),
        }

    return [final(order) for order in current(batches, "orders")]


def fct_order_items(batches: Batches, orders: Mart) -> Mart:
    """One row per order item. Without its order, it has the first version of its product and seller."""
    order_of = {order["order_id"]: order for order in orders}
    products = versions_by_batch(batches, "products", "product_id")
    sellers = versions_by_batch(batches, "sellers", "seller_id")
    zip_of = {row["customer_key"]: row["zip_code_prefix"] for row in dim_customer(batches)}
    zip_of |= {row["seller_key"]: row["zip_code_prefix"] for row in dim_seller(batches)}
    place_of = {row["zip_code_prefix"]: (row["latitude"], row["longitude"]) for row in dim_geography(batches)}

    def key_of(natural_key: str, versions: Mapping[Any, list[Version]], moment: datetime) -> str:
        if natural_key not in versions:
            return surrogate_key(natural_key, BEGINNING)
        return surrogate_key(natural_key, valid_at(versions[natural_key], moment))

    def final(item: Row) -> dict[str, Any]:
        order = order_of.get(item["order_id"], {})
        moment = order.get("purchased_at", BEGINNING)
        handed_over, limit = order.get("handed_to_carrier_at"), item["shipping_limit_date"]
        customer_key = order.get("customer_key", UNKNOWN)
        seller_key = key_of(item["seller_id"], sellers, moment)
        return {
            "order_id": item["order_id"],
            "order_item_id": item["order_item_id"],
            "customer_key": customer_key,
            "product_key": key_of(item["product_id"], products, moment),
            "seller_key": seller_key,
            "purchase_date_key": order.get("purchase_date_key", 0),
            "shipping_limit_date_key": date_key(limit),
            "shipping_limit_at": limit,
            "is_handed_over_late": None if handed_over is None else limit is not None and handed_over > limit,
            "distance_km": distance_km(place_of.get(zip_of[customer_key]), place_of.get(zip_of[seller_key])),
            "price": item["price"],
            "freight_value": item["freight_value"],
        }

    return [final(item) for item in current(batches, "order_items")]


def fct_payments(batches: Batches, orders: Mart) -> Mart:
    """One row per payment."""
    order_of = {order["order_id"]: order for order in orders}
    return [
        {
            "order_id": payment["order_id"],
            "payment_sequential": payment["payment_sequential"],
            **_of_its_order(order_of.get(payment["order_id"])),
            "payment_type": _known(payment["payment_type"]),
            "payment_installments": payment["payment_installments"],
            "payment_value": payment["payment_value"],
        }
        for payment in current(batches, "order_payments")
    ]


def fct_reviews(batches: Batches, orders: Mart) -> Mart:
    """One row per review and order."""
    order_of = {order["order_id"]: order for order in orders}

    def is_created_before_delivery(review: Row) -> bool | None:
        delivered = order_of.get(review["order_id"], {}).get("delivered_at")
        days = days_between(review["review_creation_date"], delivered)
        return None if days is None else days > 0

    return [
        {
            "order_id": review["order_id"],
            "review_id": review["review_id"],
            **_of_its_order(order_of.get(review["order_id"])),
            "creation_date_key": date_key(review["review_creation_date"]),
            "answer_date_key": date_key(review["review_answer_timestamp"]),
            "review_score": review["review_score"],
            "review_comment_title": review["review_comment_title"],
            "review_comment_message": review["review_comment_message"],
            "created_at": review["review_creation_date"],
            "answered_at": review["review_answer_timestamp"],
            "answer_days": days_between(review["review_creation_date"], review["review_answer_timestamp"]),
            "is_created_before_delivery": is_created_before_delivery(review),
        }
        for review in current(batches, "order_reviews")
    ]


def date_key(moment: datetime | None) -> int:
    """The moment's day as YYYYMMDD; 0 for null and for days that dim_date lacks."""
    if moment is None or not FIRST_DAY <= moment.date() <= LAST_DAY:
        return 0
    return int(f"{moment:%Y%m%d}")


def days_between(start: datetime | None, end: datetime | None) -> int | None:
    """Midnights from one moment to the other, negative backwards; None if one of the two is not known."""
    return None if start is None or end is None else (end.date() - start.date()).days


def distance_km(start: tuple[Any, Any] | None, end: tuple[Any, Any] | None) -> Decimal | None:
    """Kilometres between two places (latitude, longitude in degrees), to a tenth: by the angle between two vectors.

    The marts use the haversine formula; both give the great circle on a sphere of 6,371 km.
    """
    if None in (*(start or (None,)), *(end or (None,))):
        return None

    def vector(latitude: float, longitude: float) -> tuple[float, float, float]:
        up, round_ = radians(latitude), radians(longitude)
        return cos(up) * cos(round_), cos(up) * sin(round_), sin(up)

    a, b = vector(*start), vector(*end)
    across = hypot(a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
    kilometres = 6371 * atan2(across, sum(x * y for x, y in zip(a, b, strict=True)))
    return Decimal(kilometres).quantize(Decimal("0.1"), rounding=ROUND_HALF_UP)


def _delivery(order: Row | None) -> tuple[str, str]:
    """Whether the order came in time, and the band of its delay."""
    if order is None:
        return UNKNOWN, UNKNOWN
    if order["is_late"] is None:
        return "not delivered", "not delivered"
    delay = order["delay_days"]
    band = UNKNOWN if delay is None else DELAY_BANDS[bisect_left((-15, -8, -1, 0, 3, 7), delay)]
    return "late" if order["is_late"] else "on time", band


def _members_by_batch(batches: Batches, name: str, key: str) -> list[tuple[dict[str, Any], Row]]:
    """The members of a dimension that batches date, each with the row that describes it (empty: none does)."""
    described = [
        (_member(natural_key, start, end), row)
        for natural_key, versions in versions_by_batch(batches, name, key).items()
        for start, end, row in versions
    ]
    missing = {item[key] for item in current(batches, "order_items")} - keys_of(batches, name)
    inferred = [(_member(natural_key, key=surrogate_key(natural_key, BEGINNING)), {}) for natural_key in missing]
    return [*described, *inferred, (_member(UNKNOWN, key=UNKNOWN), {})]


def _member(
    natural_key: Any, start: datetime = BEGINNING, end: datetime | None = None, key: str | None = None
) -> dict[str, Any]:
    """What all members of a versioned dimension have. A `key` is given to those that no row describes."""
    return {
        "key": key or surrogate_key(natural_key, start),
        "natural_key": natural_key,
        "valid_from": start,
        "valid_to": end,
        "is_current": end is None,
        "is_inferred": key is not None,
    }


def _dimension_row(key: str, natural_key: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Keys in front, attributes, validity: the order of the columns in every versioned dimension."""
    last = ("valid_from", "valid_to", "is_current", "is_inferred")
    attributes = {name: value for name, value in row.items() if name not in ("key", "natural_key", *last)}
    return {key: row["key"], natural_key: row["natural_key"], **attributes, **{name: row[name] for name in last}}


def _address(row: Row | None, prefix: str = "") -> dict[str, Any]:
    return {name: _known(row.get(f"{prefix}_{name}") if row else None) for name in ("zip_code_prefix", "city", "state")}


def _known(value: Any) -> Any:
    return UNKNOWN if value is None else value


def _of_its_order(order: Row | None) -> dict[str, Any]:
    """What a payment or review takes from its order; without it, the unknown customer and date."""
    if order is None:
        return {"customer_key": UNKNOWN, "purchase_date_key": 0}
    return {name: order[name] for name in ("customer_key", "purchase_date_key")}


def _by_order(rows: Iterable[Row]) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["order_id"]].append(row)
    return found


def _most_frequent(values: Iterable[Any]) -> Any:
    """Of several that are equally frequent, the first in alphabetical order."""
    counted = Counter(values)
    return min(counted, key=lambda value: (-counted[value], value))


def _median(values: Iterable[float]) -> float:
    """The lower of two middle values (percentile_disc)."""
    in_order = sorted(values)
    return in_order[(len(in_order) - 1) // 2]
