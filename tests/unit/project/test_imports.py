"""Who may import what: packages by their layers, and the modules that run where little is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.settings import PROJECT_DIR

# Modules that run elsewhere than in .venv, and what is installed there. The test blocks everything else.
ELSEWHERE = {
    "a Spark worker": (
        ["lakehouse.load.copy_task", "lakehouse.contract.model", "lakehouse.errors"],
        ["pyarrow", "numpy", "adbc_driver_manager", "adbc_driver_postgresql"],
    ),
    "a Python before .venv is made": (["lakehouse.spark.java", "lakehouse.errors"], []),
    "the build of the Spark image": (
        ["lakehouse.spark.jars"],
        ["pydantic", "pydantic_core", "pydantic_settings", "annotated_types", "typing_inspection", "dotenv", "certifi"],
    ),
}
# Fails for every module that is neither in the standard library, nor in this project, nor allowed.
IMPORT_WITH_ALL_ELSE_BLOCKED = """
import sys
allowed = {*sys.argv[2].split(","), *sys.stdlib_module_names, "lakehouse", "typing_extensions"}
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in allowed and not name.startswith("_sysconfigdata"):
            raise ModuleNotFoundError(f"{name} is not installed here", name=name)
sys.meta_path.insert(0, Blocker())
for module in sys.argv[1].split(","):
    __import__(module)
"""
# These run in Airflow's scheduler, which forks its workers and must not use delta-rs (docs/decisions/0010).
MODULES_OF_THE_NOTIFIER = [
    f"lakehouse.notify.{path.stem}" for path in sorted((PROJECT_DIR / "lakehouse" / "notify").glob("[a-z]*.py"))
]


def test_imports_run_downwards_through_the_layers() -> None:
    program = Path(sys.executable).parent / "lint-imports"

    done = subprocess.run([program, "--no-cache"], cwd=PROJECT_DIR, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("place", ELSEWHERE)
def test_the_modules_that_run_elsewhere_import_only_what_is_installed_there(place: str) -> None:
    modules, installed = ELSEWHERE[place]

    done = _python(IMPORT_WITH_ALL_ELSE_BLOCKED, ",".join(modules), ",".join(installed))

    assert done.returncode == 0, done.stderr


def test_the_notifier_does_not_load_delta_rs() -> None:
    program = f"import sys, {', '.join(MODULES_OF_THE_NOTIFIER)}; print('deltalake' in sys.modules)"

    assert _python(program).stdout == "False\n"


@pytest.mark.parametrize("package", [p.parent.name for p in sorted((PROJECT_DIR / "lakehouse").glob("*/__init__.py"))])
def test_a_package_says_in_one_sentence_what_it_is_and_imports_nothing(package: str) -> None:
    code = (PROJECT_DIR / "lakehouse" / package / "__init__.py").read_text(encoding="utf-8")

    assert code.startswith('"""')
    if package not in ("cli", "warehouse"):  # cli is a program; warehouse re-exports
        assert "import" not in code.split('"""')[2]


def _python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, check=False)
