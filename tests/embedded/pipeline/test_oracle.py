"""CSV files -> marts through the whole pipeline, beside the oracle: the marts that plain Python makes of the files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from lakehouse import warehouse
from lakehouse.contract.model import Contract
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import step as landing
from lakehouse.load import step as load
from lakehouse.pipeline import run as pipeline
from lakehouse.sample_data.synthetic import Truth
from lakehouse.settings import Settings
from tests.support.compiled_models import Model, build, create
from tests.support.lake import Silent, days_of
from tests.support.oracle import marts_of
from tests.support.oracle_comparison import Differences, differences_from_oracle, marts_in
from tests.support.oracle_rows import (
    TABLES,
    Delivery,
    Row,
    Table,
    Value,
    batches_of,
    records_of,
    row_of,
    rows_of,
)
from tests.support.small_shops import Round, history, shop_of, story

SHOPS = 40
SEEDS = [1, 2]
SEEDS_OF_THE_NIGHT = range(3, 19)


@pytest.mark.long
def test_the_marts_of_a_generated_shop_are_those_of_the_oracle(loaded_shop: Settings, shop: tuple[Path, Truth]) -> None:
    files = {table.file: name for name, table in TABLES.items()}
    deliveries = [
        (date.fromisoformat(day.name), files[path.name], path.read_bytes())
        for day in days_of(shop[0])
        for path in sorted(day.iterdir())
    ]

    expected = marts_of(batches_of(deliveries))

    with warehouse.cursor(loaded_shop, "transformer") as cursor:
        assert marts_in(cursor) == set(expected)
        assert differences_from_oracle(cursor, expected) == {}


@pytest.mark.long
@pytest.mark.parametrize(
    "seed", [*SEEDS, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in SEEDS_OF_THE_NIGHT)]
)
def test_random_histories_end_in_the_marts_of_the_oracle(
    seed: int,
    new_workspace: Callable[..., Settings],
    project: list[Model],
    contract: Contract,
    spark: Any,
    tmp_path: Path,
) -> None:
    lakehouse = Lakehouse(new_workspace(), contract)
    load.ensure_tables(lakehouse)
    with warehouse.cursor(lakehouse.settings, "owner") as cursor:
        create(cursor, project)
    rounds = history(seed, SHOPS)

    for number, one in enumerate(rounds, start=1):
        land(lakehouse, one.deliveries, tmp_path / str(number))
        pipeline.run_lake(lakehouse, Silent(), spark)
        with warehouse.cursor(lakehouse.settings, "owner") as cursor:
            build(cursor, project, killed_after=one.killed_after)
        if one.killed_after is None:
            there = [delivery for earlier in rounds[:number] for delivery in earlier.deliveries]
            with warehouse.cursor(lakehouse.settings, "transformer") as cursor:
                found = differences_from_oracle(cursor, marts_of(batches_of(there)))
            assert found == {}, of_one_shop(rounds[:number], found)


def test_the_random_histories_have_every_kind_of_change() -> None:
    seen: Counter[str] = Counter()

    for seed in SEEDS:
        rounds = history(seed, SHOPS)
        seen["killed builds"] += sum(one.killed_after is not None for one in rounds)
        before: dict[tuple[str, date], bytes | None] = {}
        for day, name, content in (delivery for one in rounds for delivery in one.deliveries):
            seen["withdrawals"] += content is None
            seen["headers and rulers between records"] += (content or b"").count(b"\n--,") + repeated_headers(content)
            seen["redeliveries"] += content is not None and (name, day) in before
            seen["values written differently"] += written_differently(TABLES[name], before.get((name, day)), content)
            before[name, day] = content
        batches = batches_of(delivery for one in rounds for delivery in one.deliveries)
        marts = marts_of(batches)
        versions = Counter(row["customer_unique_id"] for row in marts["dim_customer"])
        moments = Counter((row["customer_key"], row["purchased_at"]) for row in marts["fct_orders"])
        seen["people who moved twice"] += sum(count > 2 for count in versions.values())
        seen["two orders of a person at one moment"] += sum(count > 1 for count in moments.values())
        seen["products that changed"] += sum(not row["is_current"] for row in marts["dim_product"])
        seen["categories that changed"] += changed(batches["category_translation"], "product_category_name")
        seen["places that changed"] += changed(batches["geolocation"], "geolocation_zip_code_prefix")
        for name in ("dim_customer", "dim_product", "dim_seller"):
            seen[f"inferred members of {name}"] += sum(row["is_inferred"] for row in marts[name]) - 1

    assert len(seen) == 13
    assert {kind for kind, count in seen.items() if count < 1} == set()


def repeated_headers(content: bytes | None) -> int:
    """How many lines of a file are its first one again, in any case."""
    header, *others = (content or b"").lower().splitlines() or [b""]
    return others.count(header)


def written_differently(table: Table, old: bytes | None, new: bytes | None) -> int:
    """How many rows of a new file were in the old one as other texts."""
    if old is None or new is None:
        return 0
    rows, texts = rows_of(table, old), records_of(table, old)
    return sum(row_of(table, record) in rows and record not in texts for record in records_of(table, new))


def changed(batches: Mapping[date, Sequence[Row]], key: str) -> int:
    """How many keys have other rows on one day than on another."""
    by_day: dict[Value, list[set[tuple[Value, ...]]]] = {}
    for rows in batches.values():
        for value in {row[key] for row in rows}:
            by_day.setdefault(value, []).append({tuple(row.values()) for row in rows if row[key] == value})
    return sum(any(rows != days[0] for rows in days) for days in by_day.values())


def land(lakehouse: Lakehouse, deliveries: Sequence[Delivery], folder: Path) -> None:
    """Land the files of a round as one delivery; withdraw what is withdrawn."""
    folder.mkdir()
    for day, name, content in deliveries:
        if content is None:
            landing.remove(lakehouse, day, name)
        else:
            path = folder / day.isoformat() / TABLES[name].file
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
    landing.land(lakehouse, [folder])


def of_one_shop(rounds: Sequence[Round], differences: Differences) -> str:
    """The history and the differences of the shop that differs in the fewest rows."""
    shops = Counter(shop_of(row.values()) for both in differences.values() for rows in both for row in rows)
    shop, _ = shops.most_common()[-1]
    lines = [f"Shop {shop} of {sorted(map(str, shops))}:", story(rounds, shop) if shop is not None else ""]
    for name, (surplus, missing) in differences.items():
        lines += [f"{name} has   {row}" for row in surplus if shop_of(row.values()) == shop]
        lines += [f"{name} lacks {row}" for row in missing if shop_of(row.values()) == shop]
    return "\n".join(lines)
