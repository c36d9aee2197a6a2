"""The DAG files in their image, without a network: their contents, and the report about a broken one."""

from __future__ import annotations

import os
import runpy
import subprocess
from pathlib import Path

import pytest

from lakehouse.settings import PROJECT_DIR
from tests.stack.conftest import readable_by_all
from tools.generate.dbt_graph import FILE

IMAGE = os.environ.get("AIRFLOW_IMAGE", "ecommerce-data-pipeline/airflow")
READS = runpy.run_path(str(PROJECT_DIR / FILE))["READS"]
# DAG -> task -> the tasks that follow it.
EDGES = {
    "arrivals": {"start_runs": set(), "drop_folder": set()},
    "lake": {
        "batch": {"table.bronze", "table.silver", "table.load"},
        "table.bronze": {"table.silver"},
        "table.silver": {"table.load"},
        "table.load": {"reconcile", "outcome"},
        "reconcile": {"outcome"},
        "outcome": set(),
    },
    "marts": {
        "build": {
            *("compare", "publish_report", "publish_docs"),
            *(f"models.{model}" for model, read in READS.items() if not read),
        },
        "compare": set(),
        "publish_report": set(),
        "publish_docs": set(),
        **{
            f"models.{model}": {f"models.{reader}" for reader, read in READS.items() if model in read}
            for model in READS
        },
    },
    "maintenance": {"maintain": set(), "airflow_logs": set(), "airflow_runs": set()},
    "check_stack": {"spark": set(), "store": set(), "warehouse": set()},
}
BROKEN = {
    "import.py": ("import no_such_module  # dag airflow", "No module named 'no_such_module'"),
    "nothing.py": ("# no DAG and no airflow here: dag", "nothing.py: holds no DAG"),
    "slow.py": ("import time; time.sleep(1.5)  # dag airflow", "move imports into the tasks"),
    "bare.py": (
        "from airflow.sdk import dag, task\n"
        "@dag(schedule=None, tags=['pipeline'])\n"
        "def bare():\n"
        "    @task\n"
        "    def work(): ...\n"
        "    work()\n"
        "bare()\n",
        "bare.work: no owner",
    ),
}


def check_dags(*arguments: str, mount: Path | None = None) -> subprocess.CompletedProcess[str]:
    volume = ["--volume", f"{mount}:/dags:ro"] if mount else []
    image = [*volume, IMAGE, "python", "airflow/bin/check_dags.py", *arguments]
    return subprocess.run(
        ["docker", "run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp", *image],
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_dag_has_its_tasks_its_edges_and_everything_required(engine: None) -> None:
    done = check_dags()

    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, set[str]]] = {}
    for line in done.stdout.splitlines():
        if " > " in f"{line} ":
            task, _, after = f"{line} ".partition(" > ")
            dag, _, name = task.partition(": ")
            found.setdefault(dag, {})[name] = set(after.split())
    assert found == EDGES


@pytest.mark.parametrize("file", BROKEN)
def test_a_broken_file_is_named_with_its_fault(engine: None, tmp_path: Path, file: str) -> None:
    content, fault = BROKEN[file]
    (tmp_path / file).write_text(content)

    done = check_dags("/dags", mount=readable_by_all(tmp_path))

    assert done.returncode == 1
    assert fault in done.stderr


def test_a_folder_without_dags_is_refused(engine: None, tmp_path: Path) -> None:
    done = check_dags("/dags", mount=readable_by_all(tmp_path))

    assert done.returncode == 1
    assert "/dags: no DAG at all" in done.stderr
