"""A service that is killed in the middle of a run comes back, and the marts are those of an undisturbed run.

To hit the middle, a lock on a staging table holds up the copy of that table into the warehouse until the fault has
happened.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.settings import Settings
from tests.stack.support.cases import cases
from tests.stack.support.compose import Stack
from tests.stack.support.slow_copy import copying_held_up
from tests.support.lake import all_rows, data_quality, differences

BLOWS: dict[str, tuple[Callable[[Stack], None], bool]] = {
    # what happens -> how, and whether the run itself survives it
    "a worker is killed": (lambda stack: stack.kill("spark-worker"), True),
    "the master is killed": (lambda stack: stack.kill("spark-master"), True),
    "the Connect server is killed": (lambda stack: stack.kill("spark-connect"), False),
    "the store is restarted": (lambda stack: stack.restart("minio"), True),
    "the warehouse is restarted": (lambda stack: stack.restart("postgres"), False),
}
# In every CI run these hit Airflow's runs (test_orchestration.py), the master together with everything else.
NIGHTLY = {
    "the master is killed",
    "the Connect server is killed",
    "the store is restarted",
    "the warehouse is restarted",
}


@pytest.mark.parametrize("blow", cases(BLOWS, NIGHTLY))
def test_the_marts_are_those_of_the_undisturbed_run(stack: Stack, shop: Path, undisturbed: Settings, blow: str) -> None:
    strike, survives = BLOWS[blow]
    workspace = f"fault_{list(BLOWS).index(blow)}"
    stack.cli("start", "--workspace", workspace)
    run = stack.start(*stack.cli_command("run", "/data", "--workspace", workspace, mount=shop))

    with copying_held_up(stack, workspace):
        strike(stack)
    output, _ = run.communicate(timeout=600)
    for service in ("spark-worker", "spark-connect", "minio", "postgres"):
        stack.wait_until_healthy(service)

    if survives:
        assert run.returncode == 0, output
    else:
        assert run.returncode == 1, output
        assert "Traceback" not in output
        assert "run the same command again" in output.lower()
        stack.cli("run", "--workspace", workspace)
    assert differences(all_rows(undisturbed), all_rows(stack.settings(workspace))) == {}
    assert data_quality(stack.settings(workspace)) == data_quality(undisturbed)
