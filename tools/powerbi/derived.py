"""measures.yml and pages.yml -> the measures that only Power BI needs: each follows by rule from one of measures.yml.

The year before of what a page shows beside it, and the cumulated share that a pareto draws.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lakehouse.report.measures import Measure
from lakehouse.report.pages import Visual
from tools.powerbi.sources import Sources, reference


@dataclass(frozen=True)
class Derived:
    """A measure that follows from another, whose table keeps it."""

    of: Measure
    name: str
    dax: str
    format: str
    folder: str
    description: str
    is_hidden: bool = False


def year_before(measure: str) -> str:
    """The name of the measure that says the same of the dates a year earlier."""
    return f"{measure} Year Before"


def covered_year_before(measure: str) -> str:
    """The name of the same, but blank unless the data cover all of that year: a period is compared with a whole one."""
    return f"{measure} Year Before, Covered"


def cumulated(measure: str, column: str) -> str:
    """The name of the measure that says which share the largest members have together."""
    return f"{measure} Cumulated by {column}"


def shows_year_before(visual: Visual) -> bool:
    """Whether a visual has the year before beside its measures."""
    return visual.kind == "cards" or visual.before


def derived_measures(sources: Sources) -> list[Derived]:
    """All of them, in the order of measures.yml; those that measures.yml has itself are left out."""
    found = [*_years_before(sources), *_cumulated(sources)]
    said = {one.name for one in sources.measures.measures}
    return [one for one in found if one.name not in said]


def _years_before(sources: Sources) -> Iterator[Derived]:
    visuals = [visual for page in sources.pages.pages for visual in page.visuals if shows_year_before(visual)]
    wanted = {name for visual in visuals for name in visual.measures}
    calendar = sources.power_bi.calendar
    table, _ = reference(calendar)
    first = f"CALCULATE(MIN({calendar}), ALL('{table}'))"
    for measure in sources.measures.measures:
        tables = {reference(one.dax)[0] for one in sources.measures.dimensions_of(measure)}
        if measure.name not in wanted or table not in tables:
            continue
        name, folder = year_before(measure.name), f"{measure.folder}\\Year before"
        yield Derived(
            of=measure,
            name=name,
            dax=f"CALCULATE([{measure.name}], SAMEPERIODLASTYEAR({calendar}))",
            format=measure.format,
            folder=folder,
            description=f"{measure.name} of the same dates a year earlier, as far as the data reach back.",
        )
        yield Derived(
            of=measure,
            name=covered_year_before(measure.name),
            dax=f"IF(EDATE(MIN({calendar}), -12) >= {first}, [{name}])",
            format=measure.format,
            folder=folder,
            description=f"{name}; blank if the chosen dates a year earlier begin before the data.",
            is_hidden=True,
        )


def _cumulated(sources: Sources) -> Iterator[Derived]:
    for visual in (visual for page in sources.pages.pages for visual in page.visuals):
        if visual.kind != "pareto" or visual.by is None:
            continue
        measure = sources.measures.measure(visual.measures[0])
        column, name = sources.measures.dimension(visual.by).dax, measure.name
        larger = f"FILTER(ALLSELECTED({column}), [{name}] >= Own)"
        whole = f"CALCULATE([{name}], ALLSELECTED({column}))"
        yield Derived(
            of=measure,
            name=cumulated(name, reference(column)[1]),
            dax=f"VAR Own = [{name}] RETURN IF(NOT ISBLANK(Own), DIVIDE(SUMX({larger}, [{name}]), {whole}))",
            format="0%",
            folder=f"{measure.folder}\\Cumulated",
            description=f"Share of {name} that the members with at least this much have together.",
        )
