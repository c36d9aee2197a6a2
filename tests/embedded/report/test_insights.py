"""Findings asked of a database: shown with their figures, or left out with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from psycopg2.extensions import cursor as Cursor

from lakehouse import warehouse
from lakehouse.errors import ReportError
from lakehouse.report.insights import Answers, NotShown, Period, answer, read_insights
from lakehouse.settings import Settings

YEAR = Period(date(2017, 1, 1), date(2018, 1, 1))

FILE = """
source: shop
currency: R$
dataset: {title: Shop, authors: We, release: first, licence: free, orders: 1, items_value: 1.00}
introduction: What to do.
method: How sure.
not_found: []
findings:
  - name: slow
    title: Slow
    question: Is it slow?
    summary: "{late} late"
    answer: "{late} of {orders:,} ({late_share:percent})"
    sample: "{late_share_range:percent}"
    other_explanations: none
    action: go
    where: here
    measure_of_success: none
    disproof: none
    minimum: {orders: 1000}
    holds: {late_share_low: [0.05, ~], late_share_high: [~, 0.5]}
    intervals: {late_share: {kind: share, of: [late, orders]}}
    list: {query: sellers, title: Sellers}
"""


@pytest.fixture(scope="module")
def cursor(new_workspace: Callable[..., Settings]) -> Iterator[Cursor]:
    with warehouse.cursor(new_workspace(), "bi_reader") as opened:
        yield opened


@pytest.fixture
def ask(tmp_path: Path, cursor: Cursor) -> Callable[..., Answers]:
    """Ask the one finding of FILE; its query returns the figures given."""

    def ask(figures: str, file: str = FILE, period: Period | None = YEAR) -> Answers:
        (tmp_path / "insights.yml").write_text(file)
        (tmp_path / "insights").mkdir()
        (tmp_path / "insights" / "slow.sql").write_text(f"select {figures}")
        (tmp_path / "insights" / "sellers.sql").write_text(
            "select 'a' as seller, %(first_day)s::date as since union all select 'b', %(day_after)s::date"
        )
        return answer(cursor, read_insights(tmp_path), tmp_path, period)

    return ask


def test_a_finding_holds_its_figures_its_interval_and_its_list(ask: Callable[..., Answers]) -> None:
    answers = ask("2000 as orders, cast(200 as numeric) as late")

    (finding,) = answers.findings
    assert finding.texts["answer"] == "200 of 2,000 (10.0 %)"
    assert finding.texts["sample"] == "8.8 % to 11.4 %"
    assert finding.figures["late_share"] == 0.1
    assert finding.sql == "select 2000 as orders, cast(200 as numeric) as late"
    assert finding.table is not None
    assert finding.table.columns == ("seller", "since")
    assert finding.table.rows == (("a", date(2017, 1, 1)), ("b", date(2018, 1, 1)))
    assert answers.not_shown == ()


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        pytest.param(
            "999 as orders, 100 as late",
            "Too few cases: orders is 999, and at least 1,000 are needed.",
            id="a small sample",
        ),
        pytest.param(
            "null::int as orders, null::int as late",
            "Too few cases: orders is 0, and at least 1,000 are needed.",
            id="no case",
        ),
        pytest.param(
            "2000 as orders, null::int as late", "No case to compute late from.", id="a figure without a value"
        ),
        pytest.param(
            "2000 as orders, 20 as late",
            "These data do not show it: late_share_low is 0.006483.",
            id="figures below what the words say",
        ),
        pytest.param(
            "2000 as orders, 1900 as late",
            "These data do not show it: late_share_high is 0.9587.",
            id="figures beyond what the words say",
        ),
    ],
)
def test_what_the_data_do_not_show_is_left_out_with_the_reason(
    ask: Callable[..., Answers], figures: str, reason: str
) -> None:
    answers = ask(figures)

    assert answers.findings == ()
    assert answers.not_shown == (NotShown("slow", "Slow", reason),)


def test_without_a_full_month_nothing_is_asked(ask: Callable[..., Answers]) -> None:
    answers = ask("1 / 0", period=None)

    assert [each.reason for each in answers.not_shown] == ["The data hold no full month."]


def test_a_text_with_an_unknown_figure_is_refused_with_the_known_ones(ask: Callable[..., Answers]) -> None:
    with pytest.raises(
        ReportError, match=r"slow name the figure 'lat', which .*\nThe figures are: orders, late, late_share"
    ):
        ask("2000 as orders, 200 as late", file=FILE.replace('summary: "{late} late"', 'summary: "{lat} late"'))
