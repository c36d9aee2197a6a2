"""A generated shop is processed; every record ends where truth.json says, to the row."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from datetime import date
from decimal import Decimal
from pathlib import Path

from lakehouse import warehouse
from lakehouse.contract.model import Contract
from lakehouse.lake.bad_records import SUPERSEDED, bad_records
from lakehouse.lake.store import open_store
from lakehouse.lakehouse import Lakehouse
from lakehouse.pipeline.reconcile import Count
from lakehouse.pipeline.summary import warnings
from lakehouse.sample_data.synthetic import KINDS, Truth
from lakehouse.settings import Settings
from lakehouse.warehouse import counts
from tests.support.lake import data_quality, query

Shop = tuple[Path, Truth]


def test_every_kind_of_fault_was_injected(shop: Shop) -> None:
    assert {fault.kind for fault in shop[1].faults} == set(KINDS)


def test_every_stage_of_every_batch_has_the_counts_of_the_truth(loaded_shop: Settings, shop: Shop) -> None:
    names = [field.name for field in fields(Count)]
    columns = ", ".join(["table_name", *names[1:]])
    found = {
        (row[1].isoformat(), row[0]): dict(zip(names[2:], row[2:], strict=True))
        for row in query(loaded_shop, f"select {columns} from ops.reconciliation", "loader")
    }

    expected = {
        (day, table): {
            "records": file.records,
            "rejected": sum(file.rejected.values()),
            "bronze": file.bronze,
            "duplicates": file.duplicates,
            "superseded": file.superseded,
            "quarantined": file.quarantined_rows,
            "silver": file.silver,
            "raw": file.silver,
            "is_held": False,
        }
        for day, tables in shop[1].batches.items()
        for table, file in tables.items()
    }
    assert found == expected


def test_the_mart_of_data_quality_has_the_counts_of_the_truth(loaded_shop: Settings, shop: Shop) -> None:
    expected = [
        (
            *("olist", table, date.fromisoformat(day), file.records, sum(file.rejected.values())),
            *(file.duplicates, file.superseded, file.quarantined_rows, file.silver, False),
        )
        for day, tables in shop[1].batches.items()
        for table, file in tables.items()
    ]

    assert data_quality(loaded_shop) == sorted(expected)
    assert all(sum(row[column] for row in expected) for column in range(3, 9)), "each kind is there"


def test_every_injected_fault_is_found_once_with_its_reasons(
    loaded_shop: Settings, contract: Contract, shop: Shop
) -> None:
    stages = {"quarantine": "quarantined", "rejected": "rejected"}
    found = Counter(
        (r.batch_date.isoformat(), r.table, r.row, stages[r.stage], tuple(sorted(r.reasons)))
        for r in bad_records(open_store(loaded_shop, "bronze"), open_store(loaded_shop, "silver"), contract.tables)
        if SUPERSEDED not in r.reasons
    )

    expected = Counter(
        (f.batch_date, f.table, f.row, f.stage, tuple(sorted(f.reasons))) for f in shop[1].faults if f.reasons
    )
    assert found == expected


def test_the_reasons_of_a_batch_are_counted(loaded_shop: Settings, contract: Contract, shop: Shop) -> None:
    for day, tables in shop[1].batches.items():
        expected: Counter[tuple[str, str]] = Counter()
        for table, file in tables.items():
            expected.update({(table, reason): rows for reason, rows in (file.rejected | file.quarantined).items()})

        with warehouse.cursor(loaded_shop) as cursor:
            of_day = [(table.name, date.fromisoformat(day)) for table in contract.tables]
            found = counts.reasons_of(cursor, contract.source, of_day)

        assert {(table, reason): rows for table, reason, rows, _ in found} == dict(expected)
        assert [rows for _, _, rows, _ in found] == sorted((rows for _, _, rows, _ in found), reverse=True)


def test_every_warning_is_counted(loaded_shop: Settings, contract: Contract, shop: Shop) -> None:
    expected: Counter[tuple[str, str]] = Counter()
    for tables in shop[1].batches.values():
        for table, file in tables.items():
            expected.update({(table, reason): rows for reason, rows in file.warnings.items()})

    found = warnings(Lakehouse(loaded_shop, contract), [table.name for table in contract.tables])

    assert {(table, reason): rows for table, reason, rows in found} == dict(expected)


def test_facts_and_dimensions_have_the_rows_of_the_end_state(loaded_shop: Settings, shop: Shop) -> None:
    truth = shop[1]

    facts = {fact: query(loaded_shop, f"select count(*) from marts.{fact}")[0][0] for fact in truth.facts}
    assert facts == truth.facts
    assert truth.dimensions is not None
    dimensions = {
        name: query(loaded_shop, f"select count(*) from marts.{name} where not is_inferred")[0][0]
        for name in truth.dimensions
        if name != "dim_date"
    }
    assert dimensions == {name: rows for name, rows in truth.dimensions.items() if name != "dim_date"}


def test_every_person_has_the_versions_of_the_truth(loaded_shop: Settings, shop: Shop) -> None:
    rows = query(
        loaded_shop,
        "select customer_unique_id, valid_from, valid_to, zip_code_prefix, city, state from marts.dim_customer "
        "where not is_inferred order by customer_unique_id, valid_from",
    )

    found: dict[str, list[tuple[str | None, ...]]] = {}
    for person, valid_from, valid_to, *address in rows:
        found.setdefault(person, []).append((str(valid_from), str(valid_to) if valid_to else None, *address))
    assert shop[1].versions is not None
    expected = {
        person: [
            (v["valid_from"], v["valid_to"], v["customer_zip_code_prefix"], v["customer_city"], v["customer_state"])
            for v in versions
        ]
        for person, versions in shop[1].versions["customers"].items()
    }
    assert found == expected


def test_products_and_sellers_have_the_versions_of_the_truth(loaded_shop: Settings, shop: Shop) -> None:
    assert shop[1].versions is not None
    for table, dimension, key in (("products", "dim_product", "product_id"), ("sellers", "dim_seller", "seller_id")):
        rows = query(loaded_shop, f"select {key}, valid_from, valid_to from marts.{dimension} where not is_inferred")
        found = {(name, str(start), str(end) if end else None) for name, start, end in rows}

        expected = {(k, v["valid_from"], v["valid_to"]) for k, vs in shop[1].versions[table].items() for v in vs}
        assert found == expected
        assert len(expected) > len(shop[1].versions[table]), f"no {table} ever changed: the test would prove nothing"


def test_members_that_only_facts_name_are_inferred(loaded_shop: Settings, shop: Shop) -> None:
    assert shop[1].inferred is not None
    for name, dimension, key in (
        ("customers", "dim_customer", "customer_unique_id"),
        ("products", "dim_product", "product_id"),
        ("sellers", "dim_seller", "seller_id"),
    ):
        found = query(loaded_shop, f"select {key} from marts.{dimension} where is_inferred and {key} <> 'unknown'")

        assert {row[0] for row in found} == set(shop[1].inferred[name])


def test_the_business_figures_are_those_of_the_truth(loaded_shop: Settings, shop: Shop) -> None:
    business = shop[1].business
    by_month = query(
        loaded_shop,
        "select dim_date.year_month, sum(price) from marts.fct_order_items "
        "inner join marts.dim_date on purchase_date_key = date_key group by 1",
    )
    ((revenue, freight),) = query(loaded_shop, "select sum(price), sum(freight_value) from marts.fct_order_items")
    ((payments,),) = query(loaded_shop, "select sum(payment_value) from marts.fct_payments")
    ((delivered, late),) = query(
        loaded_shop,
        "select count(delivered_at), count(*) filter (where is_late) from marts.fct_orders",
    )
    by_status = query(loaded_shop, "select order_status, count(*) from marts.fct_orders group by 1")

    assert dict(by_month) == {month: Decimal(value) for month, value in business["revenue_by_month"].items()}
    assert [revenue, freight, payments] == [Decimal(business[n]) for n in ("revenue", "freight", "payments")]
    assert [delivered, late] == [business["delivered_orders"], business["late_deliveries"]]
    assert dict(by_status) == business["orders_by_status"]


def test_every_batch_is_dated_by_its_folder(loaded_shop: Settings, shop: Shop) -> None:
    found = query(loaded_shop, "select distinct _batch_date from raw_olist.orders order by 1")

    assert [row[0] for row in found] == sorted(date.fromisoformat(day) for day in shop[1].batches)
