"""bootstrap.py: a machine that lacks something gets one message with a remedy; .venv is created, repaired and kept."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from lakehouse.errors import SetupError
from lakehouse.settings import PROJECT_DIR
from lakehouse.spark import java

specification = importlib.util.spec_from_file_location("bootstrap", PROJECT_DIR / "bootstrap.py")
assert specification is not None and specification.loader is not None
bootstrap = importlib.util.module_from_spec(specification)
specification.loader.exec_module(bootstrap)

REAL_CALL = subprocess.call
MAKE = shutil.which("make") or ""
FindSpec = Callable[[str], object]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bare checkout on a machine that has everything needed but uv. The real .venv is out of reach."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("uv.lock", "pyproject.toml", "bootstrap.py"):
        (folder / name).write_text(name)
    settle(monkeypatch, folder)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(java, "find_java", lambda: Path("/jdk/bin/java"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=9e9))
    monkeypatch.setattr(sys, "argv", ["bootstrap.py"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)
    return folder


class Programs:
    """Stands for the programs that bootstrap.py runs: notes them, changes .venv as they would, or fails."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.failing = ""

    def call(self, command: list[str], **options: object) -> int:
        venv = Path(bootstrap.VENV)
        if "--version" in command:
            (venv / "bin" / "python").read_text()
            return 0 if (venv / "bin" / "pip").exists() else 1
        program = next(name for name in ("venv", "pip", "sync") if name in command)
        self.ran.append(program)
        if program == self.failing:
            return 1
        if program == "venv":
            if "--clear" in command and venv.exists():
                shutil.rmtree(venv)
            (venv / "bin").mkdir(parents=True)
            (venv / "bin" / "python").write_text("a program")
            (venv / "bin" / "pip").touch()
        return 0


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> Programs:
    found = Programs()
    monkeypatch.setattr(subprocess, "call", found.call)
    return found


def settle(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make `folder` the checkout that contains bootstrap.py."""
    monkeypatch.setattr(bootstrap, "PROJECT", str(folder))
    monkeypatch.setattr(bootstrap, "VENV", str(folder / ".venv"))


@pytest.fixture
def refused() -> Callable[[], list[str]]:
    """Runs it until it exits with a message, and returns the message's lines."""

    def run() -> list[str]:
        with pytest.raises(SystemExit) as ended:
            bootstrap.main()
        return str(ended.value.code).splitlines()

    return run


Refused = Callable[[], list[str]]


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_python_that_is_too_old_can_read_it() -> None:
    ast.parse((PROJECT_DIR / "bootstrap.py").read_text(), feature_version=(3, 4))


@pytest.mark.parametrize("version", [(3, 6), (3, 10), (3, 14)])
def test_an_unsupported_python_is_refused(
    version: tuple[int, int], refused: Refused, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))

    said = refused()

    assert said[0].startswith("Python 3.11 to 3.13 is needed, this is ")
    assert sys.executable in said[0]
    assert said[-1] == "or name one: make PYTHON=/path/to/python3.12 ..."
    assert programs.ran == []


def test_a_python_without_venv_is_refused(
    refused: Refused, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec: FindSpec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ensurepip" else find_spec(name))

    assert refused() == [
        f"This Python ({sys.executable}) comes without venv and pip.",
        *bootstrap.ANOTHER_PYTHON.splitlines(),
    ]
    assert programs.ran == []


def test_without_java_nothing_is_downloaded(
    refused: Refused, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_java() -> Path:
        raise SetupError("Spark needs a JDK 17 or 21.\nInstall one.")

    monkeypatch.setattr(java, "find_java", find_java)

    assert refused() == ["Spark needs a JDK 17 or 21.", "Install one."]
    assert programs.ran == []


def test_on_a_full_disk_it_says_how_much_is_needed(
    refused: Refused, project: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=3.94e9))

    assert refused()[0] == f"3.9 GB are free where {project} is, 4 GB are needed."
    assert programs.ran == []


def test_the_first_run_creates_a_venv_with_what_make_run_needs(project: Path, programs: Programs) -> None:
    bootstrap.main()

    assert programs.ran == ["venv", "pip", "sync"]
    assert (project / ".venv" / ".ready").exists()
    assert not (project / ".venv" / ".ready-dev").exists()


@pytest.mark.parametrize(
    ("version", "ran"),
    [
        ("uv 0.13.9 (4d0f0e5 2026-10-01)", ["venv", "sync"]),
        ("uv 1.0.0", ["venv", "sync"]),
        ("uv 0.9.30", ["venv", "pip", "sync"]),
        ("no such command", ["venv", "pip", "sync"]),
    ],
    ids=["the same", "newer", "older", "another program"],
)
def test_the_uv_on_the_path_is_used_if_it_is_new_enough(
    version: str, ran: list[str], tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uv.txt").write_text("# uv\nuv==0.13.9 \\\n    --hash=sha256:00\n")
    monkeypatch.setattr(bootstrap, "UV", str(tmp_path / "uv.txt"))
    program(tmp_path / "bin" / "uv", f"echo '{version}'")

    bootstrap.main()

    assert programs.ran == ran


def test_only_the_first_run_says_how_to_call_the_command(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bootstrap.main()
    assert capsys.readouterr().err.splitlines()[-1].startswith("Ready: .venv/bin/lakehouse ")

    bootstrap.main()
    (project / "uv.lock").write_text("a newer pyarrow")
    bootstrap.main()
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "--dev"])
    bootstrap.main()
    assert "Ready" not in capsys.readouterr().err


def test_the_second_run_does_nothing(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap.main()
    programs.ran.clear()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=0))

    bootstrap.main()

    assert programs.ran == []


def test_the_tools_of_test_and_lint_are_added_to_the_same_venv(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    bootstrap.main()
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "--dev"])

    bootstrap.main()
    monkeypatch.setattr(sys, "argv", ["bootstrap.py"])
    bootstrap.main()

    assert programs.ran == ["venv", "pip", "sync", "pip", "sync"]


def test_a_changed_lock_is_installed_into_the_same_venv(project: Path, programs: Programs) -> None:
    bootstrap.main()
    (project / "uv.lock").write_text("a newer pyarrow")

    bootstrap.main()

    assert programs.ran == ["venv", "pip", "sync", "pip", "sync"]


@pytest.mark.parametrize(
    ("failing", "remedy", "again"),
    [
        ("venv", "could not be created.", ["venv", "pip", "sync"]),
        ("pip", "Without direct access set PIP_INDEX_URL to your mirror.", ["pip", "sync"]),
        ("sync", "Behind a mirror set UV_DEFAULT_INDEX.", ["pip", "sync"]),
    ],
    ids=["no venv", "no PyPI", "no index"],
)
def test_a_failed_step_is_named_and_tried_again(
    failing: str, remedy: str, again: list[str], refused: Refused, project: Path, programs: Programs
) -> None:
    programs.failing = failing

    said = refused()
    assert said[-2].endswith(remedy)
    assert said[-1].startswith("The command was: ")
    assert not (project / ".venv" / ".ready").exists()

    programs.failing = ""
    programs.ran.clear()
    bootstrap.main()

    assert programs.ran == again


def test_a_venv_without_pip_is_created_again(project: Path, programs: Programs) -> None:
    (project / ".venv" / "bin").mkdir(parents=True)
    (project / ".venv" / "bin" / "python").write_text("a program")

    bootstrap.main()

    assert programs.ran == ["venv", "pip", "sync"]


def test_a_finished_venv_whose_python_is_gone_is_created_again(project: Path, programs: Programs) -> None:
    bootstrap.main()
    programs.ran.clear()
    (project / ".venv" / "bin" / "python").unlink()
    (project / ".venv" / "bin" / "python").symlink_to("/opt/uninstalled/python")

    bootstrap.main()

    assert programs.ran == ["venv", "pip", "sync"]


@pytest.mark.parametrize("failing", ["", "sync"], ids=["after it was finished", "before it was finished"])
def test_a_moved_checkout_gets_a_new_venv(
    failing: str, project: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.failing = failing
    with contextlib.suppress(SystemExit):
        bootstrap.main()
    settle(monkeypatch, project.rename(project.with_name("moved")))
    programs.failing = ""
    programs.ran.clear()

    bootstrap.main()
    bootstrap.main()

    assert programs.ran == ["venv", "pip", "sync"]


def test_a_venv_that_is_a_link_is_not_emptied(
    project: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    bootstrap.main()
    worktree = shutil.copytree(project, project.with_name("worktree"), ignore=shutil.ignore_patterns(".venv"))
    (worktree / ".venv").symlink_to(project / ".venv")
    settle(monkeypatch, worktree)
    programs.ran.clear()

    bootstrap.main()

    assert programs.ran == ["pip", "sync"]


def test_a_real_venv_killed_in_ensurepip_is_created_again_and_then_only_the_index_is_missing(
    refused: Refused, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "call", REAL_CALL)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", project / ".venv"], check=True)

    said = refused()

    assert "PIP_INDEX_URL" in said[-2]
    subprocess.run([project / ".venv" / "bin" / "pip", "--version"], check=True, capture_output=True)


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs make in a copy of the project that has only the Makefile, with the programs of `folder` and a shell."""
    shutil.copy(PROJECT_DIR / "Makefile", folder)
    environment = {"PATH": str(folder / "bin")}
    return subprocess.run([MAKE, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("target", ["setup", "run", "test"])
@pytest.mark.parametrize("placeholder", [False, True], ids=["no python3", "a python3 that does not start"])
def test_make_without_a_python_says_which_are_needed(target: str, placeholder: bool, tmp_path: Path) -> None:
    if placeholder:
        program(tmp_path / "bin" / "python3", "exit 1")

    done = make(tmp_path, target)

    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.splitlines()[0] == "Python 3.11 to 3.13 is needed, no python3 was found."


def test_make_takes_the_python_that_is_named(tmp_path: Path) -> None:
    program(tmp_path / "named", 'echo "$@"')

    done = make(tmp_path, "setup-dev", f"PYTHON={tmp_path}/named")

    assert (done.returncode, done.stdout) == (0, "bootstrap.py --dev\n")
