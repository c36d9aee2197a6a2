"""A model and a report -> every file of the project in powerbi/, and writing them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tools.powerbi import pbir, theme, tmdl
from tools.powerbi.model import Model, build_model
from tools.powerbi.pbir import SCHEMAS
from tools.powerbi.sources import read_sources

README = "README.md"


def project_files(project: Path) -> dict[str, str]:
    """Path below powerbi/ -> text, from report/ and dbt/ of a checkout. Raises ReportError."""
    sources = read_sources(project / "report")
    model = build_model(sources, project / "dbt")
    name = model.project
    files = {f"{name}.SemanticModel/definition/{path}": text for path, text in tmdl.definition(model).items()}
    documents = {
        f"{name}.pbip": {
            "$schema": f"{SCHEMAS}pbip/pbipProperties/1.0.0/schema.json",
            "version": "1.0",
            "artifacts": [{"report": {"path": f"{name}.Report"}}],
            "settings": {"enableAutoRecovery": True},
        },
        f"{name}.pbids": _data_source(model),
        f"{name}.SemanticModel/.platform": _platform("SemanticModel", name),
        f"{name}.SemanticModel/definition.pbism": {
            "$schema": f"{SCHEMAS}item/semanticModel/definitionProperties/1.0.0/schema.json",
            "version": "4.2",
            "settings": {},
        },
        f"{name}.Report/.platform": _platform("Report", name),
        f"{name}.Report/definition.pbir": {
            "$schema": f"{SCHEMAS}item/report/definitionProperties/2.0.0/schema.json",
            "version": "4.0",
            "datasetReference": {"byPath": {"path": f"../{name}.SemanticModel"}},
        },
        f"{name}.Report/StaticResources/RegisteredResources/{theme.NAME}": theme.theme(),
    }
    documents |= {f"{name}.Report/definition/{path}": one for path, one in pbir.definition(model, sources).items()}
    files |= {path: json.dumps(one, indent=2, ensure_ascii=False) + "\n" for path, one in documents.items()}
    # What Power BI Desktop keeps beside the project for one person on one machine.
    files[".gitignore"] = "**/.pbi/localSettings.json\n**/.pbi/cache.abf\n"
    return files


def write_project(files: dict[str, str], folder: Path) -> None:
    """Replace the project in a folder; its README, which people write, stays."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
        elif old.name != README:
            old.unlink()
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8", newline="\n")


def _platform(kind: str, name: str) -> dict[str, Any]:
    return {
        "$schema": f"{SCHEMAS}gitIntegration/platformProperties/2.0.0/schema.json",
        "metadata": {"type": kind, "displayName": name},
        "config": {"version": "2.0", "logicalId": tmdl.tag("platform", kind)},
    }


def _data_source(model: Model) -> dict[str, Any]:
    """For a new report: Power BI opens its navigator on the database, without a credential."""
    address = {"server": model.server, "database": model.database}
    connection = {"details": {"protocol": "postgresql", "address": address}, "options": {}, "mode": "Import"}
    return {"version": "0.1", "connections": [connection]}
