"""report/pages.yml -> the pages of the report and their visuals, or one error with all faults of the file.

The head of the file explains its format. Names of measures and dimensions are those of measures.yml.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from lakehouse.report import files
from lakehouse.report.files import Entry
from lakehouse.report.measures import Measures

FILE = "pages.yml"
COLUMNS = 12  # of the grid

Kind = Literal["cards", "columns", "line", "bars", "matrix", "scatter", "pareto", "table", "insights"]

_PLACEHOLDER = re.compile(r"\{([^{}|]+?)(?:\|([^{}]*))?\}")
# What may stand after the bar in a template.
_FUNCTION = re.compile(
    r"change|grew|(?:highest|lowest) (?P<extreme>\w+)(?: value)?|top \d+ (?P<top>\w+)(?: share)?"
    r"|count (?P<count>\w+) from [\d.]+"
)
WORDS = ("period",)  # placeholders that are no measure


class Sort(Entry):
    """What a table or chart is sorted by: a measure, or the dimension itself."""

    by: str
    order: Literal["ascending", "descending"] = "descending"


class Visual(Entry):
    """A chart, table or row of cards. `at`: column, row, width and height on the grid."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    kind: Kind
    title: str
    alt: str
    at: tuple[int, int, int, int]
    measures: tuple[str, ...] = ()
    by: str | None = None
    rows: str | None = None
    columns: str | None = None
    sort: Sort | None = None
    limit: int | None = None
    sample: str | None = None
    minimum: int | None = None
    size: str | None = None
    where: dict[str, float] = Field(default_factory=dict)
    before: bool = False
    band: str | None = None
    note: str | None = None

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What its figures are split by."""
        return tuple(each for each in (self.by, self.rows, self.columns) if each)

    @property
    def all_measures(self) -> tuple[str, ...]:
        """All measures that it shows or needs."""
        others = (self.sample, self.size, self.band, *self.where)
        return tuple(dict.fromkeys([*self.measures, *(each for each in others if each)]))


class Page(Entry):
    """A page: its question, the sentence that answers it, its filters and its visuals."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    name: str
    question: str
    title: str
    filters: tuple[str, ...]
    visuals: tuple[Visual, ...]


class Filter(Entry):
    """A choice above the pages. `instead`: measures that stand for others whose relation lacks the dimension."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    name: str
    dimension: str
    instead: dict[str, str] = Field(default_factory=dict)


class Calendar(Entry):
    """Which dimension is the month, and from which share of its days on a month is whole. `day`: SQL of a date."""

    dimension: str
    relation: str
    day: str
    full_from: float


class Pages(Entry):
    """What report/pages.yml says, in the order of the file."""

    source: str
    title: str
    small_sample: int
    calendar: Calendar
    filters: tuple[Filter, ...]
    pages: tuple[Page, ...]

    def filter(self, identity: str) -> Filter:
        """The filter with this id."""
        return next(each for each in self.filters if each.id == identity)


def read_pages(report_dir: Path, measures: Measures) -> Pages | None:
    """The pages of the source of these measures; None if it has none.

    Raises ReportError, which names all faults in the file.
    """
    path = report_dir / FILE
    if not path.is_file():
        return None
    document = files.read(path)
    try:
        pages = Pages.model_validate(document)
    except ValidationError as error:
        raise files.unusable(path, files.misfits(document, error, "id")) from error
    if pages.source != measures.source:
        return None
    if faults := list(_faults(pages, measures)):
        raise files.unusable(path, faults)
    return pages


def placeholders(template: str) -> list[tuple[str, str, str | None]]:
    """(name, function, dimension) of each figure in a template; function and dimension may be empty or None.

    A placeholder that is no measure (`{period}`) is left out.
    """
    found = []
    for match in _PLACEHOLDER.finditer(template):
        name, function = match[1].strip(), (match[2] or "").strip()
        if name in WORDS:
            continue
        known = _FUNCTION.fullmatch(function)
        dimension = next(filter(None, known.groupdict().values()), None) if known else None
        found.append((name, function, dimension))
    return found


def _faults(pages: Pages, measures: Measures) -> Iterator[str]:
    """What is wrong between the entries: unknown names, two of one name, visuals that overlap or leave the grid."""
    known = {measure.name for measure in measures.measures}
    dimensions = {dimension.name for dimension in measures.dimensions}
    filters = {each.id for each in pages.filters}
    for each in pages.filters:
        if each.dimension not in dimensions:
            yield f"filter {each.id}: there is no dimension {each.dimension}"
        yield from (
            f"filter {each.id}: there is no measure {name}"
            for pair in each.instead.items()
            for name in pair
            if name not in known
        )
    for page in pages.pages:
        yield from (f"{page.id}: there is no filter {each}" for each in page.filters if each not in filters)
        yield from _faults_of_template(f"{page.id}: title", page.title, known, dimensions)
        ids = [visual.id for visual in page.visuals]
        yield from (
            f"{page.id}: two visuals are called {each}" for each in sorted({i for i in ids if ids.count(i) > 1})
        )
        taken: dict[tuple[int, int], str] = {}
        for visual in page.visuals:
            place = f"{page.id}: {visual.id}"
            yield from (f"{place}: there is no measure {each}" for each in visual.all_measures if each not in known)
            yield from (
                f"{place}: there is no dimension {each}" for each in visual.dimensions if each not in dimensions
            )
            yield from _faults_of_template(f"{place}: alt", visual.alt, known, dimensions)
            column, row, width, height = visual.at
            if column < 1 or row < 1 or width < 1 or height < 1 or column + width - 1 > COLUMNS:
                yield f"{place}: at {list(visual.at)} is not on the grid of {COLUMNS} columns"
            cells = [(x, y) for x in range(column, column + width) for y in range(row, row + height)]
            if others := {taken[cell] for cell in cells if cell in taken}:
                yield f"{place}: it overlaps {', '.join(sorted(others))}"
            taken |= dict.fromkeys(cells, visual.id)


def _faults_of_template(place: str, template: str, measures: set[str], dimensions: set[str]) -> Iterator[str]:
    for name, function, dimension in placeholders(template):
        if name not in measures:
            yield f"{place}: there is no measure {name}"
        if function and not _FUNCTION.fullmatch(function):
            yield f"{place}: {function} is no function of templates"
        elif dimension and dimension not in dimensions:
            yield f"{place}: there is no dimension {dimension}"
