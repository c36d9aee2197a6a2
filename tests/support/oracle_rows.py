"""Deliveries of Olist's CSV files -> the typed rows that each batch holds now. Plain Python, nothing of `lakehouse`.

The first part of the oracle; oracle.py makes the marts of these rows. Everything here is written from docs/tables.md
(columns and rules), docs/adding-a-source.md (forms of the types) and docs/reconciliation.md (which row of a file
counts).

Out of reach: files that landing refuses as a whole, keys and references longer than 2,000 bytes or with a U+001F, and
what is kept about the records that are left out (their reasons, their counts). Those have tests of their own.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

Value = str | int | float | bool | Decimal | date | None  # a datetime is a date, too
Row = Mapping[str, Value]
# Table -> day of the batch -> its rows.
Batches = Mapping[str, Mapping[date, Sequence[Row]]]
# A table of a batch, as delivered at some moment; None: withdrawn.
Delivery = tuple[date, str, bytes | None]


class NotOfTheContract(Exception):
    """The value is not of its column's type, or breaks a rule of severity error."""


@dataclass(frozen=True)
class Column:
    """How a column is read, and what its values keep to. `allowed`: whether a value may be in the column."""

    read: Callable[[str], Value]
    required: bool = False
    allowed: Callable[[Value], bool] = lambda value: True

    def value_of(self, text: str) -> Value:
        """The typed value; an empty text is null."""
        value = self.read(text) if text else None
        if (value is None and self.required) or (value is not None and not self.allowed(value)):
            raise NotOfTheContract(text)
        return value


@dataclass(frozen=True)
class Table:
    """A file and its columns. `key`: the columns that tell two rows apart; none: all together."""

    file: str
    key: tuple[str, ...]
    columns: Mapping[str, Column]

    def key_of(self, row: Row) -> tuple[Value, ...]:
        return tuple(row[name] for name in self.key or self.columns)


def as_sent(text: str) -> str:
    """Nothing is trimmed."""
    return text


def integer(text: str) -> int:
    """`1` and `01` are one value; 32 bits."""
    _whole(text, r"-?[0-9]+")
    if not -(2**31) <= int(text) < 2**31:
        raise NotOfTheContract(text)
    return int(text)


def money(text: str) -> Decimal:
    """`1`, `1.5` and `1.50` are values of decimal(12,2), `1.505` is none."""
    _whole(text, r"-?[0-9]{1,10}(\.[0-9]{1,2})?")
    return Decimal(text)


def double(text: str) -> float:
    """Degrees; a negative zero is zero."""
    _whole(text, r"-?[0-9]+(\.[0-9]+)?")
    return float(text) + 0.0


def moment(text: str) -> datetime:
    """The shop's wall time, without a zone."""
    _whole(text, r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
    try:
        found = datetime(*map(int, re.split("[- :]", text)))
    except ValueError as error:
        raise NotOfTheContract(text) from error
    if not 1900 <= found.year <= 2199:
        raise NotOfTheContract(text)
    return found


def _whole(text: str, form: str) -> None:
    if not re.fullmatch(form, text):
        raise NotOfTheContract(text)


def _among(values: str) -> Callable[[Value], bool]:
    return lambda value: value in values.split()


def _between(least: int, most: float = float("inf")) -> Callable[[Value], bool]:
    return lambda value: least <= value <= most


def _is_zip(value: Value) -> bool:
    return re.fullmatch("[0-9]{5}", str(value)) is not None


STATES = "AC AL AM AP BA CE DF ES GO MA MG MS MT PA PB PE PI PR RJ RN RO RR RS SC SE SP TO"
STATUSES = "created approved invoiced processing shipped delivered canceled unavailable"
PAYMENT_TYPES = "credit_card boleto voucher debit_card not_defined"

TEXT, REQUIRED_TEXT = Column(as_sent), Column(as_sent, required=True)
ZIP, STATE = Column(as_sent, True, _is_zip), Column(as_sent, True, _among(STATES))
MOMENT, REQUIRED_MOMENT = Column(moment), Column(moment, required=True)
COUNT, POSITION = Column(integer, allowed=_between(0)), Column(integer, True, _between(1))
AMOUNT = Column(money, True, _between(0))

TABLES = {
    "customers": Table(
        "olist_customers_dataset.csv",
        ("customer_id",),
        {
            "customer_id": REQUIRED_TEXT,
            "customer_unique_id": Column(as_sent, True, lambda value: len(str(value)) <= 200),
            "customer_zip_code_prefix": ZIP,
            "customer_city": REQUIRED_TEXT,
            "customer_state": STATE,
        },
    ),
    "geolocation": Table(
        "olist_geolocation_dataset.csv",
        (),
        {
            "geolocation_zip_code_prefix": ZIP,
            "geolocation_lat": Column(double, True, _between(-90, 90)),
            "geolocation_lng": Column(double, True, _between(-180, 180)),
            "geolocation_city": REQUIRED_TEXT,
            "geolocation_state": STATE,
        },
    ),
    "sellers": Table(
        "olist_sellers_dataset.csv",
        ("seller_id",),
        {
            "seller_id": REQUIRED_TEXT,
            "seller_zip_code_prefix": ZIP,
            "seller_city": REQUIRED_TEXT,
            "seller_state": STATE,
        },
    ),
    "products": Table(
        "olist_products_dataset.csv",
        ("product_id",),
        {
            "product_id": REQUIRED_TEXT,
            "product_category_name": TEXT,
            "product_name_lenght": COUNT,
            "product_description_lenght": COUNT,
            "product_photos_qty": COUNT,
            "product_weight_g": COUNT,
            "product_length_cm": COUNT,
            "product_height_cm": COUNT,
            "product_width_cm": COUNT,
        },
    ),
    "category_translation": Table(
        "product_category_name_translation.csv",
        ("product_category_name",),
        {"product_category_name": REQUIRED_TEXT, "product_category_name_english": REQUIRED_TEXT},
    ),
    "orders": Table(
        "olist_orders_dataset.csv",
        ("order_id",),
        {
            "order_id": REQUIRED_TEXT,
            "customer_id": REQUIRED_TEXT,
            "order_status": Column(as_sent, True, _among(STATUSES)),
            "order_purchase_timestamp": REQUIRED_MOMENT,
            "order_approved_at": MOMENT,
            "order_delivered_carrier_date": MOMENT,
            "order_delivered_customer_date": MOMENT,
            "order_estimated_delivery_date": REQUIRED_MOMENT,
        },
    ),
    "order_items": Table(
        "olist_order_items_dataset.csv",
        ("order_id", "order_item_id"),
        {
            "order_id": REQUIRED_TEXT,
            "order_item_id": POSITION,
            "product_id": REQUIRED_TEXT,
            "seller_id": REQUIRED_TEXT,
            "shipping_limit_date": REQUIRED_MOMENT,
            "price": AMOUNT,
            "freight_value": AMOUNT,
        },
    ),
    "order_payments": Table(
        "olist_order_payments_dataset.csv",
        ("order_id", "payment_sequential"),
        {
            "order_id": REQUIRED_TEXT,
            "payment_sequential": POSITION,
            "payment_type": Column(as_sent, True, _among(PAYMENT_TYPES)),
            "payment_installments": Column(integer, True, _between(0)),
            "payment_value": AMOUNT,
        },
    ),
    "order_reviews": Table(
        "olist_order_reviews_dataset.csv",
        ("review_id", "order_id"),
        {
            "review_id": REQUIRED_TEXT,
            "order_id": REQUIRED_TEXT,
            "review_score": Column(integer, True, _between(1, 5)),
            "review_comment_title": TEXT,
            "review_comment_message": TEXT,
            "review_creation_date": MOMENT,
            "review_answer_timestamp": MOMENT,
        },
    ),
}


def batches_of(deliveries: Iterable[Delivery]) -> Batches:
    """What each batch holds after these deliveries, in the order of their arrival: the last one of a table counts."""
    newest = {(name, day): content for day, name, content in deliveries}
    batches: dict[str, dict[date, Sequence[Row]]] = {name: {} for name in TABLES}
    for (name, day), content in newest.items():
        if content is not None:
            batches[name][day] = rows_of(TABLES[name], content)
    return batches


def rows_of(table: Table, content: bytes) -> list[Row]:
    """The typed rows of a file, one per key: the last valid record with the key."""
    valid = [row for record in records_of(table, content) if (row := row_of(table, record)) is not None]
    return list({table.key_of(row): row for row in valid}.values())


def row_of(table: Table, record: Mapping[str, str]) -> Row | None:
    """The record's typed values; None if it breaks the contract."""
    try:
        return {name: column.value_of(record[name]) for name, column in table.columns.items()}
    except NotOfTheContract:
        return None


def records_of(table: Table, content: bytes) -> list[dict[str, str]]:
    """The readable records of a file: they have as many fields as the header, in UTF-8, without a NUL, and are data."""
    lines = csv.reader(io.StringIO(content.decode("utf-8", errors="surrogateescape"), newline=""))
    header = next(lines)
    assert sorted(header) == sorted(table.columns), f"{table.file} with other columns is refused as a whole"
    return [
        dict(zip(header, record, strict=True))
        for record in lines
        if len(record) == len(header)
        and all("\0" not in text and _is_utf8(text) for text in record)
        and not _is_header_or_ruler(record, header)
    ]


def _is_header_or_ruler(record: Sequence[str], header: Sequence[str]) -> bool:
    """Whether it has the names of the header again, or dashes in every field and two or more in one of them."""
    texts = [text.lstrip("\ufeff").strip() for text in record]
    dashes = [set(text) == {"-"} for text in texts]
    return [text.lower() for text in texts] == list(header) or (all(dashes) and max(map(len, texts)) >= 2)


def _is_utf8(text: str) -> bool:
    """Whether no byte of it was escaped when it was decoded."""
    return not any("\udc80" <= character <= "\udcff" for character in text)
