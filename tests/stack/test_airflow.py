"""Airflow of the stack: its page, its only login, and a task that uses Spark Connect."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from benchmarks.airflow_api import Api
from tests.stack.support.compose import Stack

# From a container, whose address no other test logs in from. The last password is the right one.
GUESS = """
import json
import urllib.error
import urllib.request

for password in [f"guess {number}" for number in range(25)] + ["airflow"]:
    content = json.dumps({"username": "airflow", "password": password}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request("http://airflow-api-server:8080/auth/token", content, headers)
    try:
        print(urllib.request.urlopen(request, timeout=30).status)
    except urllib.error.HTTPError as error:
        print(error.code)
"""


@pytest.fixture
def api(stack: Stack) -> Api:
    return stack.airflow()


def test_airflow_shows_its_page(stack: Stack) -> None:
    address = stack.compose("port", "airflow-api-server", "8080").stdout.strip()

    with urllib.request.urlopen(f"http://{address}/", timeout=30) as page:
        assert b"<title>Airflow" in page.read()
        assert page.headers["X-Frame-Options"] == "SAMEORIGIN"
        assert "frame-ancestors 'self'" in page.headers["Content-Security-Policy"]


def test_the_known_login_works_and_no_other(api: Api) -> None:
    assert api.log_in("airflow", "wrong") == 401
    assert api.log_in("admin", "airflow") == 401
    assert api.log_in("airflow", "airflow") == 201


def test_who_guesses_passwords_has_to_wait_and_others_log_in(stack: Stack, api: Api) -> None:
    said = stack.python("cli", GUESS).stdout.split()

    assert said == ["401"] * 10 + ["429"] * 16
    assert api.log_in("airflow", "airflow") == 201


def test_a_run_starts_with_a_small_conf_only(api: Api) -> None:
    api.log_in("airflow", "airflow")
    large = {"logical_date": None, "conf": {"batch_date": "2018-01-01", "note": "x" * 20_000}}

    assert api.ask("/api/v2/dags/lake/dagRuns", large)[0] == 413


def test_a_page_that_calls_this_machine_by_a_name_of_its_own_is_refused(stack: Stack) -> None:
    address = stack.compose("port", "airflow-api-server", "8080").stdout.strip()

    for path in ("/", "/auth/token", "/api/v2/monitor/health", "/dbt-docs/", "/report/", "/execution/"):
        request = urllib.request.Request(f"http://{address}{path}", headers={"Host": "evil.example:8080"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=30)
        assert refused.value.code == 421, path
        assert "AIRFLOW_HOSTS" in refused.value.read().decode()


@pytest.mark.parametrize(
    "path", ["/api/v2/dags", "/api/v2/config", "/api/v2/connections", "/api/v2/variables", "/dbt-docs/", "/report/"]
)
def test_a_request_without_a_login_is_refused(api: Api, path: str) -> None:
    assert api.ask(path)[0] == 401


def test_a_task_reaches_every_service_spark_through_connect(stack: Stack, api: Api) -> None:
    stack.wait_until_healthy("airflow-scheduler")
    api.log_in("airflow", "airflow")
    status, run = api.ask("/api/v2/dags/check_stack/dagRuns", {"logical_date": None})
    assert status == 200, run
    path = f"/api/v2/dags/check_stack/dagRuns/{run['dag_run_id']}"

    stack.wait(lambda: api.ask(path)[1]["state"] in ("success", "failed"), "the run of check_stack did not end")

    tasks = api.ask(f"{path}/taskInstances")[1]["task_instances"]
    assert {task["task_id"]: task["state"] for task in tasks} == {
        "spark": "success",
        "store": "success",
        "warehouse": "success",
    }
