"""`make test-mutants`: a killer must fail because of the mutant; anything else is a survivor or an error."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from lakehouse.settings import PROJECT_DIR
from tools.mutants import __main__ as program
from tools.mutants import judge
from tools.mutants.__main__ import report
from tools.mutants.checkout import git
from tools.mutants.judge import DOES_NOT_APPLY, KILLED, LEFT_OUT, NO_VERDICT, SURVIVED, Result
from tools.mutants.patches import Mutant, read_mutants

PRICE = "tests/unit/test_price.py"
FILES = {
    "lakehouse/__init__.py": "",
    "lakehouse/price.py": "def total(price, freight):\n    return price + freight\n",
    PRICE: """\
import subprocess
import sys

import pytest
from lakehouse.price import total

def test_the_total_includes_the_freight():
    assert total(10, 3) == 13

@pytest.mark.parametrize("freight", [0, 1])
def test_a_total_has_a_price(freight):
    assert total(5, freight) in (5, 6)

def test_a_program_sees_the_same():
    program = "from lakehouse.price import total; assert total(10, 3) == 13"
    assert subprocess.run([sys.executable, "-P", "-c", program], cwd="/").returncode == 0

def test_that_is_true_either_way():
    assert total(10, 3) == 13 or total(10, 3)

@pytest.fixture
def paid():
    assert total(10, 3) == 13

def test_that_can_only_break_in_its_fixture(paid):
    pass

def test_that_is_red():
    assert total(10, 3) == 7

def test_that_is_skipped():
    pytest.skip("not on this machine")
""",
    ".gitignore": "__pycache__/\n",
}
INCLUDES = f"{PRICE}::test_the_total_includes_the_freight"

Mutate = Callable[..., None]
OUTPUT = re.compile(r"^(\S.*?)  +[\d.]+ s  (\w+)  <-  (\S+)$", re.MULTILINE)


def new_project(folder: Path) -> Path:
    """A repository with a package that is called lakehouse, and its tests."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "tests" / "mutants").mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@localhost", "commit", "--quiet", "--message=A change")


def keep(project: Path, name: str, *killers: str, old: str = "price + freight", new: str = "price") -> None:
    """Keep a mutant of lakehouse/price.py, by default one that leaves out the freight."""
    file = project / "lakehouse" / "price.py"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    diff = git(project, "diff", "--", "lakehouse")
    file.write_text(text)
    lines = "".join(f"Killer: {killer}\n" for killer in killers or (INCLUDES,))
    header = f"The total lacks the freight.\n\n{lines}Property: 2\n\n"
    (project / "tests" / "mutants" / f"{name}.patch").write_text(header + diff)


@pytest.fixture(autouse=True, scope="module")
def _pytest_without_plugins() -> Iterator[None]:
    """Each of them takes a part of a second to load, in dozens of runs of pytest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        yield


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project that is judged."""
    folder = new_project(tmp_path / "project")
    monkeypatch.setattr(program, "PROJECT", folder)
    return folder


@pytest.fixture
def mutate(project: Path) -> Mutate:
    return partial(keep, project)


def run(*arguments: str) -> tuple[int, str]:
    """Its exit code, and what it prints to stdout."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exit_code = program.main(arguments)
    return exit_code, output.getvalue()


def verdicts(output: str) -> dict[str, str]:
    return {name: verdict for verdict, name, _ in OUTPUT.findall(output)}


EXPECTED = {
    "a failed test": ("killed", "test_the_total_includes_the_freight", "price"),
    "a program that a test starts": ("killed", "test_a_program_sees_the_same", "price"),
    "one case of several": ("killed", "test_a_total_has_a_price", "price - freight"),
    "a case that passes": ("SURVIVED", "test_a_total_has_a_price[0]", "price - freight"),
    "a fixture": ("NO VERDICT", "test_that_can_only_break_in_its_fixture", "price"),
    "collection": ("NO VERDICT", "test_the_total_includes_the_freight", "price +"),
    "red without the mutant": ("NO VERDICT", "test_that_is_red", "price"),
    "skipped": ("NO VERDICT", "test_that_is_skipped", "price"),
    "no such test": ("NO VERDICT", "test_that_was_never_written", "price"),
}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The verdicts of one run on one mutant of each kind."""
    folder = new_project(tmp_path_factory.mktemp("judged") / "project")
    for name, (_, killer, new) in EXPECTED.items():
        keep(folder, name.replace(" ", "_"), f"{PRICE}::{killer}", new=new)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "PROJECT", folder)
        return {name.replace("_", " "): verdict for name, verdict in verdicts(run()[1]).items()}


@pytest.mark.parametrize("kind", EXPECTED)
def test_only_a_failed_test_kills(judged: dict[str, str], kind: str) -> None:
    assert judged[kind] == EXPECTED[kind][0]


@pytest.mark.parametrize(
    ("others", "exit_code"),
    [
        ([], 0),
        ([LEFT_OUT], 0),
        ([SURVIVED], 1),
        ([DOES_NOT_APPLY], 2),
        ([NO_VERDICT], 2),
        ([SURVIVED, DOES_NOT_APPLY], 2),
    ],
)
def test_the_exit_code_is_that_of_the_worst_verdict(
    others: list[str], exit_code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    mutant = Mutant(Path("no_freight.patch"), "The total lacks the freight.", (INCLUDES,), (), ())

    assert report(iter([Result(mutant, INCLUDES, verdict) for verdict in [KILLED, *others]]), 60) == exit_code
    assert capsys.readouterr().out.count(f"no_freight  <-  {INCLUDES}") == 1 + len(others)


def test_each_killer_must_kill_and_a_survivor_is_a_failure(mutate: Mutate) -> None:
    mutate("no_freight", INCLUDES, f"{PRICE}::test_that_is_true_either_way")

    exit_code, output = run()

    assert exit_code == 1
    assert [(verdict, killer) for verdict, _, killer in OUTPUT.findall(output)] == [
        ("killed", INCLUDES),
        ("SURVIVED", f"{PRICE}::test_that_is_true_either_way"),
    ]
    assert "It breaks: The total lacks the freight." in output


def test_a_patch_that_does_not_apply_is_an_error_and_the_others_are_judged(project: Path, mutate: Mutate) -> None:
    mutate("no_freight")
    (project / "lakehouse" / "price.py").write_text("def total(price, freight):\n    return sum([price, freight])\n")
    commit(project)
    mutate("sum_of_one", old="[price, freight]", new="[price]")

    exit_code, output = run()

    assert (exit_code, verdicts(output)) == (2, {"no_freight": "DOES NOT APPLY", "sum_of_one": "killed"})


def test_a_case_that_does_not_exist_is_named(mutate: Mutate) -> None:
    mutate("no_freight", f"{PRICE}::test_a_total_has_a_price[2]")

    exit_code, output = run()

    assert (exit_code, verdicts(output)) == (2, {"no_freight": "NO VERDICT"})
    assert re.search(r"not found: .*test_a_total_has_a_price", output)


def test_all_killed_is_success_also_with_uncommitted_changes(project: Path, mutate: Mutate) -> None:
    (project / "tests" / "unit" / "test_new.py").write_text(FILES[PRICE])
    (project / PRICE).unlink()
    mutate("no_freight", f"tests/unit/test_new.py::{INCLUDES.partition('::')[2]}")

    exit_code, output = run()

    assert (exit_code, verdicts(output)) == (0, {"no_freight": "killed"})
    assert "1 of 1 killers pass without a mutant" in output
    assert output.endswith("\nMutants: 1 killed.\n")


def _state(project: Path) -> dict[str, tuple[bytes, int]]:
    files = (file for file in project.rglob("*") if file.is_file())
    return {str(file): (file.read_bytes(), file.stat().st_mtime_ns) for file in files if file.name != "index"}


def test_the_working_tree_stays_as_it_is(project: Path, mutate: Mutate) -> None:
    mutate("no_freight")
    (project / PRICE).write_text("# Changed, not committed.\n" + FILES[PRICE])
    before = _state(project)

    assert verdicts(run()[1]) == {"no_freight": "killed"}
    assert _state(project) == before


def test_one_that_is_stopped_leaves_neither_copy_nor_process_nor_change(
    project: Path, mutate: Mutate, tmp_path: Path
) -> None:
    marks, temporary = tmp_path / "marks", tmp_path / "temporary"
    temporary.mkdir()
    waits = f"""
import os
import time

def test_waits():
    from pathlib import Path
    Path({str(marks)!r}).write_text(str(os.getpid()))
    time.sleep(60)
"""
    (project / "tests" / "unit" / "test_waits.py").write_text(waits)
    mutate("no_freight", "tests/unit/test_waits.py::test_waits")
    before = _state(project)
    start = f"import runpy, tools.mutants.__main__ as m; from pathlib import Path; m.PROJECT = Path({str(project)!r})"
    start += "; import signal, sys; signal.signal(signal.SIGTERM, m._end); sys.exit(m.main([]))"
    running = subprocess.Popen(
        [sys.executable, "-c", start], cwd=PROJECT_DIR, env={**os.environ, "TMPDIR": str(temporary)}
    )
    try:
        while not (marks.exists() and marks.read_text()):
            assert running.poll() is None
            time.sleep(0.05)

        running.send_signal(signal.SIGTERM)

        assert running.wait(60) == 128 + signal.SIGTERM
    finally:
        running.kill()
    with pytest.raises(ProcessLookupError):
        os.kill(int(marks.read_text()), 0)
    assert list(temporary.iterdir()) == []
    assert _state(project) == before


def test_a_checkout_whose_package_python_does_not_find_is_refused(
    project: Path, mutate: Mutate, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "lakehouse" / "__init__.py").unlink()
    (project / "lakehouse" / "price.py").rename(project / "price.py")
    (project / "tests" / "mutants" / "a.patch").write_text("It breaks.\nKiller: a::b\ndiff --git a/x b/x\n")

    assert program.main([]) == 2
    assert "would not import the copy's lakehouse" in capsys.readouterr().err


def test_when_the_time_is_over_the_rest_is_named(mutate: Mutate) -> None:
    mutate("first")
    mutate("second")

    exit_code, output = run("--seconds", "0")

    assert exit_code == 0
    assert 'To judge the rest: make test-mutants ARGS="first second"' in output


@pytest.mark.parametrize(("seconds", "runs"), [(None, 1), (60.0, 2)], ids=["without", "with"])
def test_with_a_time_limit_each_file_of_killers_is_shown_green_by_itself(
    project: Path, mutate: Mutate, monkeypatch: pytest.MonkeyPatch, seconds: float | None, runs: int
) -> None:
    other = "tests/unit/test_other.py"
    (project / other).write_text(FILES[PRICE])
    mutate("first")
    mutate("second", INCLUDES.replace(PRICE, other))
    started: list[list[str]] = []
    monkeypatch.setattr(judge, "run_pytest", lambda copy, tests, *_: started.append(tests))

    list(judge.judged(project, read_mutants(project), seconds, log=lambda _: None))

    assert sorted(test for tests in started for test in tests) == sorted([INCLUDES, INCLUDES.replace(PRICE, other)])
    assert len(started) == runs


def test_only_the_mutants_that_are_named_are_listed_or_judged(
    mutate: Mutate, capsys: pytest.CaptureFixture[str]
) -> None:
    mutate("no_freight")
    mutate("other")

    assert run("--list", "tests/mutants/no_freight.patch")[1].startswith("no_freight: ")
    assert "other" not in run("--list", "no_freight")[1]
    assert program.main(["no_frieght"]) == 2
    assert capsys.readouterr().err == "No such mutant: no_frieght. Did you mean no_freight?\n"


def test_the_list_says_what_each_breaks_and_runs_nothing(mutate: Mutate, capsys: pytest.CaptureFixture[str]) -> None:
    mutate("no_freight")

    assert program.main(["--list"]) == 0
    assert capsys.readouterr().out == f"no_freight: The total lacks the freight.\n    Property 2\n    {INCLUDES}\n"


def test_all_faults_of_all_headers_are_in_one_error(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "tests" / "mutants" / "a.patch").write_text("Killer: tests/a.py::test_a\n")
    (project / "tests" / "mutants" / "b.patch").write_text("It breaks.\ndiff --git a/x b/x\n")

    assert program.main(["--list"]) == 2
    assert capsys.readouterr().err.splitlines()[:3] == [
        "tests/mutants/a.patch has no sentence",
        "tests/mutants/a.patch has no diff",
        "tests/mutants/b.patch has no Killer:",
    ]


@pytest.fixture
def listed(project: Path, mutate: Mutate, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[str], list[str]]]:
    """The mutants that concern what changed since a commit, of one, which is committed."""
    mutate("no_freight")
    commit(project)

    def names(ref: str) -> list[str]:
        capsys.readouterr()
        assert program.main(["--list", "--changed-since", ref]) == 0
        return re.findall(r"^(\w+): ", capsys.readouterr().out, re.MULTILINE)

    yield names


@pytest.mark.parametrize("file", ["lakehouse/price.py", PRICE, "tests/mutants/no_freight.patch"])
@pytest.mark.parametrize("committed", [True, False], ids=["committed", "uncommitted"])
def test_a_mutant_is_judged_if_its_file_its_killer_or_itself_changed(
    project: Path, listed: Callable[[str], list[str]], file: str, committed: bool
) -> None:
    base = git(project, "rev-parse", "HEAD").strip()
    (project / "README.md").write_text("Of no mutant.\n")
    assert listed(base) == []

    with (project / file).open("a") as text:
        text.write("\n")
    if committed:
        commit(project)

    assert listed(base) == ["no_freight"]


def test_auto_compares_with_main_or_on_main_with_the_commit_before(
    project: Path, listed: Callable[[str], list[str]]
) -> None:
    assert listed("auto") == ["no_freight"], "no origin: since the commit before, which lacks the patch"
    git(project, "update-ref", "refs/remotes/origin/main", "HEAD")
    assert listed("auto") == ["no_freight"], "on main"

    (project / "README.md").write_text("Of no mutant.\n")
    commit(project)
    assert listed("auto") == [], "a branch that has only this commit"
    (project / PRICE).write_text(FILES[PRICE] + "\n")
    commit(project)
    (project / "README.md").write_text("Of no mutant at all.\n")
    commit(project)
    assert listed("auto") == ["no_freight"], "a branch whose second commit changed a killer"


def test_what_main_did_since_the_branch_left_it_does_not_count(
    project: Path, listed: Callable[[str], list[str]]
) -> None:
    git(project, "checkout", "--quiet", "-b", "other")
    git(project, "checkout", "--quiet", "main")
    (project / PRICE).write_text(FILES[PRICE] + "\n")
    commit(project)
    git(project, "checkout", "--quiet", "other")

    assert listed("main") == []


def test_without_an_earlier_commit_nothing_is_judged_and_said_so(
    project: Path, tmp_path: Path, mutate: Mutate, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mutate("no_freight")
    commit(project)
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{project}", "shallow")
    monkeypatch.setattr(program, "PROJECT", tmp_path / "shallow")

    assert program.main(["--changed-since", "auto"]) == 0
    assert "no earlier commit to compare with" in capsys.readouterr().out
    assert program.main(["--changed-since", "nowhere"]) == 2


@pytest.mark.parametrize("patch", sorted((PROJECT_DIR / "tests" / "mutants").glob("*.patch")), ids=lambda p: p.stem)
def test_every_mutant_of_this_project_applies(patch: Path) -> None:
    done = subprocess.run(
        ["git", "apply", "--check", str(patch)], cwd=PROJECT_DIR, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, f"{done.stderr}Adapt {patch.name} to what it patches, or drop it."
    assert any(mutant.patch == patch for mutant in read_mutants(PROJECT_DIR))
