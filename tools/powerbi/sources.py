"""report/*.yml -> what they say of the Power BI project. Measures and pages have readers in lakehouse/report.

model.yml and power_bi.yml explain their formats in their heads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import Field, ValidationError

from lakehouse.errors import ReportError
from lakehouse.report import files, insights
from lakehouse.report.files import Entry
from lakehouse.report.measures import Measures, read_measures
from lakehouse.report.pages import Pages, read_pages

_REFERENCE = re.compile(r"(?P<quote>'?)(?P<table>[^'\[]+)(?P=quote)\[(?P<column>[^\]]+)\]")

ColumnName = tuple[str, str]  # table, column


class TableEntry(Entry):
    """A table of the model. `only`: rows of one value, or `years_of_the_data` and the column of the year."""

    name: str
    relation: str = Field(pattern=r"^\w+\.\w+$")
    columns: dict[str, str]
    hidden: dict[str, str]
    only: dict[str, str] = Field(default_factory=dict)

    @property
    def names(self) -> dict[str, str]:
        """Name in marts -> name in Power BI, of all columns."""
        return self.columns | self.hidden


class RelationshipEntry(Entry):
    """Many rows of `from` to one of `to`."""

    many: str = Field(alias="from")
    one: str = Field(alias="to")


class ModelFile(Entry):
    """What model.yml says."""

    source: str
    tables: tuple[TableEntry, ...]
    relationships: tuple[RelationshipEntry, ...]


class ColumnEntry(Entry):
    """What Power BI needs of a column beyond its name."""

    format: str | None = None
    sorted_by: str | None = None
    category: str | None = None


class PowerBiFile(Entry):
    """What power_bi.yml says."""

    source: str
    project: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    server: str
    database: str
    calendar: str
    columns: dict[str, dict[str, ColumnEntry]]
    hierarchies: dict[str, dict[str, tuple[str, ...]]]


@dataclass(frozen=True)
class Sources:
    """All that a project is made from but dbt's yml files."""

    model: ModelFile
    power_bi: PowerBiFile
    measures: Measures
    pages: Pages
    questions: tuple[str, ...]  # those that the findings of insights.yml answer


def read_sources(report_dir: Path) -> Sources:
    """Read the files, insights.yml if there is one. Raises ReportError, which names all faults of a file."""
    model = _read(report_dir / "model.yml", ModelFile)
    power_bi = _read(report_dir / "power_bi.yml", PowerBiFile)
    measures = read_measures(report_dir, model.source)
    pages = read_pages(report_dir, measures) if measures else None
    if measures is None or pages is None or power_bi.source != model.source:
        raise ReportError(f"The files of {report_dir} are about different sources: `source` must be the same in each.")
    has_findings = (report_dir / insights.FILE).is_file()
    questions = [one.question for one in insights.read_insights(report_dir).findings] if has_findings else []
    return Sources(model, power_bi, measures, pages, tuple(questions))


def reference(text: str) -> ColumnName:
    """'Table'[Column] -> (table, column). Raises ReportError."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise ReportError(f"{text} is no column of Power BI: write 'Table'[Column].")
    return match["table"], match["column"]


File = TypeVar("File", bound=Entry)


def _read(path: Path, kind: type[File]) -> File:
    try:
        return kind.model_validate(files.read(path))
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False))
        raise ReportError("\n  ".join([f"{path} cannot be used:", *faults])) from error
