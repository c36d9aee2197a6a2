"""Contracts, dbt project, measures, settings, command line, Makefile -> the generated pages.

`make docs` writes them again. A test compares the pages with the current code, so that they cannot become stale.

tables.py        tables.md: every column from the source to the marts
diagrams.py      er-diagram.md: the sources and the star schema
commands.py      commands.md, make.md, settings.md
measures.py      measures.md: what each figure of the report means
dbt_sources.py   the dbt sources of each contract
exposures.py     what the report and Power BI read, for dbt
dbt_graph.py     Airflow's graph of the dbt models
markdown.py      Markdown tables, and the models in dbt's yml files
"""

from __future__ import annotations

from pathlib import Path

from lakehouse.contract.model import Contract
from lakehouse.contract.odcs import read_contract
from lakehouse.report.measures import read_measures
from lakehouse.settings import PROJECT_DIR, Settings
from tools.generate import dbt_graph
from tools.generate.commands import commands_page, make_page, settings_page
from tools.generate.dbt_sources import file_name, sources_yml
from tools.generate.diagrams import diagrams_page
from tools.generate.exposures import exposures_yml
from tools.generate.exposures import file_name as exposures_file_name
from tools.generate.markdown import dbt_models
from tools.generate.measures import measures_page
from tools.generate.tables import tables_page

GENERATED = "<!-- Written by `make docs`; change what it is made from, not this page. -->\n\n"


def pages(settings: Settings, project: Path = PROJECT_DIR) -> dict[Path, str]:
    """Path -> current text of every generated page.

    The pages describe the project: all its contracts, whatever source the settings name. A dbt sources file is made
    for every contract there is where the settings say. Without Airflow's picture of the models, for which dbt runs.
    """
    contracts, docs = _contracts(project / "contracts"), project / "docs"
    written = {
        docs / "tables.md": tables_page(contracts, project / "dbt"),
        docs / "er-diagram.md": diagrams_page(contracts, project / "dbt"),
        docs / "settings.md": settings_page(),
        docs / "commands.md": commands_page(),
        docs / "make.md": make_page(project / "Makefile"),
    }
    report = project / "report"
    exposures = {}
    for measures in filter(None, (read_measures(report, contract.source) for contract in contracts)):
        written[docs / "measures.md"] = measures_page(measures)
        marts = [str(model["name"]) for model in dbt_models(project / "dbt", "marts")]
        exposures[project / "dbt" / exposures_file_name(measures.source)] = exposures_yml(measures, report, marts)
    sources = {settings.dbt_dir / file_name(c.source): sources_yml(c) for c in _contracts(settings.contracts_dir)}
    return sources | exposures | {path: GENERATED + text for path, text in written.items()}


def write_pages(settings: Settings, project: Path = PROJECT_DIR) -> list[Path]:
    """Write the pages that are not current, then Airflow's picture of the models; the paths of what was written.

    Raises MartsError if dbt cannot parse the project.
    """
    written = [path for path, text in pages(settings, project).items() if _write(path, text)]
    # After dbt's sources files, without which dbt cannot parse a new source's models.
    graph = project / dbt_graph.FILE
    reads = dbt_graph.models_read(project / "dbt")
    return [*written, *([graph] if _write(graph, dbt_graph.python_module(reads)) else [])]


def _write(path: Path, text: str) -> bool:
    """Whether the file was not current."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return True


def _contracts(folder: Path) -> list[Contract]:
    suffix = ".odcs.yaml"
    return [read_contract(folder, path.name.removesuffix(suffix)) for path in sorted(folder.glob(f"*{suffix}"))]
