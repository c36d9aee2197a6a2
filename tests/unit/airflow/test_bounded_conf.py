"""A request that starts runs is small; others are not looked at."""

from __future__ import annotations

import pytest

from lakehouse_airflow.bounded_conf import BYTES, BoundedConf
from tests.support.pages import ask, page

RUNS, BACKFILLS = "/api/v2/dags/lake/dagRuns", "/api/v2/backfills"


def status(path: str, *headers: tuple[bytes, bytes], method: str = "POST") -> int:
    return ask(BoundedConf(page()), headers, method=method, path=path).status


@pytest.mark.parametrize("path", [RUNS, f"{RUNS}/", BACKFILLS, "/api/v2/assets/3/materialize", "/api/v2/assets/events"])
def test_a_request_that_starts_runs_is_bounded(path: str) -> None:
    assert status(path, (b"content-length", str(BYTES).encode())) == 200
    assert status(path, (b"content-length", str(BYTES + 1).encode())) == 413
    assert status(path, (b"content-length", b"-1")) == 413
    assert status(path, (b"transfer-encoding", b"chunked")) == 413


def test_other_requests_are_not_looked_at() -> None:
    assert status(RUNS, method="GET") == 200
    assert status("/api/v2/variables", (b"content-length", b"9999999")) == 200
