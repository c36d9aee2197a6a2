"""A stack that was lost comes back from its backup: data, passwords, Airflow's history.

Its name makes it run last, since the logs of the services' first start are removed with the stack.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stack.support.compose import Stack
from tests.support.lake import Rows, all_rows

pytestmark = pytest.mark.nightly  # six minutes: the stack is stopped, copied, removed and started twice


@pytest.fixture(scope="module")
def loaded(stack: Stack, shop: Path) -> dict[str, Rows]:
    """The rows of the marts, after this run or an earlier one."""
    stack.cli("run", "/data", "--workspace", "main", mount=shop)
    return all_rows(stack.settings())


@pytest.fixture(scope="module")
def backup(stack: Stack, loaded: dict[str, Rows], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backup") / "monday"
    stack.make("backup", f"DIR={folder}")
    return folder


def test_the_stack_runs_again_after_its_backup(stack: Stack, loaded: dict[str, Rows], backup: Path) -> None:
    stack.wait_until_healthy("airflow-scheduler")

    assert all_rows(stack.settings()) == loaded
    assert [path.name for path in (backup, *backup.iterdir()) if path.stat().st_mode & 0o077] == []


def test_backup_and_restore_overwrite_nothing(stack: Stack, backup: Path) -> None:
    before = (backup / "SHA256SUMS").read_text()

    assert "is not empty" in stack.make("backup", f"DIR={backup}", check=False).stderr
    assert "There is a stack already" in stack.make("restore", f"DIR={backup}", check=False).stderr
    assert (backup / "SHA256SUMS").read_text() == before


def test_a_damaged_backup_is_refused(stack: Stack, backup: Path, tmp_path: Path) -> None:
    for file in backup.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[: 1 << 20])

    assert "damaged" in stack.make("restore", f"DIR={tmp_path}", check=False).stderr


def test_a_lost_stack_is_restored_from_its_backup(stack: Stack, loaded: dict[str, Rows], backup: Path) -> None:
    runs = identifiers(stack)
    secrets = stack.secrets_made()
    stack.compose("--profile", "*", "down", "--volumes", "--timeout", "5")

    stack.make("restore", f"DIR={backup}")
    stack.make("up")

    assert all_rows(stack.settings()) == loaded
    assert stack.secrets_made() == secrets
    assert runs
    assert runs <= identifiers(stack)
    assert "Nothing new" in stack.cli("run", "--workspace", "main").stdout


def identifiers(stack: Stack) -> set[str]:
    api = stack.airflow()
    api.log_in("airflow", "airflow")
    return {run["dag_run_id"] for run in api.runs("lake")}
