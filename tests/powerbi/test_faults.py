"""No fault of faults.py passes: its checker finds it, and no checker finds anything in the project as it is."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from tests.powerbi.conftest import Check
from tests.powerbi.faults import FAULTS, Checker, Fault


@pytest.mark.parametrize("checker", get_args(Checker))
def test_a_checker_finds_nothing_in_the_project(checker: Checker, committed: Path, check: Check) -> None:
    assert check(checker, committed) == []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.name} ({fault.checker})")
def test_a_fault_is_found(fault: Fault, copy: Path, check: Check) -> None:
    fault.make(copy)

    found = check(fault.checker, copy)

    assert any(fault.says in one for one in found), found


def test_there_are_thirty_faults_and_each_checker_has_some() -> None:
    assert len({fault.name for fault in FAULTS}) >= 30
    assert {fault.checker for fault in FAULTS} == set(get_args(Checker))
