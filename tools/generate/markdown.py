"""Rows -> a Markdown table; the models of the dbt project's yml files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Template


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table, without its empty columns; the first column always stays."""
    kept = [i for i in range(len(headers)) if i == 0 or any(row[i] for row in rows)]
    cells = [" | ".join(row[i].replace("|", "\\|") for i in kept) for row in (headers, *rows)]
    return [f"| {cells[0]} |", f"|{' --- |' * len(kept)}", *(f"| {row} |" for row in cells[1:])]


def one_line(text: str) -> str:
    """Join a text that yml or a docstring broke into lines."""
    return " ".join(text.split())


def dbt_models(dbt_dir: Path, folder: str) -> list[dict[str, Any]]:
    """The models that the yml files in and below a folder describe, by name. dbt's variables are filled in."""
    variables = yaml.safe_load((dbt_dir / "dbt_project.yml").read_text(encoding="utf-8")).get("vars", {})
    found: list[dict[str, Any]] = []
    for path in sorted((dbt_dir / "models" / folder).rglob("*.yml")):
        found += (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("models", [])
    for column in (column for model in found for column in model.get("columns", []) if "data_type" in column):
        column["data_type"] = Template(column["data_type"]).render(var=variables.__getitem__)
    return sorted(found, key=lambda model: str(model["name"]))
