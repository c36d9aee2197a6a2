"""A checkout -> a copy of it in a repository of its own, and what pytest finds there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lakehouse.settings import Settings

# How long an interrupted pytest may take to stop the servers of its tests.
STOPS_WITHIN = 60
IDENTITY = ("-c", "user.name=mutants", "-c", "user.email=mutants@localhost", "-c", "commit.gpgsign=false")
OF_A_REPOSITORY = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX"}


class MutantsError(Exception):
    """The mutants cannot be judged at all; the text says why and what to do."""


@dataclass(frozen=True)
class Run:
    """A run of pytest. `outcomes`: those of its tests by node id."""

    exit_code: int
    outcomes: dict[str, str]
    output: str
    seconds: float

    def of(self, killer: str) -> set[str]:
        """The outcomes of a test, of all its cases unless the killer names one."""
        return {found for test, found in self.outcomes.items() if test == killer or test.startswith(f"{killer}[")}

    @property
    def last_lines(self) -> str:
        return "\n".join(self.output.rstrip().splitlines()[-12:])


@contextmanager
def copy_of(project: Path) -> Iterator[Path]:
    """A repository with what git knows of the checkout, as it is on the disk now. It goes when the context ends.

    Raises MutantsError if Python would import `lakehouse` from elsewhere: .venv has the checkout's own.
    """
    folder = Path(tempfile.mkdtemp(prefix="lakehouse-mutants-")).resolve()
    try:
        # The account of an embedded server must be able to enter it, unlike what mkdtemp makes.
        folder.chmod(0o755)
        copy = folder / "checkout"
        for name in [*git(project, "ls-files", "-z").split("\0"), *untracked(project)]:
            if name and _exists(project / name):
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(project / name, copy / name, follow_symlinks=False)
        git(copy, "init", "--quiet")
        git(copy, "add", "--all", "--force")
        git(copy, *IDENTITY, "commit", "--quiet", "--no-verify", "--message=As it is on the disk")
        _check_import(copy)
        yield copy
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _exists(path: Path) -> bool:
    """Also a link to nothing, but no folder (a submodule, or another repository)."""
    return path.is_symlink() or path.is_file()


def _check_import(copy: Path) -> None:
    # -P: without the current folder, which a subprocess of a test need not have.
    command = [sys.executable, "-P", "-c", "import lakehouse; print(lakehouse.__file__)"]
    done = subprocess.run(command, cwd=copy, env=_environment(copy), capture_output=True, text=True, check=False)
    if not done.stdout.startswith(f"{copy}{os.sep}"):
        raise MutantsError(
            f"The tests would not import the copy's lakehouse, but {done.stdout.strip() or done.stderr.strip()}.\n"
            "No mutant was judged. Look for what comes before PYTHONPATH in sys.path."
        )


def run_pytest(copy: Path, tests: list[str], deadline: float | None, *options: str) -> Run | None:
    """Run tests of the copy; None if the time is over before they end."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lakehouse-mutants-report-") as folder:
        report, output = Path(folder) / "report.xml", Path(folder) / "output"
        command = [sys.executable, "-m", "pytest", *options, "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        # Not a pipe: a server that a test leaves running would keep it open.
        with (
            output.open("wb") as sink,
            subprocess.Popen(
                [*command, *tests], cwd=copy, env=_environment(copy), stdin=subprocess.DEVNULL, stdout=sink, stderr=sink
            ) as process,
        ):
            try:
                process.wait(None if deadline is None else max(0.0, deadline - started))
            except subprocess.TimeoutExpired:
                return None
            finally:
                _stop(process)
        outcomes = _outcomes(report) if report.exists() else {}
        text = output.read_text(encoding="utf-8", errors="replace")
    return Run(process.returncode, outcomes, text, time.monotonic() - started)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End pytest as Ctrl-C does, so that its fixtures stop their servers."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()


def _outcomes(report: Path) -> dict[str, str]:
    """Node id -> passed, failed, error or skipped, from pytest's JUnit report."""
    outcomes: dict[str, str] = {}
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 - pytest has just written it
        test = f"{case.get('classname', '')}::{case.get('name', '')}"
        kinds = {child.tag for child in case}
        names = (("failure", "failed"), ("error", "error"), ("skipped", "skipped"))
        found = next((name for tag, name in names if tag in kinds), "passed")
        # A test that fails in its body and again in its teardown is there twice.
        outcomes[test] = outcomes[test] if outcomes.get(test, "passed") != "passed" else found
    return {_node_id(test): found for test, found in outcomes.items()}


def _node_id(test: str) -> str:
    """JUnit's `tests.unit.test_a.TestB::test_c` as pytest's `tests/unit/test_a.py::TestB::test_c`."""
    place, _, name = test.partition("::")
    parts = place.split(".")
    last = max((number for number, part in enumerate(parts) if part.startswith("test_")), default=len(parts) - 1)
    return "::".join(["/".join(parts[: last + 1]) + ".py", *parts[last + 1 :], name])


def _environment(copy: Path) -> dict[str, str]:
    return {
        **_without_git(),
        # Before the editable install of .venv, in all processes that the tests start.
        "PYTHONPATH": str(copy),
        # Python compares only the second and the size of a changed file, which a mutant may leave as they were.
        "PYTHONDONTWRITEBYTECODE": "1",
        # Downloaded once for the checkout, not for every copy.
        "LAKEHOUSE_JARS_DIR": str(Settings.load().jars_path),
    }


def _without_git() -> dict[str, str]:
    """The environment without the repository that a hook names there: it is the user's."""
    return {name: value for name, value in os.environ.items() if name not in OF_A_REPOSITORY}


def git(folder: Path, *words: str) -> str:
    """What git prints. Raises MutantsError if it fails."""
    done = subprocess.run(
        ["git", *words],
        cwd=folder,
        env=_without_git(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise MutantsError(f"git {' '.join(words)} failed in {folder}: {done.stderr.strip()}")
    return done.stdout


def untracked(project: Path) -> list[str]:
    """New files that git does not ignore."""
    return git(project, "ls-files", "--others", "--exclude-standard", "-z").split("\0")
