"""report/pages.yml: what is there can be used, and a fault is named with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.errors import ReportError
from lakehouse.report.measures import Measures, read_measures
from lakehouse.report.pages import placeholders, read_pages
from lakehouse.settings import PROJECT_DIR

REPORT = PROJECT_DIR / "report"
WHOLE = (REPORT / "pages.yml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def measures() -> Measures:
    found = read_measures(REPORT, "olist")
    assert found is not None
    return found


def test_the_pages_of_the_project_can_be_used(measures: Measures) -> None:
    pages = read_pages(REPORT, measures)

    assert pages is not None
    names = ["Overview", "Sales", "Delivery", "Customers", "Sellers", "Data quality", "Actions"]
    assert [page.name for page in pages.pages] == names


def test_without_the_file_there_are_no_pages(measures: Measures, tmp_path: Path) -> None:
    assert read_pages(tmp_path, measures) is None


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("measures: [Payment Value]", "measures: [Payment Valeu]", "customers: payments_by_type: there is no measure"),
        ("by: delay_band", "by: delay", "delivery: score_by_delay: there is no dimension delay"),
        ("at: [8, 4, 5, 7]", "at: [8, 4, 6, 7]", "overview: revenue_by_state: at [8, 4, 6, 7] is not on the grid"),
        ("at: [8, 4, 5, 7]", "at: [7, 4, 5, 7]", "overview: revenue_by_state: it overlaps revenue_by_month"),
        ("id: revenue_by_state", "id: revenue_by_month", "overview: two visuals are called revenue_by_month"),
        ("{Revenue} revenue from", "{Revenu} revenue from", "overview: title: there is no measure Revenu"),
        (
            "[Revenue {Revenue | grew}",
            "[Revenue {Revenue | swelled}",
            "overview: title: swelled is no function of templates",
        ),
        ("filters: []", "filters: [city]", "quality: there is no filter city"),
        ("kind: pareto", "kind: pie", "pages: sellers: visuals: concentration: kind: Input should be"),
        ("small_sample: 30", "small_sampel: 30", "small_sampel: is not a key of this format: remove it"),
        ("Late Share: Late Share of These", "Late Part: Late Share of These", "filter category: there is no measure"),
    ],
)
def test_a_fault_is_named_with_its_place(old: str, new: str, fault: str, measures: Measures, tmp_path: Path) -> None:
    assert old in WHOLE
    (tmp_path / "pages.yml").write_text(WHOLE.replace(old, new, 1), encoding="utf-8")

    with pytest.raises(ReportError) as raised:
        read_pages(tmp_path, measures)

    assert fault in str(raised.value)


def test_the_figures_of_a_template_are_found_with_their_dimensions() -> None:
    template = "{Revenue} in {period}; {Late Share | highest month value}, {Revenue | top 3 product_category share}"

    assert placeholders(template) == [
        ("Revenue", "", None),
        ("Late Share", "highest month value", "month"),
        ("Revenue", "top 3 product_category share", "product_category"),
    ]
