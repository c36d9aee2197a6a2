"""Measures and pages -> the cubes that the page computes its figures from: what is in each, its SQL, and its columns.

A measure that adds up is stored by month and by what its visuals split and filter it by, and the page sums what the
reader has chosen. A measure that does not add up is computed ahead, for each period and one filter at a time: its cube
has the dimension `period` in place of the month, and the page only looks it up.
A measure that counts the members of a dimension is stored by them, and the page counts those that are there.
A ratio is not stored: the page divides its parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from textwrap import indent
from typing import Any

from lakehouse.report.calendar import Calendar
from lakehouse.report.measures import Measure, Measures, Relation
from lakehouse.report.pages import Page, Pages, placeholders

# A join with a dimension, in the SQL of a relation.
_JOIN = re.compile(r"inner join marts\.\w+ as (\w+) on ")
PERIOD = "period"  # in place of the month, in the cubes of measures that do not add up


@dataclass(frozen=True)
class Shape:
    """What a cube holds: measures of one relation by some dimensions."""

    relation: str
    dimensions: tuple[str, ...]
    measures: tuple[str, ...]

    @property
    def is_ahead(self) -> bool:
        """Whether its figures are computed ahead, because they do not add up."""
        return PERIOD in self.dimensions


@dataclass(frozen=True)
class Cube:
    """A shape with its data: per dimension a column of positions in `Members`, per measure a column of figures."""

    shape: Shape
    columns: tuple[list[Any], ...]


@dataclass(frozen=True)
class Query:
    """SQL whose rows are those of several cubes: the columns of all dimensions, then of all measures.

    The first column is the position of the row's cube in `shapes`.
    """

    sql: str
    shapes: tuple[Shape, ...]
    dimensions: tuple[str, ...]
    measures: tuple[str, ...]


class Members:
    """The values of each dimension, in their order. A cube names a value by its position."""

    def __init__(self, measures: Measures) -> None:
        self._measures = measures
        self._found: dict[str, dict[str | None, Any]] = {}  # dimension -> value -> what it is sorted by

    def add(self, dimension: str, value: str | None, sort: Any) -> None:
        """Note a value that a dimension has."""
        self._found.setdefault(dimension, {})[value] = sort

    def of(self, dimension: str) -> list[str | None]:
        """All values, as text, in the order of `sort`, else as numbers if all are, else by the alphabet.

        What has no order comes last, and so do values that are not known.
        """
        values = self._found.get(dimension, {})
        numeric = all(value is None or value.lstrip("-").isdigit() for value in values)

        def key(value: str | None) -> tuple[Any, ...]:
            sort = values[value]
            natural = (int(value) if numeric else value) if value is not None else ("" if not numeric else 0)
            return (value is None, sort is None, sort if sort is not None else 0, natural)

        return sorted(values, key=key)

    def positions(self, dimension: str) -> dict[str | None, int]:
        """Value -> position."""
        return {value: position for position, value in enumerate(self.of(dimension))}


def shapes(measures: Measures, pages: Pages) -> list[Shape]:
    """The cubes that the pages need, of each relation the smallest first."""
    wanted: dict[tuple[str, tuple[str, ...]], dict[str, None]] = {}
    for page in pages.pages:
        for name, split in _asked(page):
            for measure in _parts(measures, [name, *_substitutes(pages, page, name, split)]):
                for dimensions in _dimension_sets(measures, pages, page, measure, split):
                    wanted.setdefault((measure.relation, dimensions), {})[measure.name] = None
    order = [measure.name for measure in measures.measures]
    found = [
        Shape(relation, dimensions, tuple(sorted(names, key=order.index)))
        for (relation, dimensions), names in wanted.items()
    ]
    return sorted(found, key=lambda shape: (shape.relation, shape.is_ahead, len(shape.dimensions), shape.dimensions))


def queries(measures: Measures, pages: Pages, calendar: Calendar) -> list[Query]:
    """The SQL of all cubes, one statement per relation and way of storing. The longest-running come first."""
    groups: dict[tuple[str, bool], list[Shape]] = {}
    for shape in shapes(measures, pages):
        if shape.is_ahead and not calendar.sets:
            continue  # without orders there is no period
        groups.setdefault((shape.relation, shape.is_ahead), []).append(shape)
    found = [_query(measures, pages, calendar, group) for group in groups.values()]
    return sorted(found, key=lambda query: -len(query.shapes) * len(query.measures))


def counted_dimension(measures: Measures, measure: Measure) -> str | None:
    """The dimension whose members a measure counts; None if it counts something else.

    The page can count the members under any filter, from a cube that is split by them. The unknown one does not count.
    """
    known = measures.relation(measure.relation).dimensions
    for dimension in measures.dimensions:
        if dimension.name in known and measure.sql == (
            f"count(distinct {dimension.sql}) filter (where {dimension.sql} <> 'unknown')"
        ):
            return dimension.name
    return None


def days_sql(measures: Measures, pages: Pages) -> str:
    """Month -> on how many of its days the relation of the calendar has rows."""
    calendar = pages.calendar
    month = measures.dimension(calendar.dimension).sql
    relation = measures.relation(calendar.relation).sql
    return (
        f"select\n    cast({month} as text),\n    count(distinct {calendar.day})\nfrom\n{indent(relation, '    ')}\n"
        f"group by {month}"
    )


def read_rows(query: Query, rows: Iterable[Sequence[Any]], members: Members) -> list[list[Any]]:
    """The rows of a query, in one list per shape; every value of a dimension is noted in `members`."""
    of_shape: list[list[Any]] = [[] for _ in query.shapes]
    places = [[query.dimensions.index(dimension) for dimension in shape.dimensions] for shape in query.shapes]
    seen: set[tuple[int, Any]] = set()
    width = len(query.dimensions)
    for row in rows:
        number = row[0]
        if query.dimensions[:1] == (PERIOD,) and row[1] is None:
            continue  # the months that are in no set of this layer
        of_shape[number].append(row)
        for place in places[number]:
            value = row[1 + place]
            if (place, value) not in seen:
                seen.add((place, value))
                members.add(query.dimensions[place], value, row[1 + width + place])
    return of_shape


def cubes(query: Query, of_shape: Sequence[Sequence[Sequence[Any]]], members: Members) -> Iterator[Cube]:
    """The columns of each shape of a query, ordered by its dimensions, so that the same marts give the same bytes."""
    width = len(query.dimensions)
    for shape, rows in zip(query.shapes, of_shape, strict=True):
        columns: list[list[Any]] = []
        for dimension in shape.dimensions:
            place, positions = 1 + query.dimensions.index(dimension), members.positions(dimension)
            columns.append([positions[row[place]] for row in rows])
        order = (
            [i for _, i in sorted(zip(zip(*columns, strict=True), range(len(rows)), strict=True))] if columns else [0]
        )
        for measure in shape.measures:
            place = 1 + 2 * width + query.measures.index(measure)
            columns.append([_number(row[place]) for row in rows])
        yield Cube(shape, tuple([column[i] for i in order if i < len(column)] for column in columns))


def _number(value: float | None) -> float | int | None:
    """Without the sums' last bits, which depend on the order of the rows; whole numbers without a point."""
    if value is None:
        return None
    rounded = round(value, 6)
    return int(rounded) if rounded == int(rounded) else rounded


def _asked(page: Page) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(measure, dimensions that it is split by) for everything that a page shows."""
    templates = [page.title]
    for visual in page.visuals:
        templates.append(visual.alt)
        for measure in visual.all_measures:
            yield measure, visual.dimensions
            if visual.kind in ("table", "line", "columns", "bars") and visual.dimensions:
                yield measure, ()  # the total
    for template in templates:
        for name, _, dimension in placeholders(template):
            yield name, (dimension,) if dimension else ()


def _substitutes(pages: Pages, page: Page, measure: str, split: tuple[str, ...]) -> list[str]:
    """What stands for the measure under a filter that it does not know.

    Not where it is split by more than what the page filters by: with each order's hour, these cubes would be as large
    as the facts.
    """
    filters = [pages.filter(each) for each in page.filters]
    if not {each.dimension for each in filters}.issuperset(split):
        return []
    return [found for each in filters if (found := each.instead.get(measure))]


def _parts(measures: Measures, names: Iterable[str]) -> Iterator[Measure]:
    """The measures themselves, or what a ratio divides."""
    for name in names:
        measure = measures.measure(name)
        if measure.numerator and measure.denominator:
            yield measures.measure(measure.numerator)
            yield measures.measure(measure.denominator)
        else:
            yield measure


def _dimension_sets(
    measures: Measures, pages: Pages, page: Page, measure: Measure, split: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    """The dimensions of each cube from which a figure comes, under any filter; none if it cannot be split so."""
    known = measures.relation(measure.relation).dimensions
    month = pages.calendar.dimension
    if any(dimension not in known for dimension in split):
        return
    filters = [pages.filter(each).dimension for each in page.filters]
    filters = [each for each in filters if each in known and each != month and each not in split]
    others = [each for each in split if each != month]
    if (counted := counted_dimension(measures, measure)) and page.filters:
        yield (month, *_ordered(measures, [*filters, *others, counted]))
        return
    if not measure.additive:
        if month not in known:
            yield tuple(others)
            return
        yield (PERIOD, *others)
        yield from ((PERIOD, *others, each) for each in filters if not others)
        return
    first = [month] if month in known and page.filters else [each for each in split if each == month]
    overlapping = [each for each in filters if each in measure.overlapping]
    yield (*first, *_ordered(measures, [*filters, *others]))
    if overlapping:  # for all their members together, their figures do not add up
        yield (*first, *_ordered(measures, [*(each for each in filters if each not in overlapping), *others]))


def _ordered(measures: Measures, dimensions: Iterable[str]) -> list[str]:
    wanted = set(dimensions)
    return [dimension.name for dimension in measures.dimensions if dimension.name in wanted]


def _query(measures: Measures, pages: Pages, calendar: Calendar, of_group: Sequence[Shape]) -> Query:
    """One grouping set per shape; a shape with periods has one per layer of periods (see `_layers`)."""
    names = {name for shape in of_group for name in shape.dimensions if name != PERIOD}
    dimensions = [dimension for dimension in measures.dimensions if dimension.name in names]
    needed = {name for shape in of_group for name in shape.measures}
    aggregates = [measure for measure in measures.measures if measure.name in needed]
    layers = _layers(measures, pages, calendar) if of_group[0].is_ahead else []
    groups = [*layers, *(dimension.sql for dimension in dimensions)]
    sets: list[tuple[int, list[str]]] = []
    for number, shape in enumerate(of_group):
        own = [dimension.sql for dimension in dimensions if dimension.name in shape.dimensions]
        sets += [(number, [layer, *own]) for layer in layers] or [(number, own)]
    columns = [_number_of_shape(sets, groups)]
    columns += [f"cast(coalesce({', '.join(layers)}) as text)"] * bool(layers)
    columns += [f"cast({dimension.sql} as text)" for dimension in dimensions]
    columns += ["null"] * bool(layers)
    columns += [f"min({dimension.sort})" if dimension.sort else "null" for dimension in dimensions]
    columns += [f"cast({measure.sql} as double precision)" for measure in aggregates]
    relation = measures.relation(of_group[0].relation)
    lines = ["select", indent(",\n".join(columns), "    "), "from", indent(_joined(relation, columns), "    ")]
    lines.append(f"group by grouping sets ({', '.join(f'({chr(44).join(each)})' for _, each in sets)})")
    return Query(
        "\n".join(lines),
        tuple(of_group),
        (*([PERIOD] * bool(layers)), *(dimension.name for dimension in dimensions)),
        tuple(measure.name for measure in aggregates),
    )


def _joined(relation: Relation, columns: Sequence[str]) -> str:
    """The relation without the joins that no column needs.

    They neither add nor remove rows: dbt tests that each key of a fact is in its dimension, where it is unique.
    """
    lines = relation.sql.splitlines()
    text = "\n".join(columns)
    kept = [line for line in lines if not (join := _JOIN.match(line)) or re.search(rf"\b{join[1]}\.", text)]
    return "\n".join(kept)


def _layers(measures: Measures, pages: Pages, calendar: Calendar) -> list[str]:
    """Expressions that give a row's set of months, by its position: no layer has two sets that share a month.

    Each layer is a grouping set of its own, so that no row is read more than once.
    """
    month = measures.dimension(pages.calendar.dimension).sql
    whole = calendar.sets.index(calendar.months)
    layers: list[dict[str, int]] = []
    for number, months in enumerate(calendar.sets):
        free = next((layer for layer in layers if not any(each in layer for each in months)), None)
        if free is None:
            layers.append(free := {})
        free |= dict.fromkeys(months, number)
    found = []
    for layer in layers:
        if set(layer.values()) == {whole}:
            # Also dates that are not known. It names the month, as a constant is not null where it is not grouped by.
            found.append(f"case when {month} is null then {whole} else {whole} end")
        else:
            cases = " ".join(f"when '{each}' then {number}" for each, number in layer.items())
            found.append(f"case {month} {cases} end")
    return found


def _number_of_shape(sets: Sequence[tuple[int, Sequence[str]]], groups: Sequence[str]) -> str:
    """An expression that gives a row's shape, by the grouping set that the row belongs to."""
    if not groups:
        return "0"
    masks: dict[int, list[str]] = {}
    for number, of_set in sets:
        mask = sum(1 << (len(groups) - 1 - place) for place, each in enumerate(groups) if each not in of_set)
        masks.setdefault(number, []).append(str(mask))
    cases = [f"when grouping({', '.join(groups)}) in ({', '.join(of)}) then {number}" for number, of in masks.items()]
    return f"case {' '.join(cases)} end"
