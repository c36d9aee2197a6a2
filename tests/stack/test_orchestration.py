"""Airflow runs the pipeline: dropped files reach the marts whatever is killed, and each event is reported once.

It has a separate stack, so that nothing else lands there. Every test delivers other days; the last one compares.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from benchmarks.airflow_api import Api
from benchmarks.sandbox import environment_of_stack, free_port
from lakehouse.sample_data.synthetic import Disturbances, generate
from lakehouse.settings import Settings
from stack.fake_slack import WEBHOOK, FakeSlack, bridge, fake_slack
from tests.stack.conftest import CONTRACT, readable_by_all, removed_afterwards, run_embedded
from tests.stack.support.cases import cases
from tests.stack.support.compose import ONE_SHOTS, SERVICES, Stack, docker
from tests.stack.support.slow_copy import copying_held_up
from tests.support.lake import NEWEST_BUILT, all_rows, days_of, differences, query

PROJECT = "lakehouse-airflow-test"
DAYS = 20
LATER_TABLES = ("orders", "order_payments", "sellers")
AWAY_SECONDS = 20
EMPTY_DAY, ANOTHER_EMPTY_DAY = "2017-06-01", "2017-06-02"
ACTIVE = ("queued", "running")
REPORTED = ("lake", "marts", "maintenance")
# A killed scheduler's tasks are noticed after half a minute, adopted after another, and tried again.
RECOVERED_SECONDS = 400
DELTA_VERSIONS = """
from deltalake import DeltaTable
from lakehouse.contract.odcs import read_contract
from lakehouse.settings import Settings
from lakehouse.lake.store import open_store

settings = Settings.load(workspace="main")
for layer in ("bronze", "silver"):
    store = open_store(settings, layer)
    for table in read_contract(settings.contracts_dir, settings.source).tables:
        key = f"{settings.source}/{table.name}"
        if DeltaTable.is_deltatable(store.delta_url(key), store.delta_options()):
            print(layer, table.name, DeltaTable(store.delta_url(key), storage_options=store.delta_options()).version())
"""


# Kills all processes of the executor and its tasks, and prints their titles. Does nothing until a worker waits for
# work: that one has the lock of the queue.
KILL_WORKERS = r"""
declare -A workers
for process in /proc/[0-9]*; do
    title=$(tr '\0' ' ' <"$process/cmdline" 2>/dev/null) || continue
    [[ $title != "airflow worker -- "* ]] || workers[${process#/proc/}]=$title
done
[[ ${workers[*]} == *"<idle>"* ]] || exit 0
kill -KILL "${!workers[@]}"
printf '%s\n' "${workers[@]}"
"""


@dataclass
class Orchestrated:
    """The stack, its deliveries and its messages."""

    stack: Stack
    api: Api
    drop: Path
    slack: FakeSlack
    days: dict[str, Path]
    seen: list[str] = field(default_factory=list)

    def deliver(self, *days: str) -> None:
        """Deliver as a careful sender does: under a hidden name until the batch is complete."""
        for day in days:
            hidden = self.drop / f".{day}"
            shutil.copytree(self.days[day], hidden, copy_function=shutil.copy)
            readable_by_all(hidden)
            shutil.rmtree(self.drop / day, ignore_errors=True)
            hidden.rename(self.drop / day)

    def runs_of(self, day: str) -> list[dict[str, Any]]:
        return [run for run in self.api.runs("lake") if run["conf"].get("batch_date") == day]

    def wait_until_done(self, *days: str, state: str = "success") -> None:
        """Wait until a run of each day has ended in that state, and no run that followed from it is active."""
        complaint = f"{days} did not end as {state}"
        self.stack.wait(lambda: self._all_ended(days, state), complaint, RECOVERED_SECONDS)
        # Airflow makes the run of `marts` a moment after that of `lake` has ended.
        self.stack.wait(lambda: self.query(NEWEST_BUILT) == [(True,)], "the marts were not built", RECOVERED_SECONDS)
        self.stack.wait(lambda: not self._active(), "something goes on and on")

    def new_titles(self) -> Counter[str]:
        """Wait for outstanding messages; the titles of all that came since the last call."""
        runs = [run for dag in REPORTED for run in self.api.runs(dag) if run["run_type"] != "backfill"]
        ended = {f"{run['dag_id']}/{run['dag_run_id']}" for run in runs}
        self.stack.wait(lambda: ended <= {event.rsplit("/", 2)[0] for event in self._noted()}, "a run was not noted")
        self.stack.wait(lambda: len(self.slack.messages) >= self._sent(), "a message is under way")
        events = [event_of(message) for message in self.slack.messages]
        assert len(events) == len(set(events)), "sent twice"
        titles = [title_of(message) for message in self.slack.messages]
        new = titles[len(self.seen) :]
        self.seen = titles
        return Counter(new)

    def _all_ended(self, days: tuple[str, ...], state: str) -> bool:
        return {run["conf"].get("batch_date") for run in self.api.runs("lake") if run["state"] == state}.issuperset(
            days
        )

    def _active(self) -> bool:
        return any(run["state"] in ACTIVE for dag in ("arrivals", "lake", "marts") for run in self.api.runs(dag))

    def _noted(self) -> list[str]:
        return [event for (event,) in self.query("select event_id from ops.notices")]

    def _sent(self) -> int:
        ((count,),) = self.query("select count(*) from ops.notices where not is_silent")
        return int(count)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        return query(self.stack.settings(), statement, "loader")


def title_of(message: dict[str, Any]) -> str:
    """The title without the symbol in front of it."""
    return str(message["text"]).splitlines()[0].partition(" ")[2]


def event_of(message: dict[str, Any]) -> str:
    found = re.search(r"Event: ([^\s\"\\]+)", json.dumps(message))
    assert found, message
    return found[1]


@pytest.fixture(scope="module")
def shop_of_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty days; the first one has every table, the others some: each table costs three tasks of Airflow."""
    folder = tmp_path_factory.mktemp("days") / "batches"
    disturbances = Disturbances(seller_changes=0.1, product_changes=0.1)
    generate(folder, seed=23, scale=0.2, days=DAYS, faults=0.0005, disturbances=disturbances, contract=CONTRACT)
    for day in days_of(folder)[1:]:
        for file in set(day.iterdir()) - {day / f"olist_{table}_dataset.csv" for table in LATER_TABLES}:
            file.unlink()
    payments = days_of(folder)[-1] / "olist_order_payments_dataset.csv"
    payments.write_bytes(re.sub(rb"(?m),([\d.]+)$", rb",BRL \1", payments.read_bytes()))
    return folder


@pytest.fixture(scope="module")
def airflow(engine: None, tmp_path_factory: pytest.TempPathFactory, shop_of_days: Path) -> Iterator[Orchestrated]:
    """A running stack with an empty drop folder, and a fake Slack on this machine."""
    drop = readable_by_all(tmp_path_factory.mktemp("drop"))
    ports = {name: str(free_port()) for name in ("POSTGRES_PORT", "AIRFLOW_PORT", "SPARK_PORT", "MINIO_CONSOLE_PORT")}
    own = tmp_path_factory.mktemp("own-secrets")
    with fake_slack(bridge() or "127.0.0.1") as slack:
        webhook = f"http://host.docker.internal:{slack.server_address[1]}{WEBHOOK}\n"
        (own / "slack_webhook").write_text(webhook)
        environment = environment_of_stack(
            PROJECT, SECRETS_DIR=str(readable_by_all(own)), DROP_DIR=str(drop), QUARANTINE_WARNING_SHARE="0.05", **ports
        )
        with removed_afterwards(Stack(PROJECT, environment, tmp_path_factory.mktemp("clients"))) as stack:
            stack.make("up")
            api = stack.airflow()
            api.log_in("airflow", "airflow")
            days = {path.name: path for path in days_of(shop_of_days)}
            found = Orchestrated(stack, api, drop, slack, days)
            stack.wait(lambda: any(run["state"] == "success" for run in api.runs("lake")), "the day's own run")
            yesterday = api.runs("lake")[0]["logical_date"][:10]
            assert found.new_titles() == {f"lake {yesterday} succeeded: no batch was delivered": 1}
            yield found


@pytest.fixture(scope="module")
def day(shop_of_days: Path) -> list[str]:
    """The dates, in order. On the last one, no payment's value is a number."""
    return [path.name for path in days_of(shop_of_days)]


def test_a_dropped_batch_reaches_the_marts_without_any_command(airflow: Orchestrated, day: list[str]) -> None:
    airflow.deliver(day[0])

    airflow.wait_until_done(day[0])

    assert airflow.query("select status from ops.marts_state") == [("complete",)]
    assert airflow.new_titles() == {f"lake {day[0]} succeeded": 1, "marts succeeded": 1}
    (run,) = airflow.runs_of(day[0])
    assert {task["state"] for task in airflow.api.tasks(run)} == {"success"}
    pages = f"http://127.0.0.1:{airflow.stack.environment['SPARK_PORT']}/app/?appId=app-"
    for task in ("table.silver", "table.load"):
        assert any(pages in line for line in airflow.api.log(run, task, 0)), task


def test_three_batches_at_the_same_time_and_out_of_order(airflow: Orchestrated, day: list[str]) -> None:
    airflow.deliver(day[3], day[1], day[2])

    airflow.wait_until_done(*day[1:4])

    titles = airflow.new_titles()
    assert 1 <= titles.pop("marts succeeded") <= 3
    assert titles == {f"lake {name} succeeded": 1 for name in day[1:4]}


def test_an_empty_day_does_no_work(airflow: Orchestrated) -> None:
    before = airflow.stack.python("cli", DELTA_VERSIONS).stdout

    run = airflow.api.begin("lake", batch_date=EMPTY_DAY)
    airflow.wait_until_done(EMPTY_DAY)

    states = {task["task_id"]: task["state"] for task in airflow.api.tasks(run)}
    assert states == {
        "batch": "success",
        "table.bronze": "skipped",
        "table.silver": "skipped",
        "table.load": "skipped",
        "reconcile": "skipped",
        "outcome": "success",
    }
    assert airflow.stack.python("cli", DELTA_VERSIONS).stdout == before != ""
    assert airflow.new_titles() == {f"lake {EMPTY_DAY} succeeded: no batch was delivered": 1}


def test_an_end_without_an_event_in_the_scheduler_is_still_reported(airflow: Orchestrated) -> None:
    airflow.api.pause("lake")  # else the scheduler might be at this run, and then has the event
    run = airflow.api.begin("lake", batch_date=ANOTHER_EMPTY_DAY)
    airflow.api.end(run, "failed")
    airflow.api.pause("lake", False)

    assert airflow.new_titles() == {f"lake {ANOTHER_EMPTY_DAY} failed": 1}
    assert "by its time limit, or manually" in airflow.slack.messages[-1]["text"]


def test_a_batch_whose_run_is_started_twice_more_is_processed_once(airflow: Orchestrated, day: list[str]) -> None:
    loads = airflow.query("select load_id, loaded_at from ops.load_log order by 1")
    versions = airflow.stack.python("cli", DELTA_VERSIONS).stdout

    airflow.api.begin("lake", batch_date=day[0])
    airflow.api.begin("lake", batch_date=day[0])
    airflow.stack.wait(lambda: len(airflow.runs_of(day[0])) == 3, "they did not begin")
    airflow.wait_until_done(day[0])

    assert airflow.query("select load_id, loaded_at from ops.load_log order by 1") == loads
    assert airflow.stack.python("cli", DELTA_VERSIONS).stdout == versions
    assert airflow.new_titles() == {f"lake {day[0]} succeeded: there was nothing to do": 2}


def test_a_refused_batch_is_reported_does_not_stop_others_and_recovers_when_corrected(
    airflow: Orchestrated, day: list[str]
) -> None:
    right = airflow.days[day[4]]
    wrong = right.with_name("wrong")
    shutil.copytree(right, wrong)
    orders = wrong / "olist_orders_dataset.csv"
    orders.write_bytes(orders.read_bytes().replace(b"order_status", b"order_state", 1))

    airflow.days[day[4]] = wrong
    airflow.deliver(day[4], day[5])
    airflow.wait_until_done(day[4], state="failed")
    airflow.wait_until_done(day[5])

    titles = airflow.new_titles()
    assert titles == {f"lake {day[4]} failed": 1, f"lake {day[5]} succeeded": 1, "marts succeeded": 1}
    failed = next(message for message in airflow.slack.messages if title_of(message) == f"lake {day[4]} failed")
    assert "does not keep the contract" in json.dumps(failed)
    (run,) = airflow.runs_of(day[4])
    assert {task["try_number"] for task in airflow.api.tasks(run) if task["task_id"] == "batch"} == {1}

    airflow.days[day[4]] = right
    airflow.deliver(day[4])
    airflow.wait_until_done(day[4])

    assert airflow.new_titles() == {f"lake {day[4]} is green again": 1, "marts succeeded": 1}


def test_a_table_of_mostly_bad_rows_is_held_and_slack_gets_it_later_after_an_outage(
    airflow: Orchestrated, day: list[str]
) -> None:
    airflow.slack.answers += [(503, "service_unavailable", {})]
    airflow.deliver(day[-1])

    airflow.wait_until_done(day[-1], state="failed")

    titles = airflow.new_titles()
    (quality,) = (title for title in titles if "are in quarantine" in title)
    assert quality.startswith(f"lake {day[-1]}: 2")  # 65 of 268 records
    assert titles == {f"lake {day[-1]} failed": 1, quality: 1, "marts succeeded": 1}
    assert airflow.slack.answers == []
    said = {title_of(message): json.dumps(message) for message in airflow.slack.messages}
    assert "payment_value" in said[quality]
    failed = said[f"lake {day[-1]} failed"]
    assert "order_payments of" in failed and "were rejected or quarantined" in failed
    assert "payment_value: not a valid decimal(12,2)" in failed and "for example BRL" in failed
    (run,) = airflow.runs_of(day[-1])
    tasks = airflow.api.tasks(run)
    assert [task["try_number"] for task in tasks if task["state"] == "failed"] == [1]
    assert {task["task_id"]: task["state"] for task in tasks}["reconcile"] == "success"
    held = f"select table_name from ops.reconciliation where batch_date = '{day[-1]}' and is_held"
    assert airflow.query(held) == [("order_payments",)]


# A fault on the stack, while the copy of this table is held up.
Blow = Callable[[Orchestrated, str], None]


def kill_every_worker(airflow: Orchestrated, table: str) -> None:
    """Kill the load, its supervisor, all other tasks, and the workers that wait for tasks."""
    tasks = [task for run in airflow.api.runs("lake") if run["state"] == "running" for task in airflow.api.tasks(run)]
    (load,) = (
        task["id"]
        for task in tasks
        if (task["task_id"], task["rendered_map_index"], task["state"]) == ("table.load", table, "running")
    )
    kill = ("exec", "--no-TTY", "airflow-scheduler", "bash", "-c", KILL_WORKERS)
    titles: list[str] = []
    airflow.stack.wait(lambda: titles.extend(airflow.stack.compose(*kill).stdout.splitlines()) or titles, "all busy")
    assert sum(load in title for title in titles) == 2, titles


def killed(service: str) -> Blow:
    return lambda airflow, _: airflow.stack.kill(service)


def away_for_a_while(service: str) -> Blow:
    def stop_and_start(airflow: Orchestrated, _: str) -> None:
        stack = airflow.stack
        stack.compose("stop", "--timeout", "1", service)
        time.sleep(AWAY_SECONDS)  # the blow itself
        stack.compose("start", service)
        stack.wait_until_healthy(service)

    return stop_and_start


BLOWS: dict[str, Blow] = {
    "the task, its supervisor and all workers are killed": kill_every_worker,
    "the scheduler is killed": killed("airflow-scheduler"),
    "the api-server is killed": killed("airflow-api-server"),
    "the Connect server is killed": killed("spark-connect"),
    "the warehouse is away": away_for_a_while("postgres"),
    "the store is away": away_for_a_while("minio"),
}
# In every CI run it is killed with everything else (start_at_the_same_time).
NIGHTLY_BLOWS = {"the api-server is killed"}


@pytest.mark.parametrize("blow", cases(BLOWS, NIGHTLY_BLOWS))
def test_in_the_middle_of_a_load_and_the_run_ends_green_by_itself(
    airflow: Orchestrated, day: list[str], blow: str
) -> None:
    name = day[6 + list(BLOWS).index(blow)]
    airflow.deliver(name)
    with copying_held_up(airflow.stack, "main") as table:
        BLOWS[blow](airflow, table)
    for service in SERVICES:
        airflow.stack.wait_until_healthy(service)

    airflow.wait_until_done(name)

    titles = airflow.new_titles()
    assert 1 <= titles.pop("marts succeeded") <= 2
    assert titles == {f"lake {name} succeeded": 1}


HOW_IT_ENDED = "{{.State.Status}} {{.State.ExitCode}}"


def start_at_the_same_time(stack: Stack) -> None:
    """Kill all containers and start them together, as a reboot does. The one-shot services must end well again."""
    containers = [stack.container(service) for service in (*SERVICES, *ONE_SHOTS)]
    docker("kill", *containers[: len(SERVICES)])
    starting = [subprocess.Popen(["docker", "start", container]) for container in containers]
    assert {process.wait(60) for process in starting} == {0}
    stack.wait(lambda: {stack.inspect(each, HOW_IT_ENDED) for each in ONE_SHOTS} == {"exited 0"}, "did not end well")


def restart_everything(stack: Stack) -> None:
    stack.compose("restart", "--timeout", "10")


def restart_in_reverse(stack: Stack) -> None:
    for service in reversed(SERVICES):
        stack.restart(service)


def restart_each_alone(stack: Stack) -> None:
    for service in SERVICES:
        stack.restart(service)
        for each in SERVICES:
            stack.wait_until_healthy(each)


def kill_in_random_order(stack: Stack) -> None:
    """Kill every service twice, with waits of up to ten seconds, during which others start again."""
    order = random.Random(20180101)
    for service in order.sample(SERVICES * 2, 2 * len(SERVICES)):
        stack.kill(service)
        time.sleep(order.uniform(0, 10))  # part of the blow


RESTARTS: dict[str, Callable[[Stack], None]] = {
    "everything starts at the same time": start_at_the_same_time,
    "all containers are restarted": restart_everything,
    "each container is restarted in reverse": restart_in_reverse,
    "each container is restarted alone": restart_each_alone,
    "containers are killed in random order": kill_in_random_order,
}
NIGHTLY_RESTARTS = set(RESTARTS) - {"everything starts at the same time"}


@pytest.mark.parametrize("restart", cases(RESTARTS, NIGHTLY_RESTARTS))
def test_after_restarts_a_delivery_reaches_the_marts(airflow: Orchestrated, day: list[str], restart: str) -> None:
    name = day[12 + list(RESTARTS).index(restart)]

    RESTARTS[restart](airflow.stack)
    airflow.deliver(name)
    for service in SERVICES:
        airflow.stack.wait_until_healthy(service)
    airflow.wait_until_done(name)

    assert airflow.new_titles() == {f"lake {name} succeeded": 1, "marts succeeded": 1}


def test_runs_that_wait_for_an_executor_say_so(airflow: Orchestrated, day: list[str]) -> None:
    name = day[17]
    airflow.stack.compose("stop", "--timeout", "5", "spark-worker")
    airflow.deliver(name)

    airflow.stack.wait(lambda: len(airflow.slack.messages) > len(airflow.seen), "nothing was said", 150)
    (said,) = (title_of(message) for message in airflow.slack.messages[len(airflow.seen) :])
    assert said == "Spark has no executor: runs wait"
    assert "unhealthy" in airflow.stack.compose("ps", "--format", "{{.Status}}", "spark-connect").stdout
    airflow.stack.compose("start", "spark-worker")
    airflow.wait_until_done(name)

    assert airflow.new_titles() == {said: 1, f"lake {name} succeeded": 1, "marts succeeded": 1}


def test_a_backfill_beside_a_daily_run_sends_one_message_and_changes_nothing(
    airflow: Orchestrated, day: list[str]
) -> None:
    daily = day[-2]
    loads_of_others = f"select count(*), max(load_id) from ops.load_log where batch_date <> '{daily}'"
    loads = airflow.query(loads_of_others)
    airflow.deliver(daily)
    airflow.stack.wait(lambda: airflow.runs_of(daily), "the daily run did not begin")

    said = airflow.stack.make("backfill", f"FROM={day[0]}", f"TO={day[1]}").stdout
    airflow.wait_until_done(daily)
    airflow.stack.wait(lambda: any(title_of(m).startswith("Backfill") for m in airflow.slack.messages), "no summary")

    assert sorted(line.split()[:2] for line in said.splitlines()) == [[day[0], "success"], [day[1], "success"]]
    assert airflow.query(loads_of_others) == loads
    titles = airflow.new_titles()
    # None if the backfill started the run of `marts` that built the day, having found the marts behind.
    assert titles.pop("marts succeeded", 0) <= 1
    assert titles == {f"Backfill of {day[0]} to {day[1]} ended": 1, f"lake {daily} succeeded": 1}


def test_the_weekly_maintenance_is_green_and_changes_no_row(airflow: Orchestrated) -> None:
    before = all_rows(airflow.stack.settings())

    run = airflow.api.begin("maintenance")
    airflow.stack.wait(
        lambda: airflow.api.runs("maintenance")[0]["state"] not in ACTIVE,
        "maintenance goes on and on",
        RECOVERED_SECONDS,
    )

    assert {task["task_id"]: task["state"] for task in airflow.api.tasks(run)} == {
        "maintain": "success",
        "airflow_logs": "success",
        "airflow_runs": "success",
    }
    assert all_rows(airflow.stack.settings()) == before
    assert airflow.new_titles() == {"maintenance succeeded": 1}


def test_after_all_that_the_marts_are_those_of_the_undisturbed_run(
    airflow: Orchestrated, day: list[str], embedded: Settings, tmp_path: Path
) -> None:
    for name in day:
        if (airflow.drop / name).exists():
            shutil.copytree(airflow.days[name], tmp_path / "delivered" / name)

    reference = run_embedded(embedded, "orchestrated", tmp_path / "delivered")

    assert differences(all_rows(airflow.stack.settings()), all_rows(reference)) == {}
