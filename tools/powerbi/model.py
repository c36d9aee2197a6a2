"""report/*.yml and dbt's yml files -> the tables, columns, measures and relationships of the Power BI model.

dbt says what a column is (type, description), model.yml how a reader sees it, measures.yml what is computed, and
power_bi.yml the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse.errors import ReportError
from tools.generate.markdown import dbt_models, one_line
from tools.powerbi.derived import derived_measures
from tools.powerbi.sources import ColumnEntry, ColumnName, Sources, TableEntry, reference

# Types of dbt's yml -> those of TMDL, and what a figure or day of that type looks like.
TYPES = {
    "text": "string",
    "integer": "int64",
    "bigint": "int64",
    "numeric": "decimal",
    "boolean": "boolean",
    "date": "dateTime",
    "timestamp": "dateTime",
}
FORMATS = {
    "integer": "#,0",
    "bigint": "#,0",
    "numeric": "#,0.00",
    "date": "yyyy-mm-dd",
    "timestamp": "yyyy-mm-dd hh:nn:ss",
}


@dataclass(frozen=True)
class Column:
    """A column of a table. `source`: its name in marts; `type`: one of TMDL; `sorts`: another column by it."""

    name: str
    source: str
    type: str
    description: str
    is_hidden: bool
    is_key: bool
    format: str | None
    category: str | None
    sorted_by: str | None
    sorts: bool


@dataclass(frozen=True)
class Measure:
    """A measure, of measures.yml or derived from one."""

    name: str
    dax: str
    format: str
    folder: str
    description: str
    is_hidden: bool


@dataclass(frozen=True)
class YearsOf:
    """Rows of the years in which a fact has rows: its relation and date key, and the column of the year."""

    relation: str
    key: str
    year: str


@dataclass(frozen=True)
class Table:
    """A table and what it reads. `only`: columns of marts with the value that rows must have."""

    name: str
    schema: str
    relation: str
    description: str
    columns: tuple[Column, ...]
    measures: tuple[Measure, ...]
    hierarchies: Mapping[str, Sequence[str]]
    only: Mapping[str, str]
    years_of: YearsOf | None
    is_calendar: bool


@dataclass(frozen=True)
class Relationship:
    """Many rows of one table to one of the other."""

    many: ColumnName
    one: ColumnName


@dataclass(frozen=True)
class Model:
    """The whole model, tables in the order of model.yml."""

    project: str
    server: str
    database: str
    tables: tuple[Table, ...]
    relationships: tuple[Relationship, ...]
    dimensions: Mapping[str, ColumnName]

    def home(self, measure: str) -> str:
        """The table that keeps a measure. Raises KeyError if there is none of that name."""
        homes = {one.name: table.name for table in self.tables for one in table.measures}
        return homes[measure]

    def has(self, measure: str) -> bool:
        """Whether there is a measure of that name."""
        return any(one.name == measure for table in self.tables for one in table.measures)


def build_model(sources: Sources, dbt_dir: Path) -> Model:
    """The model of a source. Raises ReportError naming the first thing that one file names and another lacks."""
    marts = {model["name"]: model for model in dbt_models(dbt_dir, "marts")}
    relationships = tuple(Relationship(reference(one.many), reference(one.one)) for one in sources.model.relationships)
    settings = sources.power_bi
    return Model(
        project=settings.project,
        server=settings.server,
        database=settings.database,
        tables=tuple(_table(entry, sources, marts, relationships) for entry in sources.model.tables),
        relationships=relationships,
        dimensions={one.name: reference(one.dax) for one in sources.measures.dimensions},
    )


def _table(
    entry: TableEntry, sources: Sources, marts: Mapping[str, Any], relationships: Sequence[Relationship]
) -> Table:
    schema, relation = entry.relation.split(".")
    if relation not in marts:
        raise ReportError(f"model.yml reads {entry.relation}, which dbt's yml files do not describe.")
    limits = dict(entry.only)
    year = limits.pop("years_of_the_data", None)
    return Table(
        name=entry.name,
        schema=schema,
        relation=relation,
        description=one_line(marts[relation]["description"]),
        columns=_columns(entry, sources, marts[relation], relationships),
        measures=_measures(entry.name, sources),
        hierarchies=sources.power_bi.hierarchies.get(entry.name, {}),
        only=limits,
        years_of=_years_of(entry.name, year, sources, relationships) if year else None,
        is_calendar=entry.name == reference(sources.power_bi.calendar)[0],
    )


def _columns(
    entry: TableEntry, sources: Sources, mart: Mapping[str, Any], relationships: Sequence[Relationship]
) -> tuple[Column, ...]:
    details = sources.power_bi.columns.get(entry.name, {})
    sorting = _sorting(entry, sources) | {name: one.sorted_by for name, one in details.items() if one.sorted_by}
    calendar = reference(sources.power_bi.calendar)
    # A table marked as a calendar has its date as its key.
    keys = {calendar} | {one.one for one in relationships if one.one[0] != calendar[0]}
    known = {column["name"]: column for column in mart["columns"]}
    columns = []
    for source, name in entry.names.items():
        if source not in known:
            raise ReportError(f"model.yml reads {entry.relation}.{source}, which dbt's yml file does not describe.")
        detail = details.get(name, ColumnEntry())
        kind = re.split(r"\W", known[source]["data_type"])[0]
        columns.append(
            Column(
                name=name,
                source=source,
                type=TYPES[kind],
                description=one_line(known[source]["description"]),
                is_hidden=source in entry.hidden,
                is_key=(entry.name, name) in keys,
                format=detail.format or FORMATS.get(kind),
                category=detail.category,
                sorted_by=sorting.get(name),
                sorts=name in sorting.values(),
            )
        )
    return tuple(columns)


def _sorting(entry: TableEntry, sources: Sources) -> dict[str, str]:
    """Column -> the column that orders its values, of each dimension of this table that has a `sort`."""
    found = {}
    for dimension in sources.measures.dimensions:
        table, column = reference(dimension.dax)
        if table == entry.name and dimension.sort:
            found[column] = entry.names[dimension.sort.split(".")[-1]]
    return found


def _years_of(table: str, year: str, sources: Sources, relationships: Sequence[Relationship]) -> YearsOf:
    """Of the first fact that refers to the table."""
    fact, key = next(one.many for one in relationships if one.one[0] == table)
    entry = next(one for one in sources.model.tables if one.name == fact)
    source = next(source for source, name in entry.names.items() if name == key)
    return YearsOf(entry.relation.split(".")[1], source, year)


def _measures(table: str, sources: Sources) -> tuple[Measure, ...]:
    said = [
        Measure(one.name, one_line(one.dax), one.format, one.folder, one_line(one.description), one.hidden)
        for one in sources.measures.measures
        if one.table == table
    ]
    derived = [
        Measure(one.name, one.dax, one.format, one.folder, one.description, one.is_hidden)
        for one in derived_measures(sources)
        if one.of.table == table
    ]
    return (*said, *derived)
