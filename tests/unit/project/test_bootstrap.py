"""bootstrap.py: a machine that lacks something gets one message with the remedy; .venv is made, mended and kept."""

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

APT_CACHE = """#!/bin/sh
echo "$2:"
echo "  Installed: (none)"
case " {known} " in
    *" $2 "*) echo "  Candidate: 3.1.4-1" ;;
    *) echo "  Candidate: (none)" ;;
esac
"""
REAL_CALL = subprocess.call
MAKE = shutil.which("make") or ""
FindSpec = Callable[[str], object]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bare checkout on a machine with all that is needed, but no package manager. The real .venv is out of reach."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("uv.lock", "pyproject.toml", "bootstrap.py"):
        (folder / name).write_text(name)
    settle(monkeypatch, folder)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(java, "find_java", lambda: Path("/jdk/bin/java"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=9e9))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["bootstrap.py"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)
    return folder


class Programs:
    """The programs that bootstrap.py runs: they are noted, and do to .venv what the real ones do, or fail."""

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
    """Make `folder` the checkout that bootstrap.py stands in."""
    monkeypatch.setattr(bootstrap, "PROJECT", str(folder))
    monkeypatch.setattr(bootstrap, "VENV", str(folder / ".venv"))


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    """Runs it to its end with exit code 1: the lines that it said."""

    def run() -> list[str]:
        with pytest.raises(SystemExit) as ended:
            bootstrap.main()
        assert ended.value.code == 1
        return capsys.readouterr().err.splitlines()

    return run


Refused = Callable[[], list[str]]


def package_manager(tmp_path: Path, program: str, known: str = "") -> None:
    (tmp_path / "bin" / program).write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin" / program).chmod(0o755)
    if program == "apt-get":
        (tmp_path / "bin" / "apt-cache").write_text(APT_CACHE.format(known=known))
        (tmp_path / "bin" / "apt-cache").chmod(0o755)


def without_ensurepip(monkeypatch: pytest.MonkeyPatch, version: tuple[int, int], prefix: str) -> None:
    find_spec: FindSpec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ensurepip" else find_spec(name))
    monkeypatch.setattr(sys, "version_info", (*version, 9, "final", 0))
    monkeypatch.setattr(sys, "base_prefix", prefix)


def test_a_python_that_is_too_old_can_read_it() -> None:
    ast.parse((PROJECT_DIR / "bootstrap.py").read_text(), feature_version=(3, 4))


@pytest.mark.parametrize("version", [(3, 6), (3, 10), (3, 14)])
def test_a_python_that_does_not_fit_is_refused(
    version: tuple[int, int], refused: Refused, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))

    said = refused()

    assert said[0].startswith("Python 3.11 to 3.13 is needed, this is ")
    assert sys.executable in said[0]
    assert said[-1] == "or name one: make PYTHON=/path/to/python3.12 ..."
    assert programs.ran == []


@pytest.mark.parametrize(
    ("known", "named"),
    [
        ("python3.11 python3.11-venv", "python3.11 python3.11-venv"),
        ("python3.13 python3.13-venv", "python3.13 python3.13-venv"),
        ("python3.11 python3.11-venv python3.12 python3.12-venv", "python3.12 python3.12-venv"),
    ],
    ids=["Debian 12", "Debian 13", "the newest of two"],
)
def test_the_python_that_apt_knows_is_named_together_with_its_venv(
    known: str, named: str, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package_manager(tmp_path, "apt-get", known)
    monkeypatch.setattr(sys, "version_info", (3, 10, 0, "final", 0))

    assert f"Run: sudo apt-get install {named}" in refused()


def test_where_apt_knows_no_python_that_fits_no_package_is_named(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package_manager(tmp_path, "apt-get", known="python3.9 python3.9-venv")
    monkeypatch.setattr(sys, "version_info", (3, 9, 0, "final", 0))

    remedy = refused()[1]

    assert "apt-get update" in remedy
    assert "apt-get install" not in remedy


@pytest.mark.parametrize(
    ("program", "remedy"),
    [
        ("dnf", "Run: sudo dnf install python3.12"),
        ("brew", "Run: brew install python@3.13"),
        ("pacman", "Install one with your system's package manager or from https://www.python.org/downloads,"),
    ],
)
def test_without_apt_the_package_manager_that_is_there_is_named(
    program: str, remedy: str, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package_manager(tmp_path, program)
    monkeypatch.setattr(sys, "version_info", (3, 14, 0, "final", 0))

    assert refused()[1] == remedy


def test_root_needs_no_sudo(refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package_manager(tmp_path, "dnf")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(sys, "version_info", (3, 14, 0, "final", 0))

    assert "Run: dnf install python3.12" in refused()


@pytest.mark.parametrize("version", [(3, 11), (3, 13)])
def test_the_systems_python_without_venv_gets_its_own_package(
    version: tuple[int, int], refused: Refused, programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package_manager(tmp_path, "apt-get", known="python3.12 python3.12-venv")
    without_ensurepip(monkeypatch, version, prefix="/usr")

    assert refused()[:2] == [
        f"This Python ({sys.executable}) comes without venv and pip.",
        f"Run: sudo apt-get install python3.{version[1]}-venv",
    ]
    assert programs.ran == []


def test_a_python_without_venv_that_is_not_the_systems_is_replaced(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package_manager(tmp_path, "apt-get", known="python3.13 python3.13-venv")
    without_ensurepip(monkeypatch, (3, 11), prefix="/opt/python")

    assert refused()[1:] == [
        "Run: sudo apt-get install python3.13 python3.13-venv",
        "or name one: make PYTHON=/path/to/python3.12 ...",
    ]


def test_without_java_nothing_is_downloaded(
    refused: Refused, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_java() -> Path:
        raise SetupError("Spark needs a JDK 17 or 21.\nRun: brew install openjdk@21")

    monkeypatch.setattr(java, "find_java", find_java)

    assert refused() == ["Spark needs a JDK 17 or 21.", "Run: brew install openjdk@21"]
    assert programs.ran == []


def test_on_a_full_disk_it_says_how_much_is_needed(
    refused: Refused, project: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=3.94e9))

    assert refused()[0] == f"3.9 GB are free where {project} is, 4 GB are needed."
    assert programs.ran == []


def test_the_first_run_makes_a_venv_with_what_make_run_needs(project: Path, programs: Programs) -> None:
    bootstrap.main()

    assert programs.ran == ["venv", "pip", "sync"]
    assert (project / ".venv" / ".ready").exists()
    assert not (project / ".venv" / ".ready-dev").exists()


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
def test_what_failed_is_named_and_tried_again(
    failing: str, remedy: str, again: list[str], refused: Refused, project: Path, programs: Programs
) -> None:
    programs.failing = failing

    said = refused()
    assert said[-2].endswith(remedy)
    assert said[-1].startswith("What was run: ")
    assert not (project / ".venv" / ".ready").exists()

    programs.failing = ""
    programs.ran.clear()
    bootstrap.main()

    assert programs.ran == again


def test_a_venv_without_pip_is_made_anew(project: Path, programs: Programs) -> None:
    (project / ".venv" / "bin").mkdir(parents=True)
    (project / ".venv" / "bin" / "python").write_text("a program")

    bootstrap.main()

    assert programs.ran == ["venv", "pip", "sync"]


def test_a_finished_venv_whose_python_is_gone_is_made_anew(project: Path, programs: Programs) -> None:
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


def test_a_real_venv_killed_in_ensurepip_is_mended_and_then_only_the_index_is_missing(
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
    """In a copy of the project that has only the Makefile, with the programs of `folder` and a shell."""
    shutil.copy(PROJECT_DIR / "Makefile", folder)
    environment = {"PATH": str(folder / "bin")}
    return subprocess.run([MAKE, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("target", ["setup", "run", "test"])
@pytest.mark.parametrize("placeholder", [False, True], ids=["no python3", "a python3 that does not start"])
def test_make_without_a_python_says_which_are_needed(target: str, placeholder: bool, tmp_path: Path) -> None:
    if placeholder:
        package_manager(tmp_path, "python3")

    done = make(tmp_path, target)

    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.splitlines()[0] == "Python 3.11 to 3.13 is needed, no python3 was found."


def test_make_takes_the_python_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "named").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "named").chmod(0o755)

    done = make(tmp_path, "setup-dev", f"PYTHON={tmp_path}/named")

    assert (done.returncode, done.stdout) == (0, "bootstrap.py --dev\n")
