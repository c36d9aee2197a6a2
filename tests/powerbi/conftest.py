"""The committed project, what it must fit, and the tools that check it; a test without its tool is skipped."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lakehouse.settings import PROJECT_DIR
from tests.powerbi.faults import Checker
from tools.generate.markdown import dbt_models, one_line
from tools.powerbi.checks import cross, schemas, toolbox, validator
from tools.powerbi.checks.tom import Refused, Tom
from tools.powerbi.derived import derived_measures
from tools.powerbi.sources import read_sources

# Beside the checkout, like the real archive: they are Microsoft's and not part of the project.
SCHEMAS = PROJECT_DIR.parent / "shared" / "data" / "powerbi" / "schemas"

Check = Callable[[Checker, Path], list[str]]


@pytest.fixture(scope="session")
def committed() -> Path:
    return PROJECT_DIR / "powerbi"


@pytest.fixture
def copy(committed: Path, tmp_path: Path) -> Path:
    """A copy of the project, to put a fault into."""
    return Path(shutil.copytree(committed, tmp_path / "powerbi"))


@pytest.fixture(scope="session")
def expected() -> cross.Expected:
    """What measures.yml and dbt's yml files ask of the project."""
    sources = read_sources(PROJECT_DIR / "report")
    return cross.Expected(
        measures={one.name: one_line(one.dax) for one in sources.measures.measures},
        derived=frozenset(one.name for one in derived_measures(sources)),
        marts={
            str(model["name"]): {column["name"]: column["data_type"] for column in model["columns"]}
            for model in dbt_models(PROJECT_DIR / "dbt", "marts")
        },
    )


@pytest.fixture(scope="session")
def tom() -> Iterator[Tom]:
    reason = toolbox.without_python_packages()
    if reason:
        pytest.skip(reason)
    with Tom() as running:
        yield running


@pytest.fixture
def check(request: pytest.FixtureRequest, expected: cross.Expected) -> Check:
    """What a checker finds in a project. Skips the test where the checker's tools are not."""

    def findings(checker: Checker, project: Path) -> list[str]:
        if checker == "schemas":
            if not SCHEMAS.is_dir():
                pytest.skip(f"Microsoft's schemas are not at {SCHEMAS}")
            return schemas.findings(project, SCHEMAS)
        if checker in ("validator", "cross") and (reason := toolbox.without_node_packages()):
            pytest.skip(reason)
        if checker == "validator":
            return validator.findings(project)
        tom: Tom = request.getfixturevalue("tom")
        if checker == "tom":
            return tom.findings(project)
        try:
            return cross.findings(project, tom.read(project), expected)
        except Refused as refusal:
            pytest.fail(f"TOM does not even read it, so the cross-check has nothing to look at: {refusal}")

    return findings
