"""The real Olist archive: its known figures, and its replay in batches. Skipped if the archive is absent."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from lakehouse import warehouse
from lakehouse.contract.model import Contract
from lakehouse.lakehouse import Lakehouse
from lakehouse.pipeline.run import RunReport
from lakehouse.pipeline.summary import warnings
from lakehouse.report import step as report_step
from lakehouse.sample_data.replay import replay
from lakehouse.settings import Settings
from tests.support.archive import ARCHIVE, ARCHIVE_MARTS, ARCHIVE_QUALITY, ARCHIVE_ROWS, NEEDS_ARCHIVE, REPEATED
from tests.support.browser import content_of, total_of
from tests.support.lake import all_rows, data_quality, days_of, differences, digests, query
from tools import insights

Run = Callable[..., RunReport]

pytestmark = [*NEEDS_ARCHIVE, pytest.mark.long]

# The oddities that the archive has and the pipeline keeps: silver's and dbt's warnings, with their rows.
SUSPICIOUS = {
    ("order_reviews", "review_creation_date: required, but empty"): 13,
    ("order_reviews", "review_answer_timestamp: required, but empty"): 60,
    ("geolocation", "geolocation_lat: not between -33.76 and 5.28"): 27,
    ("geolocation", "geolocation_lng: not between -74.0 and -28.83"): 23,
    ("order_payments", "payment_value: less than 0.01"): 9,
    ("order_payments", "payment_installments: less than 1"): 2,
    ("products", "product_weight_g: less than 1"): 4,
    ("order_items", "freight_value: less than 0.01"): 383,
}
WARNINGS = {
    "customers_of_unknown_zip_codes": 269,
    "sellers_of_unknown_zip_codes": 7,
    "orders_approved_after_the_carrier_had_them": 1_359,
    "orders_canceled_with_a_delivery_date": 6,
    "orders_delivered_before_approval": 61,
    "orders_delivered_without_a_date": 8,
    "orders_handed_over_after_delivery": 23,
    "orders_handed_over_before_the_purchase": 166,
    "payments_cover_the_order": 1_349,
    "reviews_follow_the_purchase": 64,
}


@pytest.fixture(scope="module")
def report(olist_and_report: tuple[Settings, RunReport]) -> RunReport:
    """The report of the run that processed the archive."""
    return olist_and_report[1]


@pytest.fixture(scope="module")
def olist(olist_and_report: tuple[Settings, RunReport]) -> Settings:
    """A workspace that holds the archive, as one batch."""
    return olist_and_report[0]


@pytest.fixture(scope="module")
def olist_and_report(new_workspace: Callable[..., Settings], run: Run) -> tuple[Settings, RunReport]:
    settings = new_workspace()
    return settings, run(settings, ARCHIVE)


def test_every_record_arrives_and_only_geolocation_has_repetitions(olist: Settings) -> None:
    found = query(
        olist,
        "select table_name, records, bronze, rejected, quarantined, superseded, duplicates, silver, raw "
        "from ops.reconciliation",
        "loader",
    )

    assert {row[0]: row[1:] for row in found} == {
        name: (rows, rows, 0, 0, 0, REPEATED.get(name, 0), *(2 * [rows - REPEATED.get(name, 0)]))
        for name, rows in ARCHIVE_ROWS.items()
    }
    assert data_quality(olist, "table_name, ") == ARCHIVE_QUALITY


def test_the_sums_equal_those_of_the_archive(olist: Settings) -> None:
    ((price, freight),) = query(olist, "select sum(price), sum(freight_value) from marts.fct_order_items")
    ((payments,),) = query(olist, "select sum(payment_value) from marts.fct_payments")

    assert (price, freight, payments) == (Decimal("13591643.70"), Decimal("2251909.54"), Decimal("16008872.12"))


def test_people_and_zip_prefixes_are_counted_once(olist: Settings) -> None:
    people = query(olist, "select count(distinct customer_unique_id) from marts.dim_customer where not is_inferred")
    current = query(olist, "select count(*) from marts.dim_customer where is_current and not is_inferred")
    prefixes = query(olist, "select count(*) from marts.dim_geography where not is_inferred")

    assert (people, current, prefixes) == ([(96_096,)], [(96_096,)], [(19_015,)])


def test_facts_have_one_row_per_row_of_their_source(olist: Settings) -> None:
    facts = {"fct_orders": "orders", "fct_order_items": "order_items"}
    facts |= {"fct_payments": "order_payments", "fct_reviews": "order_reviews"}

    found = {fact: query(olist, f"select count(*) from marts.{fact}")[0][0] for fact in facts}

    assert found == {fact: ARCHIVE_ROWS[table] for fact, table in facts.items()}


def test_every_row_of_every_mart_is_known(olist: Settings) -> None:
    """The stack's tests compare with the same hashes. After a wanted change, take the new ones."""
    assert digests(all_rows(olist)) == ARCHIVE_MARTS


def test_the_report_of_the_archive_has_its_figures_and_is_small(
    olist: Settings, contract: Contract, tmp_path: Path
) -> None:
    written = report_step.run(Lakehouse(olist, contract), tmp_path / "report.html")

    html = (tmp_path / "report.html").read_text()
    assert written is not None
    assert written.size < 5_000_000
    assert total_of(html, "Order Count") == ARCHIVE_ROWS["orders"]
    assert total_of(html, "Revenue") == pytest.approx(13_591_643.70)
    found = content_of(html)
    assert (found["calendar"]["full"][0], found["calendar"]["full"][-1]) == ("2017-01", "2018-08")
    assert len(found["insights"]["findings"]) >= 5


def test_its_oddities_are_kept_and_counted(olist: Settings, report: RunReport, contract: Contract) -> None:
    suspicious = warnings(Lakehouse(olist, contract), [table.name for table in contract.tables])

    assert {(table, reason): rows for table, reason, rows in suspicious} == SUSPICIOUS
    assert dict(report.marts.warnings) == WARNINGS


def test_the_findings_in_the_docs_are_those_of_the_archive(olist: Settings) -> None:
    with warehouse.cursor(olist, "bi_reader") as cursor:
        texts = insights.rendered(cursor, date(2000, 1, 1))

    assert texts == {path: path.read_text(encoding="utf-8") for path in texts}, "run `python -m tools.insights`"


def test_the_known_gaps_of_the_archive_are_shown_as_gaps(olist: Settings) -> None:
    without_category = query(
        olist, "select count(*) from marts.dim_product where product_category_name = 'unknown' and not is_inferred"
    )
    untranslated = query(
        olist,
        "select count(*) from marts.dim_product where product_category_name_english = product_category_name "
        "and product_category_name in "
        "('pc_gamer', 'portateis_cozinha_e_preparadores_de_alimentos')",
    )
    inferred = query(
        olist, "select count(*) from marts.dim_customer where is_inferred and customer_unique_id <> 'unknown'"
    )

    assert (without_category, untranslated, inferred) == ([(610,)], [(13,)], [(0,)])


@pytest.mark.parametrize(
    ("period", "seed"),
    [
        pytest.param("quarter", 1, id="quarters shuffled", marks=pytest.mark.nightly),
        pytest.param("quarter", None, id="quarters in order", marks=pytest.mark.nightly),
        pytest.param("month", None, id="months in order", marks=pytest.mark.nightly),
        pytest.param("month", 2, id="months shuffled", marks=pytest.mark.nightly),
    ],
)
def test_the_replay_one_build_per_batch_ends_in_the_marts_of_the_archive(
    period: str,
    seed: int | None,
    olist: Settings,
    new_workspace: Callable[..., Settings],
    run: Run,
    tmp_path: Path,
) -> None:
    replay(ARCHIVE, tmp_path / "batches", period)  # type: ignore[arg-type]
    batches = days_of(tmp_path / "batches")
    if seed is not None:
        random.Random(seed).shuffle(batches)
    settings = new_workspace()

    for batch in batches:
        run(settings, batch)

    # Versions of products and sellers are dated by batch, and so are their keys; all else is equal.
    replayed, whole = all_rows(settings), all_rows(olist)
    for marts in (replayed, whole):
        del marts["dim_product"], marts["dim_seller"], marts["fct_order_items"]
    assert differences(replayed, whole) == {}
    for current in CURRENT:
        assert query(settings, current) == query(olist, current)


# The columns that do not depend on when a batch came.
CURRENT = (
    "select product_id, product_category_name, product_category_name_english, product_name_length, "
    "product_description_length, product_photo_count, product_weight_g, product_length_cm, product_height_cm, "
    "product_width_cm, is_inferred "
    "from marts.dim_product where is_current order by 1",
    "select seller_id, zip_code_prefix, city, state, is_inferred from marts.dim_seller where is_current order by 1",
    "select order_id, order_item_id, customer_key, purchase_date_key, shipping_limit_date_key, shipping_limit_at, "
    "price, freight_value, dim_product.product_id, dim_seller.seller_id from marts.fct_order_items "
    "inner join marts.dim_product using (product_key) inner join marts.dim_seller using (seller_key) order by 1, 2",
)
