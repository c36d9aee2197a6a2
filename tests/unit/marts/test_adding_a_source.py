"""docs/adding-a-source.md, followed literally: a second source builds its own models, Olist builds its own.

Both build what is for every source.
"""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml

from lakehouse.marts.manifest import EVERY_SOURCE
from lakehouse.settings import PROJECT_DIR, Settings
from tools.generate import write_pages
from tools.generate.dbt_graph import FILE

BLOCK = re.compile(r"^    ```(?:sql|yaml)\n    (?:#|--) (\S+)\n(.*?)^    ```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Name -> dbt's node, in a project with every block of the page in its file."""
    project = tmp_path_factory.mktemp("project")
    for folder in ("contracts", "dbt"):
        shutil.copytree(PROJECT_DIR / folder, project / folder, ignore=shutil.ignore_patterns("target", "logs"))
    shutil.copy(PROJECT_DIR / "Makefile", project)
    page = (PROJECT_DIR / "docs" / "adding-a-source.md").read_text(encoding="utf-8")
    for place, block in BLOCK.findall(page):
        path, text = project / place, dedent(block)
        if path.exists():
            text = yaml.safe_dump(merged(yaml.safe_load(path.read_text()), yaml.safe_load(text)))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    write_pages(Settings(contracts_dir=project / "contracts", dbt_dir=project / "dbt"), project)
    return {node["name"]: node for node in listed(project / "dbt", project / "target")}


def merged(old: Any, new: Any) -> Any:
    """The file that a person gets from a file and a block that shows only what to add."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return old | {key: merged(old.get(key), value) for key, value in new.items()}


def listed(dbt_dir: Path, target: Path) -> list[dict[str, Any]]:
    """Every node that dbt finds; needs no database."""
    command = [str(Path(sys.executable).parent / "dbt"), "--quiet", "ls", "--select"]
    command += [f"tag:{tag}" for tag in ("shelf", "olist", EVERY_SOURCE)]
    command += ["--project-dir", str(dbt_dir), "--profiles-dir", str(dbt_dir), "--target-path", str(target)]
    command += ["--log-path", str(target), "--output", "json"]
    command += ["--output-keys", "name", "resource_type", "tags", "config", "depends_on"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def models_for(nodes: dict[str, dict[str, Any]], source: str) -> set[str]:
    tags = {source, EVERY_SOURCE}
    return {name for name, node in nodes.items() if node["resource_type"] == "model" and tags & {*node["tags"]}}


def test_airflow_draws_the_same_graph_as_dbt(nodes: dict[str, dict[str, Any]]) -> None:
    known = {
        name: tuple(sorted(read.split(".")[-1] for read in nodes[name]["depends_on"]["nodes"] if "model." in read))
        for name in models_for(nodes, "olist")
    }

    assert runpy.run_path(str(PROJECT_DIR / FILE))["READS"] == known


def test_the_build_of_a_second_source_has_its_own_models_and_what_is_for_every_source(
    nodes: dict[str, dict[str, Any]],
) -> None:
    assert models_for(nodes, "shelf") == {"stg_books", "dim_book", "data_quality"}


def test_the_build_of_olist_has_all_other_models(nodes: dict[str, dict[str, Any]]) -> None:
    assert models_for(nodes, "olist") == {path.stem for path in (PROJECT_DIR / "dbt" / "models").rglob("*.sql")}


def test_the_build_of_a_second_source_includes_its_tests(nodes: dict[str, dict[str, Any]]) -> None:
    tests = {name for name, n in nodes.items() if n["resource_type"] == "test" and "dim_book" in str(n["depends_on"])}

    assert tests == {"unique_dim_book_isbn", "not_null_dim_book_isbn"}


def test_a_second_sources_models_do_not_use_olists_changed_keys(
    nodes: dict[str, dict[str, Any]],
) -> None:
    assert nodes["dim_book"]["config"]["materialized"] == "table"
    assert nodes["stg_books"]["config"]["materialized"] == "view"
    assert nodes["fct_orders"]["config"]["incremental_strategy"] == "replace_changed"
