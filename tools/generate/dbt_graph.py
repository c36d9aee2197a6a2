"""The dbt project -> model: the models it reads, as dbt parses it; and the text of lakehouse_airflow/model_graph.py.

Airflow draws the models when it reads its DAG files, and may open no file then. `make docs` writes the module again
(tools/generate/).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from lakehouse.errors import MartsError
from lakehouse.marts.manifest import read_models

FILE = "airflow/lakehouse_airflow/model_graph.py"
HEADER = '''"""dbt's models, and the models that each reads. Made by `make docs`: change dbt/, not this file."""

READS: dict[str, tuple[str, ...]] = {
'''


def models_read(dbt_dir: Path) -> dict[str, tuple[str, ...]]:
    """By name. Takes seconds, and no database. Raises MartsError with dbt's words if it cannot parse the project."""
    with tempfile.TemporaryDirectory() as target:
        command = [str(Path(sys.executable).parent / "dbt"), "--quiet", "parse", "--project-dir", str(dbt_dir)]
        command += ["--profiles-dir", str(dbt_dir), "--target-path", target, "--log-path", target]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise MartsError(f"dbt could not parse the project {dbt_dir}:\n{done.stdout}{done.stderr}".rstrip())
        return {name: model.reads for name, model in read_models(Path(target, "manifest.json")).items()}


def python_module(reads: Mapping[str, tuple[str, ...]]) -> str:
    """As ruff formats it."""
    lines = []
    for model, read in reads.items():
        lines += [f'    "{model}": (', *(f'        "{name}",' for name in read), "    ),"] if read else []
        lines += [] if read else [f'    "{model}": (),']
    return HEADER + "\n".join(lines) + "\n}\n"
