"""Mutants -> the verdict of each of their killers."""

from __future__ import annotations

import itertools
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.mutants.checkout import copy_of, git, run_pytest
from tools.mutants.patches import Mutant, file_of

KILLED, SURVIVED, LEFT_OUT = "killed", "SURVIVED", "left out"
DOES_NOT_APPLY, NO_VERDICT = "DOES NOT APPLY", "NO VERDICT"
# The quickest first, so that a limited run gets far.
SUITES = ("unit", "embedded", "integration", "stack")


@dataclass(frozen=True)
class Result:
    """What one killer says about one mutant. `detail`: why there is no better verdict."""

    mutant: Mutant
    killer: str
    verdict: str
    seconds: float = 0.0
    detail: str = ""


def judged(
    project: Path, mutants: Iterable[Mutant], seconds: float | None, log: Callable[[str], None]
) -> Iterator[Result]:
    """The verdict of each killer on each mutant, as soon as it is known; the quickest suites come first.

    After `seconds`, what runs is stopped, and the rest is left out.
    """
    deadline = None if seconds is None else time.monotonic() + seconds

    def group(pair: tuple[Mutant, str]) -> tuple[int, str]:
        """A suite, or a file if the time is limited: most time goes into starting servers, but a verdict must come."""
        suite = file_of(pair[1]).removeprefix("tests/").partition("/")[0]
        return (SUITES.index(suite) if suite in SUITES else len(SUITES), suite if seconds is None else file_of(pair[1]))

    pairs = [(mutant, killer) for mutant in mutants for killer in mutant.killers]
    if not pairs:
        return
    with copy_of(project) as copy:
        for _, of_group in itertools.groupby(sorted(pairs, key=lambda pair: (*group(pair), pair[0].name)), key=group):
            yield from _judge_group(copy, list(of_group), deadline, log)


def _judge_group(
    copy: Path, pairs: list[tuple[Mutant, str]], deadline: float | None, log: Callable[[str], None]
) -> Iterator[Result]:
    """Run the killers without any mutant, in one run that starts its servers once; then each pair alone."""
    killers = sorted({killer for _, killer in pairs})
    faults = {killer: "There is no such test." for killer in killers if not _is_there(copy, killer)}
    there = [killer for killer in killers if killer not in faults]
    unharmed = run_pytest(copy, there, deadline) if there else None
    if unharmed is not None:
        for killer in there:
            if (found := unharmed.of(killer)) != {"passed"}:
                said = ", ".join(sorted(found)) or "not found"
                faults[killer] = f"It must pass without the mutant, but is: {said}.\n{unharmed.last_lines}"
        log(f"{len(killers) - len(faults)} of {len(killers)} killers pass without a mutant: {unharmed.seconds:.0f} s")
    for mutant, killer in pairs:
        if killer in faults:
            yield Result(mutant, killer, NO_VERDICT, detail=faults[killer])
        elif unharmed is None:
            yield Result(mutant, killer, LEFT_OUT)
        else:
            yield _judge(copy, mutant, killer, deadline)


def _judge(copy: Path, mutant: Mutant, killer: str, deadline: float | None) -> Result:
    """Apply the mutant, run the killer alone, and remove what both have left in the copy."""
    if deadline is not None and time.monotonic() > deadline:
        return Result(mutant, killer, LEFT_OUT)
    applied = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", str(mutant.patch)],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    if applied.returncode != 0:
        return Result(mutant, killer, DOES_NOT_APPLY, detail=applied.stderr.strip())
    try:
        run = run_pytest(copy, [killer], deadline, "-x")
    finally:
        git(copy, "reset", "--quiet", "--hard")
        git(copy, "clean", "-d", "--force", "--quiet")
    if run is None:
        return Result(mutant, killer, LEFT_OUT)
    if run.exit_code == 1 and "failed" in run.of(killer):
        return Result(mutant, killer, KILLED, run.seconds)
    if run.exit_code == 0 and run.of(killer) == {"passed"}:
        return Result(mutant, killer, SURVIVED, run.seconds, f"It breaks: {mutant.breaks}")
    detail = f"No test failed, but pytest ended with {run.exit_code}.\n{run.last_lines}"
    return Result(mutant, killer, NO_VERDICT, run.seconds, detail)


def _is_there(copy: Path, killer: str) -> bool:
    file, function = copy / file_of(killer), killer.partition("[")[0].rpartition("::")[2]
    return file.is_file() and f"def {function}(" in file.read_text(encoding="utf-8")
