"""report/measures.yml -> the measures of a source, or one error with all faults of the file.

The head of the file explains its format. What is read here is complete: a ratio has the relation, the DAX and the SQL
that follow from its numerator and denominator.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from pydantic import Field, ValidationError

from lakehouse.errors import ReportError
from lakehouse.report import files
from lakehouse.report.files import Entry

FILE = "measures.yml"
# Decimals after the point, by format string of Power BI; the page and the command line show figures by the same ones.
FORMATS = {"#,0": 0, "#,0.00": 2, "0.0": 1, "0.00": 2, "0.0%": 1, "0.00%": 2}

# `[Revenue]`, but not the column in `'Order Items'[Item Price]` or `Orders[Is Late]`.
_MEASURE_IN_DAX = re.compile(r"(?<![\w'])\[([^\]]+)\]")
_TEXT_IN_SQL = re.compile(r"'[^']*'")
_ALIAS_IN_SQL = re.compile(r"\b([a-z_]+)\.[a-z_]")


@dataclass(frozen=True)
class Dimension:
    """What figures are split and filtered by.

    `sql`, `sort`: expressions over the aliases of the relations; `dax`: a column of Power BI.
    `values`: what stands for a value where people read it, by the value as text.
    """

    name: str
    label: str
    description: str
    sql: str
    dax: str
    sort: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)

    def shown(self, value: object) -> str:
        """A value as people read it."""
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return self.values.get(text, text)


@dataclass(frozen=True)
class Relation:
    """A FROM clause, with the dimensions that its rows have. `table`: the fact table of Power BI."""

    name: str
    grain: str
    table: str
    sql: str
    dimensions: tuple[str, ...]


@dataclass(frozen=True)
class Measure:
    """A figure: an aggregate over the rows of a relation.

    `additive`: the figures of groups add up to the figure of all, but not by an `overlapping` dimension.
    `numerator`, `denominator`: the measures that a ratio divides; None if it is no ratio.
    """

    name: str
    folder: str
    description: str
    table: str
    format: str
    unit: str | None
    better: Literal["higher", "lower"] | None
    hidden: bool
    relation: str
    dax: str
    sql: str
    additive: bool
    overlapping: tuple[str, ...] = ()
    numerator: str | None = None
    denominator: str | None = None

    @property
    def column(self) -> str:
        """Its name as a column of a query's answer."""
        return re.sub(r"\W+", "_", self.name.lower())


@dataclass(frozen=True)
class Measures:
    """What report/measures.yml says, in the order of the file."""

    source: str
    dimensions: tuple[Dimension, ...]
    relations: tuple[Relation, ...]
    measures: tuple[Measure, ...]

    def measure(self, name: str) -> Measure:
        """The measure of this name, in any case. Raises ReportError, which names the close ones."""
        return _named(self.measures, name, "measure")

    def dimension(self, name: str) -> Dimension:
        """The dimension of this name or label, in any case. Raises ReportError, which names the close ones."""
        by_label = [d for d in self.dimensions if d.label.casefold() == name.casefold()]
        return by_label[0] if by_label else _named(self.dimensions, name, "dimension")

    def relation(self, name: str) -> Relation:
        """The relation of this name. Raises ReportError if there is none."""
        return _named(self.relations, name, "relation")

    def dimensions_of(self, measure: Measure) -> tuple[Dimension, ...]:
        """What the measure can be split and filtered by."""
        names = self.relation(measure.relation).dimensions
        return tuple(dimension for dimension in self.dimensions if dimension.name in names)

    def folders(self) -> dict[str, list[Measure]]:
        """Folder -> its measures, without hidden ones."""
        found: dict[str, list[Measure]] = {}
        for measure in self.measures:
            if not measure.hidden:
                found.setdefault(measure.folder, []).append(measure)
        return found


def read_measures(report_dir: Path, source: str) -> Measures | None:
    """The measures of a source; None if it has none: there is no file, or the file is another source's.

    Raises ReportError, which names all faults in the file.
    """
    path = report_dir / FILE
    if not path.is_file():
        return None
    document = files.read(path)
    if isinstance(document, dict) and document.get("source", source) != source:
        return None
    try:
        written = _File.model_validate(document)
    except ValidationError as error:
        raise files.unusable(path, files.misfits(document, error, "name")) from error
    faults = list(_faults(written))
    if faults:
        raise files.unusable(path, faults)
    return _complete(written)


class _DimensionEntry(Entry):
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    label: str
    description: str
    sql: str
    dax: str
    sort: str | None = None
    values: dict[bool | int | str, str] = Field(default_factory=dict)


class _RelationEntry(Entry):
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    grain: str
    table: str
    sql: str
    dimensions: list[str]


class _MeasureEntry(Entry):
    name: str
    folder: str
    description: str
    table: str
    format: str
    unit: str | None = None
    better: Literal["higher", "lower"] | None = None
    hidden: bool = False
    relation: str | None = None
    dax: str | None = None
    sql: str | None = None
    additive: bool | None = None
    overlapping: list[str] = Field(default_factory=list)
    numerator: str | None = None
    denominator: str | None = None

    @property
    def is_ratio(self) -> bool:
        return self.numerator is not None or self.denominator is not None


class _File(Entry):
    source: str
    dimensions: list[_DimensionEntry]
    relations: list[_RelationEntry]
    measures: list[_MeasureEntry]


class _HasName(Protocol):
    @property
    def name(self) -> str: ...


Named = TypeVar("Named", bound=_HasName)


def _named(entries: Sequence[Named], name: str, kind: str) -> Named:
    for entry in entries:
        if entry.name.casefold() == name.casefold():
            return entry
    names = {entry.name.casefold(): entry.name for entry in entries}
    close = [names[found] for found in get_close_matches(name.casefold(), names, n=3, cutoff=0.5)]
    close += [each for folded, each in names.items() if name.casefold() in folded and each not in close][:3]
    hint = f"did you mean {', '.join(close)}?" if close else f"there are {', '.join(names.values())}"
    raise ReportError(f"There is no {kind} {name!r}: {hint}")


def _faults(written: _File) -> Iterator[str]:
    """What is wrong between the entries: names that are not there, or are there twice, and SQL over other aliases."""
    for kind, entries in (
        ("dimension", written.dimensions), ("relation", written.relations), ("measure", written.measures)
    ):  # fmt: skip
        counted = Counter(entry.name.casefold() for entry in entries)
        yield from (f"{kind} {name} stands there twice: rename one" for name, count in counted.items() if count > 1)
    dimensions = {dimension.name: dimension for dimension in written.dimensions}
    relations = {relation.name: relation for relation in written.relations}
    for relation in written.relations:
        for name in relation.dimensions:
            if name not in dimensions:
                yield f"{relation.name}: there is no dimension {name}: add it, or take it from the relation"
                continue
            dimension = dimensions[name]
            for sql in filter(None, (dimension.sql, dimension.sort)):
                yield from _foreign_aliases(f"{relation.name}: dimension {name}", sql, relation)
    measures = {measure.name: measure for measure in written.measures}
    for measure in written.measures:
        if measure.format not in FORMATS:
            yield f"{measure.name}: format {measure.format} is not known: use {', '.join(FORMATS)}"
        if measure.table not in {relation.table for relation in written.relations}:
            yield f"{measure.name}: table {measure.table} is of no relation: use the table of one"
        if measure.is_ratio:
            yield from _faults_of_ratio(measure, measures)
        else:
            yield from _faults_of_aggregate(measure, measures, relations)


def _faults_of_ratio(measure: _MeasureEntry, measures: Mapping[str, _MeasureEntry]) -> Iterator[str]:
    given = [key for key in ("relation", "dax", "sql", "additive") if getattr(measure, key) is not None]
    given += ["overlapping"] * bool(measure.overlapping)
    if given:
        yield f"{measure.name}: a ratio has no {', '.join(given)} of its own: remove it, or numerator and denominator"
    parts = []
    for key in ("numerator", "denominator"):
        name = getattr(measure, key)
        if name is None:
            yield f"{measure.name}: a ratio needs a {key}: name a measure"
        elif name not in measures:
            yield f"{measure.name}: its {key} {name} is no measure: define it"
        elif measures[name].is_ratio:
            yield f"{measure.name}: its {key} {name} is a ratio itself: name a measure that has SQL"
        else:
            parts.append(measures[name])
    if len({part.relation for part in parts}) > 1:
        yield (
            f"{measure.name}: {parts[0].name} is over {parts[0].relation}, {parts[1].name} over {parts[1].relation}: "
            "a ratio divides two measures of one relation"
        )


def _faults_of_aggregate(
    measure: _MeasureEntry, measures: Mapping[str, _MeasureEntry], relations: Mapping[str, _RelationEntry]
) -> Iterator[str]:
    missing = [key for key in ("relation", "dax", "sql", "additive") if getattr(measure, key) is None]
    if missing:
        yield f"{measure.name}: {', '.join(missing)} is missing: add it, or a numerator and a denominator"
    for name in _MEASURE_IN_DAX.findall(measure.dax or ""):
        if name not in measures:
            yield f"{measure.name}: its DAX names [{name}], which is no measure: define it, or write Table[{name}]"
    if measure.name in _measures_below(measure, measures):
        yield f"{measure.name}: its DAX needs itself: break the circle"
    if measure.relation is None:
        return
    if measure.relation not in relations:
        yield f"{measure.name}: there is no relation {measure.relation}: use {', '.join(relations)}"
        return
    relation = relations[measure.relation]
    yield from _foreign_aliases(measure.name, measure.sql or "", relation)
    for name in measure.overlapping:
        if name not in relation.dimensions:
            yield f"{measure.name}: its relation {relation.name} lacks the overlapping dimension {name}: remove it"
    if measure.overlapping and not measure.additive:
        yield f"{measure.name}: it is not additive by any dimension: remove overlapping"


def _measures_below(measure: _MeasureEntry, measures: Mapping[str, _MeasureEntry]) -> set[str]:
    """All measures that its DAX needs, also through other measures."""
    found: set[str] = set()
    todo = [measure]
    while todo:
        entry = todo.pop()
        parts = [*_MEASURE_IN_DAX.findall(entry.dax or ""), entry.numerator, entry.denominator]
        todo += [measures[name] for name in parts if name in measures and name not in found]
        found.update(name for name in parts if name in measures)
    return found


def _foreign_aliases(where: str, sql: str, relation: _RelationEntry) -> Iterator[str]:
    for alias in dict.fromkeys(_ALIAS_IN_SQL.findall(_TEXT_IN_SQL.sub("''", sql))):
        if not re.search(rf"\bas {alias}\b", relation.sql):
            yield f"{where}: the relation {relation.name} has no `as {alias}`: join it, or use another relation"


def _complete(written: _File) -> Measures:
    entries = {entry.name: entry for entry in written.measures}
    return Measures(
        source=written.source,
        dimensions=tuple(
            Dimension(
                name=entry.name,
                label=entry.label,
                description=entry.description,
                sql=entry.sql,
                dax=entry.dax,
                sort=entry.sort,
                values={str(key).lower() if isinstance(key, bool) else str(key): v for key, v in entry.values.items()},
            )
            for entry in written.dimensions
        ),
        relations=tuple(
            Relation(entry.name, entry.grain, entry.table, entry.sql.strip(), tuple(entry.dimensions))
            for entry in written.relations
        ),
        measures=tuple(_measure(entry, entries) for entry in written.measures),
    )


def _measure(entry: _MeasureEntry, entries: Mapping[str, _MeasureEntry]) -> Measure:
    parts = entry
    dax, sql = entry.dax or "", entry.sql or ""
    if entry.is_ratio:
        parts, below = entries[entry.numerator or ""], entries[entry.denominator or ""]
        dax = f"DIVIDE([{entry.numerator}], [{entry.denominator}])"
        sql = f"cast({parts.sql} as numeric) / nullif({below.sql}, 0)"
    return Measure(
        name=entry.name,
        folder=entry.folder,
        description=" ".join(entry.description.split()),
        table=entry.table,
        format=entry.format,
        unit=entry.unit,
        better=entry.better,
        hidden=entry.hidden,
        relation=parts.relation or "",
        dax=dax.strip(),
        sql=sql.strip(),
        additive=bool(entry.additive),
        overlapping=tuple(entry.overlapping),
        numerator=entry.numerator,
        denominator=entry.denominator,
    )
