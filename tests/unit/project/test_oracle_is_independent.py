"""The oracle of the marts shares no code with the pipeline: it needs the standard library and its own modules."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from lakehouse.settings import PROJECT_DIR

MODULES = ["oracle", "oracle_history", "oracle_rows"]
IMPORT_WITH_ALL_ELSE_BLOCKED = """
import sys
allowed = {*sys.stdlib_module_names, "tests"}
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in allowed and not name.startswith("_sysconfigdata"):
            raise ModuleNotFoundError(f"{name} is blocked", name=name)
sys.meta_path.insert(0, Blocker())
"""


@pytest.mark.parametrize("module", MODULES)
def test_a_module_of_the_oracle_names_only_the_standard_library_and_the_oracle(module: str) -> None:
    code = ast.parse((PROJECT_DIR / "tests" / "support" / f"{module}.py").read_text(encoding="utf-8"))

    names = {alias.name for node in ast.walk(code) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(code) if isinstance(node, ast.ImportFrom)}

    own = {f"tests.support.{name}" for name in MODULES}
    assert {name for name in names - own if name.partition(".")[0] not in sys.stdlib_module_names} == set()


def test_the_oracle_runs_where_lakehouse_is_blocked() -> None:
    code = "from tests.support.oracle import marts_of; from tests.support.oracle_rows import batches_of\n"
    program = f"{IMPORT_WITH_ALL_ELSE_BLOCKED}{code}print(len(marts_of(batches_of([]))))"

    done = run(program)

    assert (done.stdout, done.stderr) == ("10\n", "")


def test_the_block_stops_lakehouse() -> None:
    done = run(f"{IMPORT_WITH_ALL_ELSE_BLOCKED}import lakehouse")

    assert "lakehouse is blocked" in done.stderr


def run(program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, check=False)
