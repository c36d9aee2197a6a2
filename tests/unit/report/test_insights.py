"""The list of findings: what its texts look like, and what a wrong one is refused for."""

import re
from datetime import date
from pathlib import Path

import pytest

from lakehouse.errors import ReportError
from lakehouse.report.calendar import calendar_of
from lakehouse.report.insights import Period, fill, period_of, read_insights
from lakehouse.report.intervals import Interval
from lakehouse.settings import PROJECT_DIR

FILE = """
source: shop
currency: R$
dataset: {title: Shop, authors: We, release: first, licence: free, orders: 1, items_value: 1.00}
introduction: What to do.
method: How sure.
findings: []
not_found:
  - name: slow
    title: Slow
    question: Is it slow?
    answer: "{late} late"
    sample: "{orders} orders"
    minimum: {orders: 10}
"""


def report(tmp_path: Path, file: str, *queries: str) -> Path:
    (tmp_path / "insights.yml").write_text(file)
    (tmp_path / "insights").mkdir()
    for query in queries:
        (tmp_path / "insights" / f"{query}.sql").write_text("select 1 as orders")
    return tmp_path


def test_the_project_s_findings_are_valid_and_say_what_the_report_promises() -> None:
    insights = read_insights(PROJECT_DIR / "report")

    assert len(insights.findings) >= 5
    assert len(insights.not_found) >= 5


def test_a_query_belongs_to_a_finding_a_list_or_the_whole() -> None:
    insights = read_insights(PROJECT_DIR / "report")
    used = {question.name for question in (*insights.findings, *insights.not_found)}
    used |= {finding.list.query for finding in insights.findings if finding.list}

    queries = {path.stem for path in (PROJECT_DIR / "report" / "insights").glob("*.sql")}

    assert queries == used | {"dataset"}


@pytest.mark.parametrize(
    "path", sorted((PROJECT_DIR / "report" / "insights").glob("*.sql")), ids=lambda path: path.stem
)
def test_a_query_reads_the_marts_only(path: Path) -> None:
    relations = re.findall(r"\b(?:from|join) (\w+\.\w+)", path.read_text())

    assert relations
    assert {relation.split(".")[0] for relation in relations} == {"marts"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        pytest.param("{orders:,} orders", "1,272 orders", id="a count"),
        pytest.param("{share:percent}", "47.1 %", id="a share"),
        pytest.param("{gap:points} points", "-0.7 points", id="percentage points"),
        pytest.param("{small:money}", "R$ 16.83", id="money in cents"),
        pytest.param("{some:money}", "R$ 328,000", id="money in thousands"),
        pytest.param("{much:money}", "R$ 1.25 million", id="money in millions"),
        pytest.param("{range:.2f}", "0.83 to 1.09", id="an interval"),
        pytest.param("{range:percent}", "83.0 % to 109.0 %", id="an interval of shares"),
        pytest.param("{day:%B %Y}", "November 2017", id="a day"),
    ],
)
def test_a_text_shows_its_figures_as_people_read_them(text: str, filled: str) -> None:
    figures = {
        "orders": 1272,
        "share": 0.4714,
        "gap": -0.0073,
        "small": 16.8286,
        "some": 327_569.45,
        "much": 1_254_442.77,
        "range": Interval(0.96, 0.83, 1.09),
        "day": date(2017, 11, 1),
    }

    assert fill(text, figures, "R$") == filled


def test_a_period_is_named_by_its_months() -> None:
    assert Period(date(2017, 1, 1), date(2018, 9, 1)).text == "January 2017 to August 2018"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        pytest.param(("question: Is it slow?", "problem: Is it slow?"), "not_found.0.problem", id="a misspelt field"),
        pytest.param(("name: slow", "name: late"), "late: there is no insights/late.sql", id="a query that is missing"),
        pytest.param(
            ("minimum:", "intervals: {late: {kind: share, of: [late]}}\n    minimum:"),
            "slow: the interval late needs 2 figures, not 1",
            id="an interval with too few figures",
        ),
        pytest.param(
            ("minimum:", "intervals: {late: {kind: share, of: [late, parcels]}}\n    minimum:"),
            "slow: the interval late needs a minimum of parcels",
            id="an interval that may have no case",
        ),
        pytest.param(("minimum: {orders: 10}", "minimum: {}"), "minimum", id="no smallest sample"),
    ],
)
def test_a_wrong_list_of_findings_is_refused_with_its_faults(
    tmp_path: Path, change: tuple[str, str], fault: str
) -> None:
    folder = report(tmp_path, FILE.replace(*change), "slow")

    with pytest.raises(ReportError, match="not a valid list of findings") as refused:
        read_insights(folder)

    assert fault in str(refused.value)


def test_two_findings_of_one_name_are_refused(tmp_path: Path) -> None:
    twice = FILE + FILE[FILE.index("  - name: slow") :]
    folder = report(tmp_path, twice, "slow")

    with pytest.raises(ReportError, match="slow is there twice"):
        read_insights(folder)


def test_the_period_is_that_of_the_full_months_of_the_report() -> None:
    year = {f"2017-{month:02}": 31 for month in range(1, 13)}

    assert period_of(calendar_of({**year, "2018-01": 3}, 0.8)) == Period(date(2017, 1, 1), date(2018, 1, 1))
    assert period_of(calendar_of({"2018-01": 3}, 0.8)) is None
