"""What each command imports: --help and a look at things must not wait for pyarrow or Spark."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.settings import PROJECT_DIR

# What takes a tenth of a second or more to import, or starts threads.
HEAVY = ("pydantic", "psycopg2", "numpy", "pyarrow", "deltalake", "minio", "pyspark", "pandas", "dbt")
LOOK = ["pydantic", "psycopg2"]
LAKE = [*LOOK, "numpy", "pyarrow", "deltalake"]
# Command -> what its own imports may load of these: those at the head of its function, as its help does not need them.
MAY_IMPORT = {
    "run": LAKE,
    "land": [*LOOK, "numpy"],
    "bronze": LAKE,
    "silver": LAKE,
    "load": LAKE,
    "accept": LOOK,
    "marts": LAKE,
    "status": LOOK,
    "quarantine": LAKE,
    "sql": LOOK,
    "report": LOOK,
    "measure": LOOK,
    "generate": [*LOOK, "numpy", "pyarrow"],
    "replay": ["numpy", "pyarrow"],
    "start": LOOK,
    "stop": LOOK,
    "doctor": LOOK,
    "maintain": LAKE,
    "clean": LOOK,
}
# Runs the imports at the head of a command's function, which stand before its first other statement.
IMPORTS_OF = """
import ast, inspect, sys, textwrap
from lakehouse.cli import app

def imports(function):
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    body = tree.body[0].body
    exec(compile(ast.Module([n for n in body if isinstance(n, ast.Import | ast.ImportFrom)], []), "", "exec"), {})

(command,) = [c for c in app.registered_commands if (c.name or c.callback.__name__) == sys.argv[1]]
imports(command.callback)
module = sys.modules[command.callback.__module__]
for name in set(command.callback.__code__.co_names):
    helper = getattr(module, name, None)
    if inspect.isfunction(helper) and helper.__module__.startswith("lakehouse.cli"):
        imports(helper)
print(*sorted(set(sys.argv[2:]) & set(sys.modules)))
"""


def test_help_imports_nothing_heavy() -> None:
    program = f"import sys, lakehouse.cli; print(*sorted(set({HEAVY}) & set(sys.modules)))"

    assert _python(program).split() == []


@pytest.mark.parametrize("command", MAY_IMPORT)
def test_a_command_imports_what_it_uses_and_no_more(command: str) -> None:
    loaded = _python(IMPORTS_OF, command, *HEAVY).split()

    assert sorted(loaded) == sorted(MAY_IMPORT[command])


def test_every_command_is_listed() -> None:
    program = "from lakehouse.cli import app; print(*[c.name or c.callback.__name__ for c in app.registered_commands])"

    assert sorted(_python(program).split()) == sorted(MAY_IMPORT)


def test_the_old_word_for_a_workspace_is_refused_and_names_the_new_one() -> None:
    command = [str(Path(sys.executable).parent / "lakehouse"), "status", "--state", "shop"]

    done = subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (2, "`--state` is called `--workspace` now.\n")


def _python(program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, check=True).stdout
