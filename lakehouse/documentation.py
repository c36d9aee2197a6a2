"""Contract, dbt project, settings, command line -> the generated pages of docs/. `make docs` writes them anew.

A test compares the pages with what the code says now, so that they cannot rot.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
import yaml
from pydantic.fields import FieldInfo

from lakehouse.contract import LINEAGE, Contract, TableContract, read_contract
from lakehouse.dbt_sources import file_name, sources_yml
from lakehouse.settings import PROJECT_DIR, Settings

GENERATED = "<!-- Written by `make docs`; change what it is made from, not this page. -->\n\n"


def pages(settings: Settings) -> dict[Path, str]:
    """Path -> text of every generated page, as they should be now."""
    contract = read_contract(settings.contracts_dir, settings.source)
    docs = PROJECT_DIR / "docs"
    return {
        settings.dbt_dir / file_name(contract.source): sources_yml(contract),
        docs / "tables.md": GENERATED + _tables_page(settings, contract),
        docs / "er-diagram.md": GENERATED + _er_diagram(contract),
        docs / "settings.md": GENERATED + _settings_page(),
        docs / "commands.md": GENERATED + _commands_page(),
    }


def write_pages(settings: Settings) -> list[Path]:
    """Write the pages that are not current; the paths of those."""
    written: list[Path] = []
    for path, text in pages(settings).items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            written.append(path)
    return written


def _tables_page(settings: Settings, contract: Contract) -> str:
    lines = [
        "# Tables",
        "",
        f"From the source ([contracts/{contract.source}.odcs.yaml](../contracts/{contract.source}.odcs.yaml)) to the "
        "marts (dbt). A table has one name in the lake, the warehouse and here.",
        "",
        f"## Source: {contract.title}",
        "",
        "The same columns are in `bronze` (as text, exactly as sent), in `silver` and in "
        f"`{contract.raw_schema}` (typed). Each of the three adds, at its end:",
        "",
        *_markdown_table(("column", "type", "meaning"), [(f"`{n}`", t, d) for n, t, d in LINEAGE]),
        "",
    ]
    for table in contract.tables:
        lines += _source_table(table)
    for folder, title in (("staging", "Staging"), ("intermediate", "Intermediate"), ("marts", "Marts")):
        lines += [f"## {title}", ""]
        for model in _models(settings.dbt_dir / "models" / folder):
            lines += _model(model)
    return "\n".join(lines)


def _source_table(table: TableContract) -> list[str]:
    rows = []
    for column in table.columns:
        rules = [f"{rule.reason.partition(': ')[2]} ({rule.severity})" for rule in column.rules]
        if column.references:
            rules.append(f"refers to `{'.'.join(column.references)}`")
        if column.since:
            rules.append(f"since {column.since}")
        name = f"**`{column.name}`**" if column.name in table.key else f"`{column.name}`"
        rows.append((name, str(column.type), column.description, "; ".join(rules)))
    key = ", ".join(f"`{name}`" for name in table.key) or "none: all columns together"
    return [
        f"### `{table.name}`",
        "",
        f"{table.description} Grain: {table.grain}. Key: {key}. File: `{table.files[0]}.csv`.",
        "",
        *_markdown_table(("column", "type", "meaning", "not allowed"), rows),
        "",
    ]


def _models(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for path in sorted(folder.rglob("*.yml")):
        found += (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("models", [])
    return sorted(found, key=lambda model: str(model["name"]))


def _model(model: dict[str, Any]) -> list[str]:
    rows = [
        (f"`{column['name']}`", column.get("data_type", ""), _one_line(column.get("description", "")))
        for column in model.get("columns", [])
    ]
    return [
        f"### `{model['name']}`",
        "",
        _one_line(model.get("description", "")),
        "",
        *_markdown_table(("column", "type", "meaning"), rows),
        "",
    ]


def _er_diagram(contract: Contract) -> str:
    lines = [f"# {contract.title}: entities and their relationships", "", "```mermaid", "erDiagram"]
    for table in contract.tables:
        lines.append(f"    {table.name} {{")
        for column in table.columns:
            marks = ["PK"] * (column.name in table.key) + ["FK"] * (column.references is not None)
            kind = str(column.type).replace(",", "_")
            lines.append(f"        {kind} {column.name} {', '.join(marks)}".rstrip())
        lines.append("    }")
    for table in contract.tables:
        lines += [
            f"    {column.references[0]} ||--o{{ {table.name} : {column.name}"
            for column in table.columns
            if column.references
        ]
    return "\n".join([*lines, "```", ""])


def _settings_page() -> str:
    rows = [
        (f"`LAKEHOUSE_{name.upper()}`", _default(field), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(
        [
            "# Settings",
            "",
            "Every setting is an environment variable; a file `.env` beside `pyproject.toml` is read, too.",
            "Paths are derived from them in [lakehouse/settings.py](../lakehouse/settings.py), the only reader.",
            "",
            *_markdown_table(("setting", "default", "meaning"), rows),
            "",
        ]
    )


def _default(field: FieldInfo) -> str:
    if field.default is None:
        return ""
    value = field.default
    if isinstance(value, Path):
        value = value.relative_to(PROJECT_DIR)
    return f"`{value}`"


def _commands_page() -> str:
    from lakehouse.cli import app

    lines = [
        "# Commands",
        "",
        "`lakehouse` stands in `.venv/bin` after `make setup`. `make` prints the make targets.",
        "",
    ]
    group = typer.main.get_group(app)
    for name, command in group.commands.items():
        if command.hidden:
            continue
        lines += [f"## `lakehouse {name}`", "", *_command_text(command.help or ""), ""]
        options = []
        for parameter in command.params:
            record = getattr(parameter, "help", None)
            label = (
                "/".join(parameter.opts) if parameter.param_type_name == "option" else (parameter.name or "").upper()
            )
            options.append((f"`{label}`", record or ""))
        lines += [*_markdown_table(("argument, option", "meaning"), options), ""]
    return "\n".join(lines)


def _command_text(text: str) -> list[str]:
    """A command's help as Markdown: its examples (indented lines) as code."""
    return [line if not line.startswith("    ") else f"    {line.strip()}" for line in text.strip().splitlines()]


def _markdown_table(headers: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    cells = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in (headers, *rows)]
    return [f"| {cells[0]} |", f"|{' --- |' * len(headers)}", *(f"| {row} |" for row in cells[1:])]


def _one_line(text: str) -> str:
    return " ".join(text.split())
