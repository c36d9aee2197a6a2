"""The findings of report/insights.yml on the archive -> docs/insights.md, and their summary in the README.

    python -m tools.insights    write the two from the workspace that the settings name; it must hold the archive

Figures come from the database alone, so the page cannot be made by `make docs`. A test renders both from the archive's
marts and compares. The day in the page changes with its figures or words only.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

from psycopg2.extensions import cursor as Cursor

from lakehouse import warehouse
from lakehouse.errors import LakehouseError, ReportError
from lakehouse.report.insights import Answered, Answers, Dataset, Period, answer, one_row, period_of, read_insights
from lakehouse.report.measures import read_measures
from lakehouse.report.pages import read_pages
from lakehouse.report.step import read_calendar
from lakehouse.settings import PROJECT_DIR, Settings

REPORT = PROJECT_DIR / "report"
PAGE = PROJECT_DIR / "docs" / "insights.md"
README = PROJECT_DIR / "README.md"

GENERATED = "<!-- Written by `python -m tools.insights`; change report/insights.yml and its queries, not this page. -->"
BEGIN, END = "<!-- insights: begin -->", "<!-- insights: end -->"
IN_README = 3

LABELS = {
    "question": "Question",
    "answer": "Answer",
    "sample": "Sample and interval",
    "other_explanations": "What else could explain it",
    "action": "On Monday",
    "where": "In the report",
    "measure_of_success": "How to tell whether it worked",
    "disproof": "What would disprove it",
}


def main() -> int:
    """Write the page and the README's summary; print the paths of what changed."""
    settings = Settings.load()
    try:
        with warehouse.cursor(settings, "bi_reader") as cursor:
            texts = rendered(cursor, datetime.now(UTC).date())
    except LakehouseError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for path, text in texts.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{path}\n")
    return 0


def rendered(cursor: Cursor, today: date) -> dict[Path, str]:
    """Path -> text of the page and of the README, from a database that holds the archive.

    Raises ReportError if it holds other data, or if a finding cannot be shown with these.
    """
    insights = read_insights(REPORT)
    _check(cursor, insights.dataset)
    answers = answer(cursor, insights, REPORT, _period(cursor, insights.source))
    if answers.not_shown:
        lines = "\n".join(f"  {each.name}: {each.reason}" for each in answers.not_shown)
        raise ReportError(f"Not every finding holds on the archive:\n{lines}\nCorrect {REPORT / 'insights.yml'}.")
    return {
        PAGE: _page_with_its_day(answers, insights.dataset, today),
        README: with_summary(README.read_text(encoding="utf-8"), answers),
    }


def _period(cursor: Cursor, source: str) -> Period | None:
    """The full months, as the report counts them."""
    measures = read_measures(REPORT, source)
    pages = read_pages(REPORT, measures) if measures else None
    if measures is None or pages is None:
        raise ReportError(f"{REPORT} has findings of {source}, but its measures or pages are another source's.")
    return period_of(read_calendar(cursor, measures, pages))


def insights_page(answers: Answers, dataset: Dataset, day: date) -> str:
    """The page: what applies to all, the findings, then the questions that led to none."""
    period = answers.period.text if answers.period else "no order"
    lines = [
        GENERATED,
        "",
        "# What the data say, and what to do on Monday",
        "",
        answers.introduction,
        "",
        f"The figures are those of the *{dataset.title}* by {dataset.authors} ({dataset.release}; {dataset.licence}), "
        f"with {dataset.orders:,} orders, of which the full months count: {period}. Computed on {day.isoformat()}. "
        "Every figure of a text comes from the query that the text links. The report shows the same findings for your "
        "own data, as far as your data hold them.",
        "",
        "## In short",
        "",
        *(f"{number}. {finding.texts['summary']}" for number, finding in enumerate(answers.findings, 1)),
        "",
        "## How far to trust it",
        "",
        answers.method,
        "",
    ]
    for number, finding in enumerate(answers.findings, 1):
        lines += [f"## {number}. {finding.texts['title']}", "", *_paragraphs(finding)]
    lines += [
        "## Looked for, and not found",
        "",
        "What we expected or what looks like a finding at first, with the figures that speak against it.",
        "",
    ]
    for question in answers.not_found:
        lines += [f"### {question.texts['title']}", "", *_paragraphs(question)]
    return "\n".join(lines).rstrip("\n") + "\n"


def with_summary(readme: str, answers: Answers) -> str:
    """The README with the first findings between its two marks. Raises ReportError if it lacks the marks."""
    block = [BEGIN, *(f"- {finding.texts['summary']}" for finding in answers.findings[:IN_README]), END]
    changed, replaced = re.subn(
        f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: "\n".join(block), readme, flags=re.DOTALL
    )
    if replaced != 1:
        raise ReportError(f"README.md lacks the lines {BEGIN} and {END}.\nPut them where the findings belong.")
    return changed


def _page_with_its_day(answers: Answers, dataset: Dataset, today: date) -> str:
    """The page of the day on which its figures and words were new."""
    written = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
    if found := re.search(r"Computed on (\d{4}-\d\d-\d\d)", written):
        same = insights_page(answers, dataset, date.fromisoformat(found[1]))
        if same == written:
            return same
    return insights_page(answers, dataset, today)


def _check(cursor: Cursor, dataset: Dataset) -> None:
    """Raises ReportError if the database does not hold the data set."""
    found = one_row(cursor, REPORT, "dataset")
    if (found["orders"], found["items_value"]) != (dataset.orders, float(dataset.items_value)):
        raise ReportError(
            f"The workspace holds {found['orders']:,} orders for {found['items_value'] or 0:,.2f}, not the "
            f"{dataset.orders:,} for {dataset.items_value:,.2f} of the {dataset.title}.\n"
            "Name the workspace that holds it: LAKEHOUSE_WORKSPACE."
        )


def _paragraphs(question: Answered) -> Iterator[str]:
    for field, label in LABELS.items():
        if field in question.texts:
            yield f"**{label}.** {question.texts[field]}"
            yield ""
    yield f"Query: [{question.name}.sql](../report/insights/{question.name}.sql)"
    yield ""


if __name__ == "__main__":
    sys.exit(main())
