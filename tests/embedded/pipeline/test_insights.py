"""The project's findings on a small generated shop: nothing fails, and nothing is claimed from so few orders."""

from __future__ import annotations

from datetime import date

import pytest

from lakehouse import warehouse
from lakehouse.errors import ReportError
from lakehouse.report.insights import Period, answer, period_of, read_insights
from lakehouse.report.measures import read_measures
from lakehouse.report.pages import read_pages
from lakehouse.report.step import read_calendar
from lakehouse.settings import PROJECT_DIR, Settings
from tools import insights as page

REPORT = PROJECT_DIR / "report"
MEASURES = read_measures(REPORT, "olist")
assert MEASURES is not None
PAGES = read_pages(REPORT, MEASURES)
assert PAGES is not None


def test_a_shop_of_five_days_has_no_full_month(loaded_shop: Settings) -> None:
    with warehouse.cursor(loaded_shop, "bi_reader") as cursor:
        assert period_of(read_calendar(cursor, MEASURES, PAGES)) is None


def test_from_a_small_shop_nothing_is_claimed(loaded_shop: Settings) -> None:
    findings = read_insights(REPORT)

    with warehouse.cursor(loaded_shop, "bi_reader") as cursor:
        answers = answer(cursor, findings, REPORT, Period(date(2000, 1, 1), date(2050, 1, 1)))

    assert (answers.findings, answers.not_found) == ((), ())
    assert len(answers.not_shown) == len(findings.findings) + len(findings.not_found)


def test_a_period_without_an_order_has_figures_that_claim_nothing(loaded_shop: Settings) -> None:
    with warehouse.cursor(loaded_shop, "bi_reader") as cursor:
        answers = answer(cursor, read_insights(REPORT), REPORT, Period(date(2001, 1, 1), date(2003, 1, 1)))

    assert (answers.findings, answers.not_found) == ((), ())
    assert {each.reason[:14] for each in answers.not_shown} == {"Too few cases:"}


def test_the_lists_of_the_findings_work_without_an_order(loaded_shop: Settings) -> None:
    lists = [finding.list.query for finding in read_insights(REPORT).findings if finding.list]
    period = {"first_day": date(2001, 1, 1), "day_after": date(2003, 1, 1)}

    with warehouse.cursor(loaded_shop, "bi_reader") as cursor:
        for name in lists:
            cursor.execute((REPORT / "insights" / f"{name}.sql").read_text(), period)
            assert cursor.fetchall() == []


def test_the_page_of_the_docs_is_refused_for_other_data(loaded_shop: Settings) -> None:
    with (
        warehouse.cursor(loaded_shop, "bi_reader") as cursor,
        pytest.raises(ReportError, match=r"not the 99,441 for 13,591,643\.70 of the Brazilian"),
    ):
        page.rendered(cursor, date(2026, 1, 1))
