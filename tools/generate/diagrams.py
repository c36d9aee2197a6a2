"""Contracts and dbt's relationship tests -> docs/er-diagram.md: tables, keys, and how many rows refer to how many.

Mermaid's notation: `||` exactly one, `|o` one or none, `}o` many or none. tools/pictures draws the same as images.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse.contract.model import Contract
from tools.generate.markdown import dbt_models


@dataclass(frozen=True)
class Entity:
    """A table with its drawn columns, as (type, name)."""

    name: str
    columns: tuple[tuple[str, str], ...]
    key: tuple[str, ...]


@dataclass(frozen=True)
class Reference:
    """`table.column` refers to `to.field`. `certain`: each row of `table` has a partner."""

    table: str
    column: str
    to: str
    field: str
    certain: bool


def diagrams_page(contracts: Sequence[Contract], dbt_dir: Path) -> str:
    """The page with one diagram per source and one of the marts."""
    lines = ["# Entities and their relationships", ""]
    for contract in contracts:
        lines += [
            f"## Source: {contract.title}",
            "",
            "As the contract promises. The pipeline does not rely on it: the row that another refers to may come "
            "later, or never.",
            "",
            *_diagram(*source_model(contract)),
        ]
    lines += [
        "## Star schema of the marts",
        "",
        "Keys only; [tables.md](tables.md#marts) has all columns. Each line is a relationship test of dbt. A test that "
        "may find no partner (`o` at the upper end) warns, any other fails.",
        "",
        *_diagram(*star_schema(dbt_models(dbt_dir, "marts"))),
    ]
    return "\n".join(lines)


def source_model(contract: Contract) -> tuple[list[Entity], list[Reference]]:
    """A source's tables with all columns, and the references that its contract states."""
    entities, references = [], []
    for table in contract.tables:
        columns = tuple((str(column.type), column.name) for column in table.columns)
        entities.append(Entity(table.name, columns, table.key))
        references += [
            Reference(table.name, column.name, *column.references, certain=column.required)
            for column in table.columns
            if column.references
        ]
    keys = {entity.name: entity.key for entity in entities}
    # If the target column is no key, nothing promises that a value exists.
    return entities, [r if keys[r.to] == (r.field,) else _uncertain(r) for r in references]


def _uncertain(reference: Reference) -> Reference:
    return Reference(reference.table, reference.column, reference.to, reference.field, certain=False)


def star_schema(models: Sequence[dict[str, Any]]) -> tuple[list[Entity], list[Reference]]:
    """The marts with the columns that are a key or refer to one, and the references that dbt tests."""
    entities, references = [], []
    for model in models:
        name = str(model["name"])
        keys = [c["columns"] for c in model.get("constraints", []) if c["type"] == "primary_key"]
        key = tuple(keys[0]) if keys else ()
        own = [reference for column in model["columns"] for reference in _tested_references(name, column)]
        drawn = {*key, *(reference.column for reference in own)}
        columns = tuple((str(c["data_type"]), str(c["name"])) for c in model["columns"] if c["name"] in drawn)
        entities.append(Entity(name, columns, key))
        references += own
    return entities, references


def _tested_references(model: str, column: dict[str, Any]) -> Iterator[Reference]:
    for test in column.get("data_tests", []):
        if isinstance(test, dict) and "relationships" in test:
            details = test["relationships"]
            arguments = details["arguments"]
            target = re.fullmatch(r"ref\('(\w+)'\)", arguments["to"])
            if target:
                certain = details.get("config", {}).get("severity") != "warn"
                yield Reference(model, str(column["name"]), target[1], str(arguments["field"]), certain)


def _diagram(entities: Sequence[Entity], references: Sequence[Reference]) -> list[str]:
    lines = ["```mermaid", "erDiagram"]
    pointing = {(reference.table, reference.column) for reference in references}
    keys = {entity.name: entity.key for entity in entities}
    for entity in entities:
        lines.append(f"    {entity.name} {{")
        for kind, name in entity.columns:
            marks = ["PK"] * (name in entity.key) + ["FK"] * ((entity.name, name) in pointing)
            lines.append(f"        {re.sub('[, ]', '_', kind)} {name} {', '.join(marks)}".rstrip())
        lines.append("    }")
    for reference in references:
        one = keys[reference.to] == (reference.field,)
        upper = ("||" if reference.certain else "|o") if one else ("}|" if reference.certain else "}o")
        lower = "o|" if keys[reference.table] == (reference.column,) else "o{"
        lines.append(f"    {reference.to} {upper}--{lower} {reference.table} : {reference.column}")
    return [*lines, "```", ""]
