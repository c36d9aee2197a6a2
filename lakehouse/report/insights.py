"""report/insights.yml and its queries -> the findings with their figures filled in, for the report and the docs.

A finding has one query (report/insights/<name>.sql) that returns one row of named figures. Its texts name the figures
in braces. Nothing is claimed that the data do not show: a finding whose sample is too small, or whose words the figures
contradict, is left out, and the reason is given in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from string import Formatter
from typing import Any, Literal

import yaml
from psycopg2.extensions import cursor as Cursor
from pydantic import Field, ValidationError

from lakehouse import yml
from lakehouse.errors import ReportError
from lakehouse.report import intervals
from lakehouse.report.calendar import Calendar
from lakehouse.report.files import Entry
from lakehouse.report.intervals import Interval

FILE = "insights.yml"
QUERIES = "insights"


@dataclass(frozen=True)
class _Kind:
    """A function of intervals.py, how many figures it takes, and which of them (from 0) count cases."""

    compute: Callable[..., Interval]
    figures: int
    cases: tuple[int, ...]


_KINDS = {
    "share": _Kind(intervals.share, 2, (1,)),
    "difference_of_shares": _Kind(intervals.difference_of_shares, 4, (1, 3)),
    "mean": _Kind(intervals.mean, 3, (2,)),
    "difference_of_means": _Kind(intervals.difference_of_means, 6, (2, 5)),
    "estimate": _Kind(intervals.estimate, 2, ()),
}


class IntervalOf(Entry):
    """An interval to compute: a kind of intervals.py and the figures that it takes, in its order."""

    kind: Literal["share", "difference_of_shares", "mean", "difference_of_means", "estimate"]
    of: tuple[str, ...]

    def compute(self, figures: Mapping[str, Any]) -> Interval:
        """The interval. Raises ValueError for figures that have none."""
        return _KINDS[self.kind].compute(*(figures[name] for name in self.of))

    @property
    def cases(self) -> tuple[str, ...]:
        """The figures that count its cases."""
        return tuple(self.of[place] for place in _KINDS[self.kind].cases)


class ListOf(Entry):
    """What to act on: a query with a row per thing, the most urgent first."""

    query: str
    title: str


class Question(Entry):
    """What findings and questions without a finding share.

    `minimum`: the smallest sample with which the texts are shown, by figure. `holds`: what must be true for the words
    to be true: figure -> [smallest, largest] value, one of which may be null.
    """

    name: str
    title: str
    question: str
    answer: str
    sample: str
    minimum: dict[str, int] = Field(min_length=1)
    holds: dict[str, tuple[float | None, float | None]] = Field(default_factory=dict)
    intervals: dict[str, IntervalOf] = Field(default_factory=dict)


class Finding(Question):
    """Something to act on."""

    summary: str
    other_explanations: str
    action: str
    where: str
    measure_of_success: str
    disproof: str
    list: ListOf | None = None


class Dataset(Entry):
    """The published data whose figures the docs show, and by which totals it is known."""

    title: str
    authors: str
    release: str
    licence: str
    orders: int
    items_value: Decimal


class Insights(Entry):
    """The file: the findings, the questions that led to none, and what applies to all."""

    source: str
    currency: str
    dataset: Dataset
    introduction: str
    method: str
    findings: tuple[Finding, ...]
    not_found: tuple[Question, ...]


@dataclass(frozen=True)
class Period:
    """The days whose purchases count: from `first_day` to the day before `day_after`."""

    first_day: date
    day_after: date

    @property
    def text(self) -> str:
        """The period for people, by its months: `January 2017 to August 2018`."""
        return f"{self.first_day:%B %Y} to {self.day_after - timedelta(days=1):%B %Y}"


@dataclass(frozen=True)
class Table:
    """The list that belongs to a finding."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Answered:
    """A question whose texts hold their figures.

    `texts`: field of the yml file -> text. `sql`: the query as it ran.
    """

    name: str
    texts: Mapping[str, str]
    figures: Mapping[str, Any]
    sql: str
    table: Table | None


@dataclass(frozen=True)
class NotShown:
    """A question that these data do not answer, and why."""

    name: str
    title: str
    reason: str


@dataclass(frozen=True)
class Answers:
    """All questions, asked of one database."""

    period: Period | None
    introduction: str
    method: str
    findings: tuple[Answered, ...]
    not_found: tuple[Answered, ...]
    not_shown: tuple[NotShown, ...]


def read_insights(folder: Path) -> Insights:
    """The findings of the report in `folder`. Raises ReportError for a file that is not valid."""
    path = folder / FILE
    try:
        insights = Insights.model_validate(yml.load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise ReportError(f"{path} is not a valid list of findings:\n{error}\nCorrect the file.") from error
    if faults := list(_faults(insights, folder)):
        lines = "\n".join(f"  {fault}" for fault in faults)
        raise ReportError(f"{path} is not a valid list of findings:\n{lines}\nCorrect the file.")
    return insights


def period_of(calendar: Calendar) -> Period | None:
    """The full months of the data, which follow one another; None without such a month."""
    if not calendar.full:
        return None
    first, last = (date.fromisoformat(f"{month}-01") for month in (calendar.full[0], calendar.full[-1]))
    return Period(first, (last + timedelta(days=31)).replace(day=1))


def one_row(cursor: Cursor, folder: Path, query: str) -> dict[str, Any]:
    """The only row of a query of the report that takes no parameters, by the names of its columns."""
    return _row(cursor, _query(folder, query), {})


def answer(cursor: Cursor, insights: Insights, folder: Path, period: Period | None) -> Answers:
    """Ask the database every question. `cursor` is one of bi_reader; without a period nothing is asked.

    Raises ReportError if a text names a figure that its query does not return.
    """
    answered: dict[str, Answered] = {}
    not_shown: list[NotShown] = []
    for question in (*insights.findings, *insights.not_found):
        if period is None:
            not_shown.append(NotShown(question.name, question.title, "The data hold no full month."))
            continue
        found = _answer(cursor, question, insights.currency, folder, period)
        if isinstance(found, NotShown):
            not_shown.append(found)
        else:
            answered[question.name] = found
    return Answers(
        period=period,
        introduction=insights.introduction,
        method=insights.method,
        findings=tuple(answered[each.name] for each in insights.findings if each.name in answered),
        not_found=tuple(answered[each.name] for each in insights.not_found if each.name in answered),
        not_shown=tuple(not_shown),
    )


def fill(text: str, figures: Mapping[str, Any], currency: str) -> str:
    """The text with its figures. Beside Python's formats there are `money`, `percent` and `points` (percentage points).

    An interval is written as `low to high`, each bound in the format. Raises KeyError for a figure that is not there.
    """
    return _Figures(currency).vformat(text, (), figures)


class _Figures(Formatter):
    def __init__(self, currency: str) -> None:
        self._currency = currency

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, Interval):
            return f"{self.format_field(value.low, format_spec)} to {self.format_field(value.high, format_spec)}"
        if format_spec == "money":
            return f"{self._currency} {_amount(value)}"
        if format_spec == "percent":
            return f"{100 * value:.1f} %"
        if format_spec == "points":
            return f"{100 * value:.1f}"
        return format(value, format_spec)


def _amount(value: float) -> str:
    """As exact as people speak of money: 16.83, 328,000, 1.20 million."""
    if abs(value) >= 1_000_000:
        return f"{value / 1_000_000:.2f} million"
    if abs(value) >= 10_000:
        return f"{round(value, -3):,.0f}"
    return f"{value:,.2f}"


def _answer(cursor: Cursor, question: Question, currency: str, folder: Path, period: Period) -> Answered | NotShown:
    parameters = {"first_day": period.first_day, "day_after": period.day_after}
    statement = _query(folder, question.name)
    figures = _row(cursor, statement, parameters)
    sql = cursor.mogrify(statement, parameters).decode()
    for name, smallest in question.minimum.items():
        if (found := figures[name] or 0) < smallest:
            return _not_shown(question, f"Too few cases: {name} is {found:,.0f}, and at least {smallest:,} are needed.")
    if empty := [name for name, value in figures.items() if value is None]:
        return _not_shown(question, f"No case to compute {', '.join(empty)} from.")
    for name, interval in question.intervals.items():
        computed = interval.compute(figures)
        figures |= {
            name: computed.estimate,
            f"{name}_low": computed.low,
            f"{name}_high": computed.high,
            f"{name}_range": computed,
        }
    for name, (smallest_value, largest_value) in question.holds.items():
        value = figures[name]
        if (smallest_value is not None and value < smallest_value) or (
            largest_value is not None and value > largest_value
        ):
            return _not_shown(question, f"These data do not show it: {name} is {value:,.4g}.")
    try:
        texts = {field: fill(text, figures, currency) for field, text in _texts(question).items()}
    except KeyError as error:
        raise ReportError(
            f"{folder / FILE}: the texts of {question.name} name the figure {error}, which its query does not return.\n"
            f"The figures are: {', '.join(figures)}."
        ) from error
    return Answered(question.name, texts, figures, sql, _table(cursor, question, folder, parameters))


def _not_shown(question: Question, reason: str) -> NotShown:
    return NotShown(question.name, question.title, reason)


def _table(cursor: Cursor, question: Question, folder: Path, parameters: Mapping[str, Any]) -> Table | None:
    if not isinstance(question, Finding) or question.list is None:
        return None
    cursor.execute(_query(folder, question.list.query), parameters)
    rows = tuple(tuple(map(_plain, row)) for row in cursor.fetchall())
    return Table(question.list.title, _columns(cursor), rows)


def _row(cursor: Cursor, statement: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The only row of a query, by the names of its columns; empty without a row."""
    cursor.execute(statement, parameters)
    rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
    names = _columns(cursor)
    if not rows:
        return dict.fromkeys(names)
    (row,) = rows
    return {name: _plain(value) for name, value in zip(names, row, strict=True)}


def _columns(cursor: Cursor) -> tuple[str, ...]:
    return tuple(column.name for column in cursor.description or ())


def _plain(value: Any) -> Any:
    """Sums and means come as decimals, of up to a hundred digits; whole ones are sums of counts."""
    if not isinstance(value, Decimal):
        return value
    return int(value) if value.as_tuple().exponent == 0 else float(value)


def _query(folder: Path, name: str) -> str:
    return (folder / QUERIES / f"{name}.sql").read_text(encoding="utf-8")


def _texts(question: Question) -> dict[str, str]:
    """Field -> text, of the fields that people read, in the order of the class."""
    named = {"name", "minimum", "holds", "intervals", "list"}
    return {field: getattr(question, field) for field in type(question).model_fields if field not in named}


def _faults(insights: Insights, folder: Path) -> Iterable[str]:
    """What the file names and does not have: queries, the figures of an interval, a minimum for its cases."""
    seen = set()
    for question in (*insights.findings, *insights.not_found):
        if question.name in seen:
            yield f"{question.name} is there twice"
        seen.add(question.name)
        lists = [question.list.query] if isinstance(question, Finding) and question.list else []
        for query in (question.name, *lists):
            if not (folder / QUERIES / f"{query}.sql").is_file():
                yield f"{question.name}: there is no {QUERIES}/{query}.sql"
        for name, interval in question.intervals.items():
            needed = _KINDS[interval.kind].figures
            if len(interval.of) != needed:
                yield f"{question.name}: the interval {name} needs {needed} figures, not {len(interval.of)}"
            elif missing := [case for case in interval.cases if case not in question.minimum]:
                yield f"{question.name}: the interval {name} needs a minimum of {', '.join(missing)}"
