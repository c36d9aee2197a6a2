"""The semantic model in powerbi/ (TMDL) -> its tables and relationships, as the diagrams take them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tools.generate.diagrams import Entity, Reference

_NAME = r"(?:'((?:[^']|'')+)'|([\w]+))"
_TABLE = re.compile(rf"^table {_NAME}$", re.MULTILINE)
_COLUMN = re.compile(rf"^\tcolumn {_NAME}.*\n((?:\t\t.*\n)*)", re.MULTILINE)
_MEASURE = re.compile(rf"^\tmeasure {_NAME}", re.MULTILINE)
_RELATIONSHIP = re.compile(
    rf"^relationship .*\n((?:\t.*\n)*?)\tfromColumn: {_NAME}\.{_NAME}\n\ttoColumn: {_NAME}\.{_NAME}\n", re.MULTILINE
)


@dataclass(frozen=True)
class Model:
    """`columns`, `measures`: how many each table has."""

    entities: list[Entity]
    references: list[Reference]
    columns: dict[str, int]
    measures: dict[str, int]


def read_model(folder: Path) -> Model:
    """The only model in the folder of a Power BI project; its tables by name, with the columns of relationships."""
    (definition,) = folder.glob("*.SemanticModel/definition")
    text = (definition / "relationships.tmdl").read_text(encoding="utf-8")
    references = []
    for found in _RELATIONSHIP.findall(text):
        table, column, to, field = (found[i] or found[i + 1] for i in range(1, 9, 2))
        references.append(Reference(table, column, to, field, certain=True))
    drawn = {(r.table, r.column) for r in references}
    keys = {(r.to, r.field) for r in references}

    entities, columns, measures = [], {}, {}
    for path in sorted((definition / "tables").glob("*.tmdl")):
        table_text = path.read_text(encoding="utf-8")
        name = next("".join(found) for found in _TABLE.findall(table_text))
        kinds = {"".join(found[:2]): _kind(found[2]) for found in _COLUMN.findall(table_text)}
        own = [column for column in kinds if (name, column) in drawn | keys]
        entities.append(
            Entity(
                name,
                tuple((kinds[column], column) for column in own),
                tuple(column for column in own if (name, column) in keys),
            )
        )
        columns[name] = len(kinds)
        measures[name] = len(_MEASURE.findall(table_text))
    return Model(entities, references, columns, measures)


def _kind(properties: str) -> str:
    found = re.search(r"dataType: (\w+)", properties)
    return found[1] if found else ""
