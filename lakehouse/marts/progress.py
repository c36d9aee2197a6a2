"""A build of the marts <-> a progress file: one JSON line per model or test that dbt has finished.

Other processes read the file: Airflow's model tasks (airflow/lakehouse_airflow/model_tasks.py). It contains only the
last attempt. Each attempt replaces the old file with a new one, so a process that outlives its attempt writes to a file
that no process reads. The writer holds a lock on the file, which is released when the writer ends, even if killed.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from lakehouse.marts.dbt import Node
from lakehouse.marts.manifest import read_models

Outcome = Literal["done", "nothing to do", "failed"]
State = Literal["success", "failed", "skipped"]
BAD = ("error", "fail")


@dataclass(frozen=True)
class Attempt:
    """The content of a progress file. `tests`: the tests of each model. `outcome`: None if running or killed.

    `began_at` is in seconds since 1970.
    """

    began_at: float
    tests: Mapping[str, list[str]] = field(default_factory=dict)
    nodes: tuple[Node, ...] = ()
    outcome: Outcome | None = None

    def model(self, name: str) -> Node | None:
        """The model's result; None until dbt has finished it."""
        return next((node for node in self.nodes if node.kind == "model" and node.name == name), None)

    def tests_of(self, model: str) -> list[Node]:
        """The model's tests that dbt has finished."""
        return [node for node in self.nodes if node.kind == "test" and node.name in self.tests.get(model, [])]


@dataclass(frozen=True)
class Verdict:
    """How a model ended, and why if it did not succeed."""

    state: State
    reason: str = ""


class Progress:
    """Writes the progress file of one attempt. Creating the object creates the file."""

    def __init__(self, path: Path, manifest: Path) -> None:
        self._manifest = manifest
        self._planned = False
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}.new")
        new.write_text(json.dumps({"began_at": time.time()}) + "\n", encoding="utf-8")
        self._file = new.open("a", encoding="utf-8", buffering=1)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        new.replace(path)

    def node(self, node: Node) -> None:
        """Write a finished node. dbt's manifest, which lists the tests, exists by then."""
        if not self._planned:
            models = read_models(self._manifest).values()
            self._write({"tests": {model.name: model.tests for model in models if model.tests}})
            self._planned = True
        self._write({"node": asdict(node)})

    def end(self, outcome: Outcome) -> None:
        """Write how the attempt ended, as the last line."""
        self._write({"outcome": outcome})
        self._file.close()

    def _write(self, line: dict[str, object]) -> None:
        self._file.write(json.dumps(line) + "\n")


def read_attempt(path: Path) -> Attempt | None:
    """The last attempt; None if none has begun yet."""
    try:
        *lines, _being_written = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return None
    found: dict[str, Any] = {}
    nodes = []
    for line in map(json.loads, lines):
        if "node" in line:
            nodes.append(Node(**line["node"]))
        else:
            found |= line
    return Attempt(nodes=tuple(nodes), **found)


def is_being_written(path: Path) -> bool:
    """Whether an attempt is still running."""
    try:
        with path.open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def judge(model: str, attempt: Attempt | None, *, since: float, is_over: bool) -> Verdict | None:
    """How a model ended; None if that is not known yet.

    `since`: an attempt that began earlier belongs to another build. `is_over`: no further attempt will follow, so the
    last attempt counts, whenever it began.
    """
    if attempt is None or (attempt.began_at < since and not is_over):
        return Verdict("skipped", "The build never began, or its record is gone.") if is_over else None
    if attempt.outcome == "nothing to do":
        return Verdict("skipped", "The marts already hold everything that was loaded.")
    if attempt.outcome != "done" and not is_over:
        return _judge_early(model, attempt)
    return _judge_at_the_end(model, attempt)


def report(model: str, attempt: Attempt | None) -> list[Node]:
    """The result of a model, then the results of its tests."""
    own = attempt.model(model) if attempt else None
    return [own, *attempt.tests_of(model)] if attempt and own else []


def _judge_early(model: str, attempt: Attempt) -> Verdict | None:
    """Only a success is certain before the attempt has ended: a failure may be retried."""
    own, tests = attempt.model(model), attempt.tests_of(model)
    if own is None or not attempt.tests or len(tests) < len(attempt.tests.get(model, [])):
        return None
    return Verdict("success") if own.status == "success" and not _bad([own, *tests]) else None


def _judge_at_the_end(model: str, attempt: Attempt) -> Verdict:
    own, tests = attempt.model(model), attempt.tests_of(model)
    if own is None and attempt.outcome == "done":
        return Verdict("skipped", "Not part of this build: it changes only with the project.")
    if own is None or own.status == "skipped":
        return Verdict("skipped", "Not built: not in this build, or the build ended before it or at what it reads.")
    bad = _bad([own, *tests])
    if bad:
        return Verdict("failed", "\n".join(str(node) for node in bad))
    if attempt.outcome is None and len(tests) < len(attempt.tests.get(model, [])):
        return Verdict("skipped", "Built, but the build was killed before all of its tests had run.")
    return Verdict("success")


def _bad(nodes: list[Node]) -> list[Node]:
    return [node for node in nodes if node.status in BAD]
