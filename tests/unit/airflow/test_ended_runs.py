"""The first error in a task's log. The tests of the stack cover what is read from Airflow's database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lakehouse_airflow import ended_runs


def log(folder: Path, *lines: dict[str, Any] | str) -> Path:
    file = folder / "attempt=1.log"
    file.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return file


FAILED = {
    "level": "error",
    "event": "Task failed with exception",
    "error_detail": [
        {"exc_type": "lakehouse.errors.StoreError", "exc_value": "The store at minio\ncannot be reached."},
        {"exc_type": "OSError", "exc_value": "refused"},
    ],
}


def test_the_exception_is_named_with_its_first_line(tmp_path: Path) -> None:
    file = log(tmp_path, {"level": "info", "event": "begins"}, "printed, not JSON", FAILED)

    assert ended_runs.first_error(file) == "StoreError: The store at minio"


def test_a_first_line_that_ends_with_a_colon_includes_the_lines_that_follow(tmp_path: Path) -> None:
    refused = {
        "exc_type": "lakehouse.errors.DeliveryRefused",
        "exc_value": "It is refused:\n  orders: no key\nFix it.",
    }
    file = log(tmp_path, {"level": "error", "event": "Task failed", "error_detail": [refused]})

    assert ended_runs.first_error(file) == "DeliveryRefused: It is refused:\n  orders: no key\nFix it."


def test_the_first_of_several_errors_counts(tmp_path: Path) -> None:
    file = log(tmp_path, {"level": "warning", "event": "hm"}, {"level": "error", "event": "one\ntwo"}, FAILED)

    assert ended_runs.first_error(file) == "one"


@pytest.mark.parametrize(
    ("details", "expected"),
    [([{"exc_type": "KeyError", "exc_value": ""}], "KeyError"), ([], "it broke"), (None, "it broke")],
)
def test_missing_parts_of_an_exception_are_left_out(tmp_path: Path, details: object, expected: str) -> None:
    file = log(tmp_path, {"level": "critical", "event": "it broke", "error_detail": details})

    assert ended_runs.first_error(file) == expected


def test_a_killed_task_wrote_no_error_or_no_log_at_all(tmp_path: Path) -> None:
    assert ended_runs.first_error(log(tmp_path, {"level": "info", "event": "begins"}, "[1]", '{"cut off')) is None
    assert ended_runs.first_error(tmp_path / "absent.log") is None
