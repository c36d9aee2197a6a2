"""Each arrival is reported once, unless a run has landed it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from lakehouse_airflow.unreported import Unreported, note_claimed

DROPPED, LANDED, CORRECTED = "drop__2018-01-01__aa", "landing__2018-01-01__bb", "landing__2018-01-01__cc"


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Airflow is not installed here: only its setting is asked for."""
    configuration = ModuleType("airflow.sdk.configuration")
    configuration.conf = SimpleNamespace(get=lambda *_: str(tmp_path))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "airflow.sdk.configuration", configuration)
    return tmp_path


def test_the_first_check_reports_everything_even_what_a_run_has_claimed() -> None:
    note_claimed([LANDED])

    assert Unreported().among({DROPPED, LANDED}) == [DROPPED, LANDED]


def test_what_a_run_has_landed_is_not_reported() -> None:
    unreported = Unreported()
    unreported.among(set())

    assert unreported.among({DROPPED}) == [DROPPED]
    assert unreported.among({DROPPED, LANDED}) == []
    note_claimed([LANDED])

    assert unreported.among({DROPPED, LANDED}) == []


def test_what_a_command_has_landed_is_reported_at_the_second_check_once() -> None:
    unreported = Unreported()
    unreported.among(set())
    note_claimed([LANDED])

    assert unreported.among({CORRECTED}) == []
    assert unreported.among({CORRECTED}) == [CORRECTED]
    assert unreported.among({CORRECTED}) == []


def test_content_that_comes_back_is_reported_again() -> None:
    unreported = Unreported()
    unreported.among({LANDED})
    note_claimed([LANDED])
    unreported.among({CORRECTED})
    note_claimed([CORRECTED])
    unreported.among({CORRECTED})

    assert unreported.among({LANDED}) == []
    assert unreported.among({LANDED}) == [LANDED]


def test_a_fault_in_the_drop_folder_is_reported_at_once() -> None:
    unreported = Unreported()
    unreported.among(set())

    assert unreported.among({"/drop/2018__01/x.zip is damaged"}) == ["/drop/2018__01/x.zip is damaged"]
