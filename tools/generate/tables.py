"""Contracts and dbt's yml files -> docs/tables.md: every column from the source to the marts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lakehouse.contract.model import LINEAGE, Column, Contract, Rule, TableContract
from tools.generate.markdown import dbt_models, one_line, table

LAYERS = (("staging", "Staging"), ("intermediate", "Intermediate"), ("marts", "Marts"))


def tables_page(contracts: Sequence[Contract], dbt_dir: Path) -> str:
    """The page with a section per source, then one per layer of dbt."""
    lines = [
        "# Tables",
        "",
        "From the sources (contracts) to the marts (dbt). A table has one name in the lake, the warehouse and here.",
        "",
        "A source's columns are in `bronze` (as text, exactly as sent), in `silver` and in `raw_<source>` (typed). "
        "Each of the three adds, at its end:",
        "",
        *table(("column", "type", "meaning"), [(f"`{name}`", kind, meaning) for name, kind, meaning in LINEAGE]),
        "",
        "A row that violates one of the *rules*, or has a value that is not of its column's type, is quarantined. If "
        "the rule says (warning), the row is kept and counted. A reference is no such rule: the row that it refers to "
        "may come later ([members that are not there yet](scd2.md#members-that-are-not-there-yet)).",
        "",
        "**Bold** columns are the key.",
        "",
    ]
    for contract in contracts:
        lines += _source(contract)
    for folder, title in LAYERS:
        lines += [f"## {title}", ""]
        for model in dbt_models(dbt_dir, folder):
            lines += _model(model, _types_of_contract(dbt_dir, contracts, str(model["name"])))
    return "\n".join(lines)


def _source(contract: Contract) -> list[str]:
    name = f"{contract.source}.odcs.yaml"
    lines = [
        f"## Source: {contract.title}",
        "",
        f"From [contracts/{name}](../contracts/{name}), in the warehouse as `{contract.raw_schema}`.",
        "",
    ]
    for described in contract.tables:
        lines += _source_table(described)
    return lines


def _source_table(described: TableContract) -> list[str]:
    rows = []
    for column in described.columns:
        name = f"**`{column.name}`**" if column.name in described.key else f"`{column.name}`"
        rows.append((name, str(column.type), column.description, "; ".join(_rules(column))))
    grain = f" Grain: {described.grain}." if described.grain else ""
    key = ", ".join(f"`{name}`" for name in described.key) or "none: all columns together"
    return [
        f"### `{described.name}`",
        "",
        f"{described.description}{grain} Key: {key}. File: `{described.files[0]}.csv`.".strip(),
        "",
        *table(("column", "type", "meaning", "rules"), rows),
        "",
    ]


def _rules(column: Column) -> list[str]:
    rules = [_phrase(rule) + (" (warning)" if rule.severity == "warning" else "") for rule in column.rules]
    if column.references:
        rules.append(f"refers to `{'.'.join(column.references)}`")
    if column.since:
        rules.append(f"in every file from batch {column.since} on, before it may be absent")
    return rules


def _phrase(rule: Rule) -> str:
    if rule.check == "required":
        return "required"
    if rule.check == "valid_values":
        return "one of " + ", ".join(f"`{value}`" for value in rule.values)
    if rule.check == "pattern":
        return f"matches `{rule.pattern}`"
    if rule.maximum is None:
        return f"at least {rule.minimum}"
    if rule.minimum is None:
        return f"at most {rule.maximum}"
    return f"from {rule.minimum} to {rule.maximum}"


def _model(model: dict[str, Any], types: dict[str, str]) -> list[str]:
    rows = [
        (
            f"`{column['name']}`",
            column.get("data_type") or types.get(column["name"], ""),
            one_line(column.get("description", "")),
        )
        for column in model.get("columns", [])
    ]
    return [
        f"### `{model['name']}`",
        "",
        one_line(model.get("description", "")),
        "",
        *table(("column", "type", "meaning"), rows),
        "",
    ]


def _types_of_contract(dbt_dir: Path, contracts: Sequence[Contract], model: str) -> dict[str, str]:
    """Column -> type of a model that only renames the columns of one source table; empty for any other model."""
    paths = list((dbt_dir / "models").rglob(f"{model}.sql"))
    query = paths[0].read_text(encoding="utf-8") if paths else ""
    renaming = re.fullmatch(
        r"\s*select\s+(?P<columns>[\w\s,]+?)\s+from\s+\{\{\s*source\('(?P<source>\w+)',\s*'(?P<table>\w+)'\)\s*\}\}\s*",
        query,
    )
    if renaming is None:
        return {}
    known = {name: kind for name, kind, _ in LINEAGE}
    for contract in contracts:
        for described in contract.tables:
            if (contract.source, described.name) == (renaming["source"], renaming["table"]):
                known |= {column.name: column.type.sql for column in described.columns}
    names = [item.split() for item in renaming["columns"].split(",")]
    return {words[-1]: known[words[0]] for words in names if words[0] in known}
