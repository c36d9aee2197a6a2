"""The DAG `marts`: one dbt process and a task per model; with something to build, with nothing, with a failure."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.airflow_api import Api
from lakehouse import warehouse
from lakehouse.settings import PROJECT_DIR
from tests.stack.support.compose import Stack, names_in
from tests.support.browser import total_of
from tests.support.lake import query
from tools.generate.dbt_graph import FILE

MODEL_TASKS = {f"models.{name}" for name in runpy.run_path(str(PROJECT_DIR / FILE))["READS"]}
PAGES = {"publish_report", "publish_docs"}
RUNS = "/api/v2/dags/marts/dagRuns"
# Rows that the contract would never admit, and their way into the marts.
FAULT = [
    "create table ops.kept as select * from raw_olist.customers",
    "alter table raw_olist.customers alter customer_unique_id drop not null",
    "update raw_olist.customers set customer_unique_id = null",
]
REPAIR = [
    "delete from raw_olist.customers",
    "insert into raw_olist.customers select * from ops.kept",
    "drop table ops.kept",
    "alter table raw_olist.customers alter customer_unique_id set not null",
]
START_OVER = "update ops.marts_state set load_id = 0, status = 'building'"


@pytest.fixture(scope="module")
def api(stack: Stack, shop: Path) -> Api:
    """The API of an Airflow whose warehouse has loaded something that is not in the marts."""
    stack.wait_until_healthy("airflow-scheduler")
    api = stack.airflow()
    api.log_in("airflow", "airflow")
    for dag in ("arrivals", "lake"):  # they would do the same automatically
        api.ask(f"/api/v2/dags/{dag}", {"is_paused": True}, "PATCH")
    # Both that and the archive, which may be there, have no date: they are of today.
    stack.cli("land", "/data", "--replace", "--workspace", "main", mount=next(shop.iterdir()))
    for step in ("bronze", "silver", "load"):
        stack.cli(step, "--workspace", "main")
    execute(stack, START_OVER)
    return api


@pytest.fixture
def fault(stack: Stack, api: Api) -> Iterator[None]:
    """Customers without their unique id: no model fails, but one test does."""
    execute(stack, *FAULT, START_OVER)
    yield
    execute(stack, *REPAIR, START_OVER)


def test_each_models_task_is_green_once_the_model_is_built_and_tested(stack: Stack, api: Api) -> None:
    run = finished(stack, api, begun(api))

    assert states(api, run) == dict.fromkeys(MODEL_TASKS | {"build", "compare", *PAGES}, "success")
    lines = api.log({"dag_id": "marts", "dag_run_id": run}, "models.fct_orders")
    assert any(line.startswith("model fct_orders: success, ") and " rows, " in line for line in lines), lines
    assert any(line.startswith("test unique_fct_orders_order_id: pass, 0 rows against it") for line in lines), lines
    page = api.page("/dbt-docs/")
    assert "One row per order: an accumulating snapshot" in page
    assert names_in(page, {**stack.secrets_made(), "looked for": "fct_orders"}) == {"looked for"}
    ((orders, revenue),) = query(
        stack.settings(), "select (select count(*) from marts.fct_orders), sum(price) from marts.fct_order_items"
    )
    report = api.page("/report/")
    assert (total_of(report, "Order Count"), total_of(report, "Revenue")) == (orders, pytest.approx(float(revenue)))
    assert names_in(report, {**stack.secrets_made(), "looked for": "fct_orders"}) == {"looked for"}


def test_a_run_with_nothing_to_build_ends_after_comparing_what_was_loaded(stack: Stack, api: Api) -> None:
    finished(stack, api, begun(api))

    run = finished(stack, api, begun(api))

    assert states(api, run) == {
        **dict.fromkeys(MODEL_TASKS | {"compare", *PAGES}, "skipped"),
        "build": "success",
    }
    assert result(api, run)["done"] is False


def test_without_a_webhook_the_same_text_goes_to_the_log(stack: Stack, api: Api) -> None:
    sent_to = "select text, sent_to from ops.notices where event_id like 'marts/%/ended' and sent_at is not null"
    finished(stack, api, begun(api))

    stack.wait(lambda: query(stack.settings(), sent_to, "loader"), "nothing was sent")

    (text, place), *_ = query(stack.settings(), sent_to, "loader")
    said = stack.compose("logs", "--no-color", "--no-log-prefix", "airflow-scheduler").stdout
    assert place == "log"
    assert text.splitlines()[0] in said and text.splitlines()[-1] in said


def test_a_failed_test_fails_only_its_models_task(stack: Stack, api: Api, fault: None) -> None:
    run = begun(api)

    stack.wait(lambda: states(api, run)["build"] == "up_for_retry", "the build did not fail")
    before_the_last_try = states(api, run)
    api.ask(f"{RUNS}/{run}/taskInstances/build", {"new_state": "failed"}, "PATCH")
    found = states(api, finished(stack, api, run, "failed"))

    assert "failed" not in before_the_last_try.values()
    assert {task for task in MODEL_TASKS if found[task] == "failed"} == {"models.int_customers_current"}
    assert found["models.stg_customers"] == "success"
    assert found["models.fct_orders"] == "skipped"
    lines = api.log({"dag_id": "marts", "dag_run_id": run}, "models.int_customers_current")
    assert any("customer_unique_id: fail, " in line and "rows against it" in line for line in lines), lines


def begun(api: Api) -> str:
    status, run = api.ask(RUNS, {"logical_date": None})
    assert status == 200, run
    return str(run["dag_run_id"])


def finished(stack: Stack, api: Api, run: str, state: str = "success") -> str:
    stack.wait(lambda: api.ask(f"{RUNS}/{run}")[1]["state"] in ("success", "failed"), "the run did not end")
    assert api.ask(f"{RUNS}/{run}")[1]["state"] == state, states(api, run)
    return run


def states(api: Api, run: str) -> dict[str, Any]:
    tasks = api.ask(f"{RUNS}/{run}/taskInstances?limit=100")[1]["task_instances"]
    return {task["task_id"]: task["state"] for task in tasks}


def result(api: Api, run: str) -> dict[str, Any]:
    """What `build` returned."""
    path = f"{RUNS}/{run}/taskInstances/build/xcomEntries/return_value?deserialize=true"
    value: dict[str, Any] = api.ask(path)[1]["value"]
    return value


def execute(stack: Stack, *statements: str) -> None:
    with warehouse.cursor(stack.settings()) as cursor:
        for statement in statements:
            cursor.execute(statement)
