"""A number -> a random history of many small shops, whose records are in the same CSV files.

The shops share nothing: each id, category and zip prefix has the number of its shop. So one run of the pipeline is as
many small histories as there are shops, and a failure can be shown with the records of one shop alone.

What happens: tables of a batch come, come again (the same values written differently, other rows, or nothing) and are
withdrawn; people move; orders come late; products, sellers, categories and places change; records break the contract;
headers and rulers stand between records; builds are killed.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

from tests.support.oracle_rows import TABLES, Delivery

DAYS = [date(2018, 1, 1), date(2018, 1, 2), date(2018, 1, 3)]
MODELS = 15  # how many tables a daily build changes
# Few values, so that they collide. The second moment is the beginning of a batch's versions, and exactly so.
MOMENTS = ["2017-12-31 23:59:59", "2018-01-02 00:00:00", "2018-01-02 12:00:00", "2018-01-03 00:00:00"]
FAR_MOMENTS = [*MOMENTS, "1999-12-31 23:59:59", "2000-01-01 00:00:00", "2049-12-31 23:59:59", "2050-01-01 00:00:00"]
MONEY = [Decimal("0"), Decimal("1"), Decimal("1.5"), Decimal("10.05")]
DEGREES = [-23.5, -23.25, 0.0, 4.0]

Record = dict[str, Any]
# Table and day of the batch -> shop -> the records that it delivered last.
Sent = dict[tuple[str, date], dict[int, list[Record]]]


@dataclass(frozen=True)
class Round:
    """What arrives, and the build after it. It is complete, or dies after `killed_after` models."""

    deliveries: tuple[Delivery, ...]
    killed_after: int | None


def history(seed: int, shops: int) -> list[Round]:
    """First a batch of all tables. Then, in three rounds, each table comes for some day, and three come twice."""
    draw = Random(seed)
    names = [*TABLES]
    later = [(name, draw.choice(DAYS)) for name in [*draw.sample(names, len(names)), *draw.sample(names, 3)]]
    sent: Sent = {}
    rounds = []
    for number, places in enumerate([[(name, DAYS[0]) for name in names], later[:4], later[4:8], later[8:]]):
        deliveries = tuple(_deliver(draw, sent, name, day, shops) for name, day in dict.fromkeys(places))
        is_killed = number in (1, 2) and draw.random() < 0.5
        rounds.append(Round(deliveries, draw.randint(1, MODELS) if is_killed else None))
    return rounds


def shop_of(values: Iterable[Any]) -> int | None:
    """The number of the shop that a record or a mart's row is about."""
    for value in values:
        if isinstance(value, str) and (found := re.search(r"@([0-9]+)$|^([0-9]{3})[0-9]{2}$", value)):
            return int(found[1] or found[2])
    return None


def story(rounds: Sequence[Round], shop: int) -> str:
    """The history of one shop, to be read."""
    lines = []
    for one in rounds:
        for day, name, content in one.deliveries:
            records = list(csv.reader(io.StringIO((content or b"").decode(), newline="")))
            lines.append(f"{day} {name}: {'withdrawn' if content is None else ','.join(records[0])}")
            lines += [f"    {_line(record)[:-1]}" for record in records if shop_of(record) == shop]
        lines.append(f"build, killed after {one.killed_after} models" if one.killed_after else "build")
    return "\n".join(lines)


def _deliver(draw: Random, sent: Sent, name: str, day: date, shops: int) -> Delivery:
    before = sent.get((name, day), {})
    if before and draw.random() < 0.2:
        sent[name, day] = {}
        return day, name, None
    now = {shop: _next_records(draw, name, shop, before.get(shop, [])) for shop in range(shops)}
    sent[name, day] = now
    columns = draw.sample([*TABLES[name].columns], len(TABLES[name].columns))
    lines = [_line(columns)]
    for records in now.values():
        for record in records:
            fields = [_written(draw, record[column]) for column in columns]
            lines.append(_line(_spoiled(draw, columns, fields) if draw.random() < 0.03 else fields))
        if draw.random() < 0.05:
            lines.append(_line(draw.choice([columns, [column.upper() for column in columns], ["--"] * len(columns)])))
    return day, name, "".join(lines).encode()


def _next_records(draw: Random, name: str, shop: int, before: list[Record]) -> list[Record]:
    """The shop's records in the next file: as before, with more, all others, or none."""
    kept = draw.choice(["all", "all", "more", "none", "none"]) if before else "none"
    if kept == "all":
        return before
    return [*(before if kept == "more" else []), *(RECORDS[name](draw, shop) for _ in range(draw.choice([0, 3, 5, 8])))]


def _spoiled(draw: Random, columns: Sequence[str], fields: list[str]) -> list[str]:
    """The record with too few fields, or with a value that breaks a rule. What names the shop stays."""
    possible = [at for at, column in enumerate(columns) if re.search("state|status|_date|price|_qty|score", column)]
    if not possible or draw.random() < 0.3:
        return fields[:-1]
    return [draw.choice(["x", "1,5", "2018-02-30 00:00:00"]) if at == possible[0] else f for at, f in enumerate(fields)]


def _written(draw: Random, value: Any) -> str:
    """One of the ways to write a value: 1 is `1` and `01`, 1.5 is also `1.50`, zero degrees may be negative."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    zeros = draw.choice(["", "", "0"])
    if isinstance(value, int):
        return f"{zeros}{value}"
    if isinstance(value, Decimal):
        ways = [f"{value:.2f}", f"{value:f}"] + ([f"{value:.1f}"] if value == round(value, 1) else [])
        return zeros + draw.choice(ways)
    sign = "-" if value < 0 or (value == 0 and draw.random() < 0.5) else ""
    return sign + zeros + draw.choice([str(abs(value)), f"{abs(value):.3f}"])


def _line(fields: Sequence[str]) -> str:
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerow(fields)
    return line.getvalue()


def _id(draw: Random, shop: int, *names: str) -> str:
    return f"{draw.choice(names)}@{shop}"


def _customer_id(draw: Random, shop: int) -> str:
    return _id(draw, shop, "c1", "c2", "c3", "c4")


def _order_id(draw: Random, shop: int) -> str:
    return _id(draw, shop, "o1", "o2", "o3", "o4", "o5", "o6")


def _product_id(draw: Random, shop: int) -> str:
    return _id(draw, shop, "p1", "p2", "unknown")


def _seller_id(draw: Random, shop: int) -> str:
    return _id(draw, shop, "s1", "s2")


def _category(draw: Random, shop: int) -> str:
    return _id(draw, shop, "artes", "jogos")


def _place(draw: Random, shop: int) -> tuple[str, str, str]:
    """A zip prefix, a city, a state."""
    return (
        f"{shop:03}{draw.choice(['00', '01'])}",
        draw.choice(["osasco", "santos", "são paulo"]),
        draw.choice(["SP", "RJ"]),
    )


def _maybe(draw: Random, values: Sequence[Any]) -> Any:
    return None if draw.random() < 0.3 else draw.choice(values)


def _record(name: str, *values: Any) -> Record:
    return dict(zip(TABLES[name].columns, values, strict=True))


# A person may have the id of a customer row.
RECORDS: dict[str, Callable[[Random, int], Record]] = {
    "customers": lambda draw, shop: _record(
        "customers", _customer_id(draw, shop), _id(draw, shop, "ana", "ana", "bob", "c1"), *_place(draw, shop)
    ),
    "geolocation": lambda draw, shop: _record(
        "geolocation", *_rotated(_place(draw, shop), draw.choice(DEGREES), draw.choice(DEGREES))
    ),
    "sellers": lambda draw, shop: _record("sellers", _seller_id(draw, shop), *_place(draw, shop)),
    "products": lambda draw, shop: _record(
        "products",
        _product_id(draw, shop),
        _maybe(draw, [_category(draw, shop)]),
        *(_maybe(draw, [0, 1, 20]) if draw.random() < 0.4 else size for size in (3, 4, 5, 6, 7, 8, 9)),
    ),
    "category_translation": lambda draw, shop: _record(
        "category_translation", _category(draw, shop), draw.choice(["art", "games"])
    ),
    "orders": lambda draw, shop: _record(
        "orders",
        _order_id(draw, shop),
        _customer_id(draw, shop),
        draw.choice(["created", "delivered", "canceled"]),
        draw.choice(MOMENTS),
        *(_maybe(draw, FAR_MOMENTS) for _ in range(3)),
        draw.choice(FAR_MOMENTS),
    ),
    "order_items": lambda draw, shop: _record(
        "order_items",
        _order_id(draw, shop),
        draw.randint(1, 2),
        _product_id(draw, shop),
        _seller_id(draw, shop),
        draw.choice(FAR_MOMENTS),
        draw.choice(MONEY),
        draw.choice(MONEY),
    ),
    "order_payments": lambda draw, shop: _record(
        "order_payments",
        _order_id(draw, shop),
        draw.randint(1, 2),
        draw.choice(["boleto", "voucher"]),
        draw.choice([0, 3, 10]),
        draw.choice(MONEY),
    ),
    "order_reviews": lambda draw, shop: _record(
        "order_reviews",
        _id(draw, shop, "r1", "r2"),
        _order_id(draw, shop),
        draw.randint(1, 5),
        _maybe(draw, ["Good", "so, so"]),
        _maybe(draw, ["two\nlines", 'said "no"', " spaces "]),
        _maybe(draw, FAR_MOMENTS),
        _maybe(draw, FAR_MOMENTS),
    ),
}


def _rotated(place: tuple[str, str, str], latitude: float, longitude: float) -> tuple[Any, ...]:
    zip_code, city, state = place
    return zip_code, latitude, longitude, city, state
