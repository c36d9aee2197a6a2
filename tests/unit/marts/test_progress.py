"""A build's progress file, and what Airflow's task per model makes of it: green, red, skipped, or not yet known."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lakehouse.marts.dbt import Node
from lakehouse.marts.progress import (
    Attempt,
    Progress,
    Verdict,
    is_being_written,
    judge,
    read_attempt,
)

BEGAN = 1000.0
BEFORE, AFTER = BEGAN - 1, BEGAN + 1
TESTS = {"orders": ["not_null", "unique"]}


def model(name: str, status: str = "success", message: str = "INSERT 0 7") -> Node:
    return Node(name, "model", status, 0.5, message, 7)


def data_test(name: str, status: str = "pass", message: str = "") -> Node:
    return Node(name, "test", status, 0.1, message, 0)


def attempt(*nodes: Node, **facts: Any) -> Attempt:
    return Attempt(began_at=BEGAN, tests=TESTS, nodes=nodes, **facts)


ORDERS, NOT_NULL, UNIQUE = model("orders"), data_test("not_null"), data_test("unique")
BROKEN = model("orders", "error", "column x does not exist")
DOUBLED = data_test("unique", "fail", "Got 3 results")
DOUBTFUL = data_test("unique", "warn", "Got 3 results")
UNKNOWN = None


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(None, UNKNOWN, id="nothing has begun"),
        pytest.param(attempt(), UNKNOWN, id="dbt has not started yet"),
        pytest.param(attempt(ORDERS, NOT_NULL), UNKNOWN, id="a test is still to come"),
        pytest.param(attempt(ORDERS, NOT_NULL, UNIQUE), "success", id="model and tests have finished"),
        pytest.param(attempt(ORDERS, NOT_NULL, DOUBTFUL), "success", id="a test warns"),
        pytest.param(attempt(BROKEN), UNKNOWN, id="the model failed, which may be tried again"),
        pytest.param(attempt(ORDERS, NOT_NULL, DOUBLED, outcome="failed"), UNKNOWN, id="a test failed, and the try"),
        pytest.param(attempt(ORDERS, outcome="done"), "success", id="the build is done without one of the tests"),
        pytest.param(attempt(outcome="done"), "skipped", id="the build is done without the model"),
        pytest.param(attempt(outcome="nothing to do"), "skipped", id="the marts were up to date"),
    ],
)
def test_while_another_try_may_follow_only_a_certain_result_is_given(
    found: Attempt | None, expected: str | None
) -> None:
    assert state(judge("orders", found, since=BEFORE, is_over=False)) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(None, "skipped", id="the build never began"),
        pytest.param(attempt(), "skipped", id="it was killed before the model"),
        pytest.param(attempt(ORDERS, NOT_NULL), "skipped", id="it was killed between the tests"),
        pytest.param(attempt(ORDERS, NOT_NULL, UNIQUE), "success", id="it was killed after the tests"),
        pytest.param(attempt(BROKEN, outcome="failed"), "failed", id="the model failed"),
        pytest.param(attempt(ORDERS, NOT_NULL, DOUBLED, outcome="failed"), "failed", id="a test failed"),
        pytest.param(attempt(model("orders", "skipped"), outcome="failed"), "skipped", id="what it reads failed"),
        pytest.param(attempt(ORDERS, NOT_NULL, UNIQUE, outcome="failed"), "success", id="another model failed"),
    ],
)
def test_after_the_last_try_every_model_has_a_result(found: Attempt | None, expected: str) -> None:
    assert state(judge("orders", found, since=BEFORE, is_over=True)) == expected


def test_an_attempt_that_began_before_the_task_belongs_to_another_build_unless_none_follows() -> None:
    old = attempt(ORDERS, NOT_NULL, UNIQUE, outcome="done")

    assert judge("orders", old, since=AFTER, is_over=False) is UNKNOWN
    assert judge("orders", old, since=AFTER, is_over=True) == Verdict("success")


def test_a_failure_names_the_test_and_its_failing_rows() -> None:
    verdict = judge("orders", attempt(ORDERS, NOT_NULL, DOUBLED, outcome="failed"), since=BEFORE, is_over=True)

    assert verdict == Verdict("failed", "unique: Got 3 results")


def test_a_file_reads_back_as_written_and_a_new_attempt_replaces_the_old(tmp_path: Path) -> None:
    file = tmp_path / "run" / "progress.jsonl"
    first = Progress(file, manifest(tmp_path))
    first.node(ORDERS)
    first.node(NOT_NULL)
    halfway = read_attempt(file)
    first.end("failed")
    second = Progress(file, manifest(tmp_path))

    assert halfway is not None and halfway.nodes == (ORDERS, NOT_NULL)
    assert (halfway.tests, halfway.outcome) == (TESTS, None)
    second_attempt = read_attempt(file)
    assert second_attempt is not None and (second_attempt.nodes, second_attempt.outcome) == ((), None)
    assert second_attempt.began_at >= halfway.began_at
    second.end("nothing to do")
    assert read_attempt(file) == Attempt(second_attempt.began_at, outcome="nothing to do")


def test_an_unfinished_line_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "progress.jsonl"
    file.write_text('{"began_at": 1000.0}\n{"outcome": "do')

    assert read_attempt(file) == Attempt(BEGAN)
    assert read_attempt(tmp_path / "none.jsonl") is None


DIE = """
import os, sys
from pathlib import Path
from lakehouse.marts.progress import Progress
progress = Progress(Path(sys.argv[1]), Path())
print("began", flush=True)
sys.stdin.read()
os.kill(os.getpid(), 9)
"""


def test_an_attempt_lasts_until_its_process_has_ended_however_it_died(tmp_path: Path) -> None:
    file = tmp_path / "progress.jsonl"
    assert not is_being_written(file)
    with subprocess.Popen(
        [sys.executable, "-c", DIE, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"began\n"
        assert is_being_written(file)
        writer.communicate()

    assert not is_being_written(file)


def manifest(folder: Path) -> Path:
    nodes = {"model.orders": node("model", "orders", "source.orders")}
    for name in TESTS["orders"]:
        nodes[f"test.{name}"] = {**node("test", name, "model.orders"), "attached_node": "model.orders"}
    file = folder / "manifest.json"
    file.write_text(json.dumps({"nodes": nodes}))
    return file


def node(kind: str, name: str, *reads: str) -> dict[str, Any]:
    facts = {"schema": "marts", "tags": [], "config": {}}
    return {"resource_type": kind, "name": name, "depends_on": {"nodes": list(reads)}, **facts}


def state(verdict: Verdict | None) -> str | None:
    return verdict.state if verdict else None
