"""The archive through a stack of its own -> screenshots of its pages, and what its commands print.

The stack has its own name, ports, secrets and drop folder, and is removed at the end. The archive goes through the drop
folder, then a delivery that is refused, then its corrected form, so that Airflow and the messages have all to show.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from playwright.sync_api import Page

from benchmarks.airflow_api import Api
from benchmarks.own_stack import OwnStack, deliver
from benchmarks.sandbox import free_port
from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_DIR
from stack.fake_slack import WEBHOOK, FakeSlack, bridge, fake_slack, readable
from tools.pictures.browser import chromium, keep_screenshot, page_of
from tools.pictures.terminal import keep_terminal

NAME = "lakehouse-pictures"
PORTS = {"POSTGRES_PORT": 5432, "AIRFLOW_PORT": 8080, "SPARK_PORT": 8081, "MINIO_CONSOLE_PORT": 9001}
DBT_PROJECT = str(yaml.safe_load((PROJECT_DIR / "dbt" / "dbt_project.yml").read_text(encoding="utf-8"))["name"])
USER = "airflow"  # and its password: the login of a stack that listens on this machine only
_PSQL = (
    "PGPASSWORD=$(</run/secrets/bi_reader_password) exec psql --host 127.0.0.1 --username bi_reader "
    '--dbname lakehouse_main --command "$0" --command "$1"'
)
SECONDS = 1200  # that a batch may take from the drop folder to the marts, on a slow machine
HISTORY = Path(__file__).parent / "delta_history.py"  # run by the Python of the service `cli`


@dataclass(frozen=True)
class Running:
    """A stack that is up: its commands, Airflow's API, the drop folder, what reached the substitute for Slack."""

    stack: OwnStack
    api: Api
    ports: dict[str, str]
    drop: Path
    slack: FakeSlack

    def address(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}"


def picture_stack(archive: Path) -> None:
    """Start a stack, bring the archive through it, write the pictures, remove the stack."""
    with _running() as running:
        day = datetime.now(UTC).date() - timedelta(days=2)
        _bring_archive(running, archive, day)
        _bring_refused_then_corrected(running, archive, day + timedelta(days=1))
        _picture_commands(running)
        _picture_pages(running)


@contextmanager
def _running() -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="pictures-") as temporary, fake_slack(bridge() or "127.0.0.1") as slack:
        folder = Path(temporary)
        folder.chmod(0o755)  # the containers run as other users
        for name in ("drop", "secrets"):
            (folder / name).mkdir()
        webhook = folder / "secrets" / "slack_webhook"
        webhook.write_text(f"http://host.docker.internal:{slack.server_address[1]}{WEBHOOK}\n", encoding="utf-8")
        webhook.chmod(0o644)
        ports = {name: str(_port(usual)) for name, usual in PORTS.items()}
        settings = {
            **ports,
            "DROP_DIR": str(folder / "drop"),
            "SECRETS_DIR": str(folder / "secrets"),
            "COMPOSE_PROFILES": "ui",
        }
        with OwnStack(NAME, **settings) as stack:
            stack.run("stack/images")  # of this commit, which the captions name
            stack.run("stack/up")
            api = Api(f"127.0.0.1:{ports['AIRFLOW_PORT']}")
            api.log_in(USER, USER)
            yield Running(stack, api, ports, folder / "drop", slack)


def _port(usual: int) -> int:
    """The port that the docs name, or another one where a program listens on it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", usual))
        except OSError:
            return free_port()
    return usual


def _bring_archive(running: Running, archive: Path, day: date) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        batch = Path(temporary) / day.isoformat()
        batch.mkdir()
        shutil.copy(archive, batch)
        _readable(batch)
        deliver([batch], running.drop)
    _await_run(running, "lake", "success", batch_date=day.isoformat())
    _await_run(running, "marts", "success")


def _bring_refused_then_corrected(running: Running, archive: Path, day: date) -> None:
    """A delivery of a few orders that the archive holds already, first with a column's name misspelt."""
    name = "olist_orders_dataset.csv"
    with zipfile.ZipFile(archive) as archived, archived.open(name) as lines:
        header, *orders = [next(lines).decode() for _ in range(4)]
    folder = running.drop / day.isoformat()
    folder.mkdir()
    file = folder / name
    file.write_text(header.replace("order_status", "order_state") + "".join(orders), encoding="utf-8")
    _readable(folder)
    _await_run(running, "lake", "failed", batch_date=day.isoformat())
    file.write_text(header + "".join(orders), encoding="utf-8")
    _await_run(running, "lake", "success", batch_date=day.isoformat())
    _await_run(running, "marts", "success", at_least=2)
    _await(lambda: len(running.slack.messages) >= 5, "the messages of these runs")


def _picture_commands(running: Running) -> None:
    run = running.stack.run
    services = run("docker", "compose", "ps", "--format", "table {{.Service}}\t{{.Status}}\t{{.Ports}}")
    keep_terminal("docker", "The stack's services", "make ps", services)
    python = ("docker", "compose", "run", "--rm", "-T", "--entrypoint", "/opt/airflow/bin/python", "cli", "-c")
    keep_terminal(
        "delta",
        "History of a Delta table",
        "DeltaTable('silver/main/olist/orders').history()",
        _without_compose(run(*python, HISTORY.read_text(encoding="utf-8"))),
    )
    # As `make psql` does: the container reads the password.
    asked = run("docker", "compose", "exec", "-T", "postgres", "bash", "-c", _PSQL, r"\dt marts.*", r"\du")
    keep_terminal(
        "postgres",
        "The marts in Postgres, and the roles",
        r"psql lakehouse_main --command '\dt marts.*' --command '\du'",
        asked,
    )
    said = [readable(message) for message in running.slack.messages]
    refused = next(text for text in said if "DeliveryRefused" in text)
    green = next(text for text in said[said.index(refused) + 1 :] if " lake " in text.splitlines()[0])
    keep_terminal(
        "slack",
        "Messages, as a substitute for Slack shows them",
        "make fake-slack",
        f"{refused}\n\n{'─' * 60}\n{green}",
    )


def _picture_pages(running: Running) -> None:
    with chromium() as browser:
        with page_of(browser) as page:
            _log_in(page, running.address("AIRFLOW_PORT"))
            _picture_airflow(running, page)
        with page_of(browser) as page:
            _picture_minio(running, page)
        with page_of(browser) as page:
            page.goto(running.address("SPARK_PORT"))
            page.get_by_role("link", name="Spark Connect").click()
            page.get_by_text("Completed Jobs (").first.wait_for()
            keep_screenshot("spark", "Spark: jobs of silver and load", page.screenshot())


def _log_in(page: Page, address: str) -> None:
    page.goto(address)
    page.locator("input[name=username]").fill(USER)
    page.locator("input[name=password]").fill(USER)
    page.locator("button[type=submit], input[type=submit]").click()
    page.wait_for_url(lambda url: "/login" not in url)


def _picture_airflow(running: Running, page: Page) -> None:
    address = running.address("AIRFLOW_PORT")
    _picture_grid(running, page, address)
    _picture_graph(running, page, address)
    _picture_assets(running, page, address)

    page.goto(f"{address}/dbt-docs/#!/model/model.{DBT_PROJECT}.fct_orders")
    page.locator("h1").get_by_text("fct_orders").wait_for()
    page.get_by_text("snapshot that is updated at each").first.wait_for()
    keep_screenshot("dbt-docs", "dbt docs: a model with its columns and tests", page.screenshot())

    page.goto(f"{address}/report/")
    page.wait_for_function("document.body.dataset.shown")
    keep_screenshot("report-on-stack", "The report, as the stack serves it", page.screenshot())


def _picture_grid(running: Running, page: Page, address: str) -> None:
    runs = len(running.api.runs("lake"))
    page.goto(f"{address}/dags/lake")
    page.get_by_label("Expand all task groups").click()
    page.get_by_text("silver [ ]").wait_for()
    page.wait_for_function(
        "runs => new Set([...document.querySelectorAll('a[href*=\"/dags/lake/runs/\"]')]"
        ".map(link => link.href.split('/runs/')[1].split(/[/?]/)[0])).size >= runs",
        arg=runs,
    )
    page.get_by_text(f"Last {runs} Dag Runs").wait_for()
    keep_screenshot("airflow-grid", "Airflow: the runs of lake", page.screenshot())


def _picture_graph(running: Running, page: Page, address: str) -> None:
    """The first build, which made every model; later ones skip those that nothing changed."""
    built = running.api.runs("marts")[-1]["dag_run_id"]
    page.goto(f"{address}/dags/marts/runs/{quote(built, safe='')}")
    page.get_by_label("Show Graph (Press g)").click()
    page.get_by_label("Expand all task groups").click()
    page.locator(".react-flow__node").get_by_text("fct_orders", exact=True).wait_for()
    page.get_by_label("Collapse Details Panel").click()
    page.get_by_label("Fit View").click()
    _await_still(page, ".react-flow__viewport")
    keep_screenshot("airflow-graph", "Airflow: a task per model of dbt", page.screenshot())


def _picture_assets(running: Running, page: Page, address: str) -> None:
    _, found = running.api.ask("/api/v2/assets")
    (asset,) = (each["id"] for each in found["assets"] if each["name"] == "warehouse_raw")
    page.goto(f"{address}/assets/{asset}")
    page.locator(".react-flow__node").get_by_text("marts", exact=True).wait_for()
    _await_still(page, ".react-flow__viewport")
    keep_screenshot("airflow-assets", "Airflow: which event starts which DAG", page.screenshot())


def _await_still(page: Page, element: str) -> None:
    """Until an element stays at its place for thirty frames: what moved it has ended."""
    page.wait_for_function(
        """element => new Promise(resolve => {
            const place = () => JSON.stringify(document.querySelector(element)?.getBoundingClientRect());
            const before = place();
            let frames = 0;
            const look = () => (frames += 1) < 30 ? requestAnimationFrame(look) : resolve(place() === before);
            look();
        })""",
        arg=element,
    )


def _picture_minio(running: Running, page: Page) -> None:
    show = ("docker", "compose", "run", "--rm", "--no-deps", "-T", "secrets-init", "show")
    user, password = (
        _without_compose(running.stack.run(*show, name)).strip() for name in ("store_root_user", "store_root_password")
    )
    address = running.address("MINIO_CONSOLE_PORT")
    page.goto(f"{address}/login")
    page.locator("#accessKey").fill(user)
    page.locator("#secretKey").fill(password)
    page.get_by_role("button", name="Login").click()
    page.wait_for_url("**/browser**")
    page.get_by_role("button", name="Acknowledge").click()
    page.goto(f"{address}/browser/silver/{quote('main/olist/')}")
    page.get_by_text("order_reviews").first.wait_for()
    keep_screenshot("minio", "MinIO: the silver tables", page.screenshot())


def _await_run(running: Running, dag: str, state: str, at_least: int = 1, **conf: str) -> dict[str, Any]:
    """The newest of at least so many ended runs of the DAG, all others having ended too."""

    def found() -> dict[str, Any] | None:
        runs = [run for run in running.api.runs(dag) if conf.items() <= (run["conf"] or {}).items()]
        ended = len(runs) >= at_least and all(run["state"] in ("success", "failed") for run in runs)
        return runs[0] if ended and runs[0]["state"] == state else None

    run: dict[str, Any] = _await(found, f"a run of {dag} with the state {state}")
    return run


def _await(found: Any, what: str) -> Any:
    """What `found` returns as soon as it returns something. Raises LakehouseError when that takes too long."""
    end = time.monotonic() + SECONDS
    while not (result := found()):
        if time.monotonic() > end:
            raise LakehouseError(f"Waited {SECONDS} s in vain for {what}.")
        time.sleep(1)
    return result


def _readable(folder: Path) -> None:
    folder.chmod(0o755)
    for file in folder.iterdir():
        file.chmod(0o644)


def _without_compose(output: str) -> str:
    """Without the lines in which compose says which containers it made."""
    return "\n".join(line for line in output.splitlines() if not line.lstrip().startswith("Container "))
