"""report/ -> the text of dbt/models/marts/_<source>__exposures.yml: who reads which mart, for dbt's pages.

`make docs` writes it; a test fails when it is not current. No exposure is part of the hash that rebuilds the marts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from lakehouse.report.measures import Measures

HEADER = "# Made from report/measures.yml and report/model.yml by `make docs`: change those, not this file.\n"
MODEL_FILE = "model.yml"
_MART = re.compile(r"\bmarts\.(\w+)")


def exposures_yml(measures: Measures, report_dir: Path, models: Iterable[str]) -> str:
    """One exposure for the page and one for Power BI. `models`: the marts that dbt builds; others are left out."""
    built = set(models)
    page = {mart for relation in measures.relations for mart in _MART.findall(relation.sql)}
    tables = yaml.safe_load((report_dir / MODEL_FILE).read_text(encoding="utf-8"))["tables"]
    power_bi = {mart for table in tables for mart in _MART.findall(table["relation"])}
    document = {
        "exposures": [
            _exposure(
                "report_page",
                "Report page",
                "The page that `make report` writes: one HTML file with the figures of docs/measures.md.",
                page & built,
            ),
            _exposure(
                "power_bi",
                "Power BI",
                "The Power BI project in powerbi/, with the measures of docs/measures.md.",
                power_bi & built,
            ),
        ]
    }
    body: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
    return HEADER + body


def file_name(source: str) -> str:
    """The path of a source's file below the dbt project."""
    return f"models/marts/_{source}__exposures.yml"


def _exposure(name: str, label: str, description: str, marts: set[str]) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "dashboard",
        "maturity": "high",
        "description": description,
        "depends_on": [f"ref('{mart}')" for mart in sorted(marts)],
        "owner": {"name": "ecommerce-data-pipeline"},
    }
