"""The newest valid rows -> what the marts must contain: versions, inferred members, facts, business figures."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

from lakehouse.sample_data.synthetic.truth import BEGINNING, EndState, Row, Truth, Version

FACTS = {
    "fct_orders": "orders",
    "fct_order_items": "order_items",
    "fct_payments": "order_payments",
    "fct_reviews": "order_reviews",
}
ATTRIBUTES = {
    "products": (
        *("product_category_name", "product_name_lenght", "product_description_lenght", "product_photos_qty"),
        *("product_weight_g", "product_length_cm", "product_height_cm", "product_width_cm"),
    ),
    "sellers": ("seller_zip_code_prefix", "seller_city", "seller_state"),
}
ADDRESS = ("customer_zip_code_prefix", "customer_city", "customer_state")
UNKNOWN_MONTH = "unknown"  # the month of items whose order is missing


def complete(truth: Truth, end: EndState) -> None:
    """Fill in the part of a truth that follows from the end state."""
    orders = {row["order_id"]: row for row in _rows(end, "orders")}
    for fact, table in FACTS.items():
        truth.facts[fact] = len(end.newest[table])
        if table != "orders":
            truth.orphans[fact] = sum(row["order_id"] not in orders for row in _rows(end, table))
    truth.inferred = _inferred(end, orders)
    truth.versions = {
        "customers": _people(end, orders),
        "products": _catalogue(end, "products"),
        "sellers": _catalogue(end, "sellers"),
    }
    truth.dimensions = {
        "dim_customer": sum(map(len, truth.versions["customers"].values())),
        "dim_product": sum(map(len, truth.versions["products"].values())),
        "dim_seller": sum(map(len, truth.versions["sellers"].values())),
        "dim_geography": len({row["geolocation_zip_code_prefix"] for row in _rows(end, "geolocation")}),
    }
    truth.business = _business(end, orders)


def _rows(end: EndState, table: str) -> list[Row]:
    return list(end.newest[table].values())


def _inferred(end: EndState, orders: dict[str, Row]) -> dict[str, list[str]]:
    described = {table: {key[0] for key in end.newest[table]} for table in ("customers", "products", "sellers")}
    referred = {
        "customers": {order["customer_id"] for order in orders.values()},
        "products": {item["product_id"] for item in _rows(end, "order_items")},
        "sellers": {item["seller_id"] for item in _rows(end, "order_items")},
    }
    return {table: sorted(referred[table] - described[table]) for table in described}


def _people(end: EndState, orders: dict[str, Row]) -> dict[str, list[Version]]:
    """Versions per person: a new version starts with each order whose address differs from the previous order's."""
    customers = {row["customer_id"]: row for row in _rows(end, "customers")}
    bought: dict[str, dict[str, tuple[str, tuple[str, ...]]]] = {}  # person -> moment -> (order, address)
    for order in orders.values():
        if customer := customers.get(order["customer_id"]):
            moments = bought.setdefault(customer["customer_unique_id"], {})
            candidate = (order["order_id"], _values(customer, ADDRESS))
            moment = order["order_purchase_timestamp"]
            moments[moment] = max(moments.get(moment, candidate), candidate)
    without_order: dict[str, Row] = {}
    for customer_id in sorted(customers):
        person = customers[customer_id]["customer_unique_id"]
        if person not in bought:
            without_order[person] = customers[customer_id]  # the row with the highest customer_id
    changes = {person: [(at, address) for at, (_, address) in sorted(m.items())] for person, m in bought.items()}
    changes |= {person: [(BEGINNING, _values(row, ADDRESS))] for person, row in without_order.items()}
    return {person: _versions(ADDRESS, changes[person]) for person in sorted(changes)}


def _catalogue(end: EndState, table: str) -> dict[str, list[Version]]:
    """Versions per product or seller: a new version starts with each batch whose attributes differ."""
    names, changes = ATTRIBUTES[table], end.attribute_changes[table]
    return {
        key: _versions(names, [(f"{batch_date} 00:00:00", _values(row, names)) for batch_date, row in changes[key]])
        for key in sorted(changes)
    }


def _versions(names: tuple[str, ...], states: list[tuple[str, tuple[str, ...]]]) -> list[Version]:
    """One version per change of state; `valid_to` is exclusive, None while current."""
    kept = [state for number, state in enumerate(states) if number == 0 or state[1] != states[number - 1][1]]
    opened: list[str] = [BEGINNING, *(moment for moment, _ in kept[1:])]
    closed: list[str | None] = [*opened[1:], None]
    return [
        {"valid_from": start, "valid_to": end, **dict(zip(names, values, strict=True))}
        for start, end, (_, values) in zip(opened, closed, kept, strict=True)
    ]


def _values(row: Row, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(row[name] for name in names)


def _business(end: EndState, orders: dict[str, Row]) -> dict[str, Any]:
    items = _rows(end, "order_items")
    by_month: dict[str, Decimal] = {}
    for item in items:
        order = orders.get(item["order_id"])
        month = order["order_purchase_timestamp"][:7] if order else UNKNOWN_MONTH
        by_month[month] = by_month.get(month, Decimal(0)) + Decimal(item["price"])
    delivered = [order for order in orders.values() if order["order_delivered_customer_date"]]
    return {
        "orders": len(orders),
        "items": len(items),
        "revenue": _money(sum(Decimal(item["price"]) for item in items)),
        "freight": _money(sum(Decimal(item["freight_value"]) for item in items)),
        "payments": _money(sum(Decimal(payment["payment_value"]) for payment in _rows(end, "order_payments"))),
        "revenue_by_month": {month: _money(by_month[month]) for month in sorted(by_month)},
        "delivered_orders": len(delivered),
        "late_deliveries": sum(
            order["order_delivered_customer_date"][:10] > order["order_estimated_delivery_date"][:10]
            for order in delivered
        ),
        "orders_by_status": dict(sorted(Counter(order["order_status"] for order in orders.values()).items())),
    }


def _money(amount: Decimal | int) -> str:
    return f"{amount:.2f}"
