"""The command line as people and scripts use it: in separate processes, with pipes."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.sample_data.synthetic import Truth
from lakehouse.settings import Settings
from tests.embedded.pipeline.commands import LAKEHOUSE, command
from tests.support.lake import environment_of, query

Lakehouse = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def lakehouse(loaded_shop: Settings) -> Lakehouse:
    """Run a command in the workspace that holds the shop."""

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return command(loaded_shop, *arguments, "--workspace", loaded_shop.workspace_name, **more)

    return run


def test_a_run_with_nothing_new_says_so_and_its_output_is_plain(lakehouse: Lakehouse, shop: tuple[Path, Truth]) -> None:
    done = lakehouse("run", str(shop[0]))

    assert done.returncode == 0, done.stderr
    assert "Nothing new: everything landed is in the marts" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert "fct_order_items" in done.stdout
    assert "postgresql://bi_reader@127.0.0.1:" in done.stdout


def test_sql_answers_as_json_csv_and_table(lakehouse: Lakehouse) -> None:
    question = (
        "select order_status, count(*) as orders, sum(order_value) as value from marts.fct_orders group by 1 order by 1"
    )

    as_json = json.loads(lakehouse("sql", question, "--format", "json").stdout)
    as_csv = list(csv.DictReader(io.StringIO(lakehouse("sql", question, "--format", "csv").stdout)))
    as_table = lakehouse("sql", question).stdout

    assert [set(row) for row in as_json] == [{"order_status", "orders", "value"}] * len(as_json)
    assert [row["order_status"] for row in as_csv] == [row["order_status"] for row in as_json]
    assert all(isinstance(row["value"], int | float) for row in as_json)
    assert all(row["order_status"] in as_table for row in as_json)


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("delete from marts.fct_orders", "permission denied|read-only"),
        ("select * from raw_olist.orders", "permission denied"),
        ("create table marts.mine (a integer)", "permission denied|read-only"),
        ("select * from ops.load_log", "permission denied"),
    ],
)
def test_bi_reader_reads_the_marts_and_nothing_else(lakehouse: Lakehouse, statement: str, why: str) -> None:
    done = lakehouse("sql", statement)

    assert done.returncode == 1
    assert re.search(why, done.stderr)
    assert "Traceback" not in done.stderr


def test_sql_can_run_as_another_role(lakehouse: Lakehouse) -> None:
    done = lakehouse("sql", "select count(*) as n from raw_olist.orders", "--role", "loader", "--format", "json")

    assert json.loads(done.stdout)[0]["n"] > 0


def test_quarantine_lists_filters_and_exports(lakehouse: Lakehouse, shop: tuple[Path, Truth]) -> None:
    everything = list(csv.DictReader(io.StringIO(lakehouse("quarantine", "--format", "csv").stdout)))
    orders = list(csv.DictReader(io.StringIO(lakehouse("quarantine", "--table", "orders", "--format", "csv").stdout)))
    late = lakehouse("quarantine", "--reason", "not a valid timestamp", "--format", "json").stdout

    assert len(everything) == len(shop[1].faults)
    assert {row["stage"] for row in everything} == {"rejected", "quarantine"}
    assert {row["table"] for row in orders} == {"orders"}
    assert all("not a valid timestamp" in row["reasons"] for row in json.loads(late))
    assert "reason" in lakehouse("quarantine", "--counts").stdout


def test_status_gives_programs_everything(lakehouse: Lakehouse, shop: tuple[Path, Truth]) -> None:
    status = json.loads(lakehouse("status", "--format", "json").stdout)

    assert [batch["batch_date"] for batch in status["batches"]] == sorted(shop[1].batches)
    assert (status["pending"], status["marts_pending"]) == ([], None)
    assert {row["table"] for row in status["records"]} >= {"orders", "geolocation"}


def test_a_refused_delivery_is_explained_with_all_its_faults_and_exit_code_1(
    new_workspace: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = new_workspace()
    folder = tmp_path / "2018-01-05"
    folder.mkdir()
    (folder / "olist_orders_dataset.csv").write_text("order_id,customer_id,order_stat\n1,2,3\n")
    (folder / "olist_sellers_dataset.csv").write_text("")

    done = command(settings, "land", str(folder), "--workspace", settings.workspace_name)

    assert done.returncode == 1
    assert "did you mean order_status" in done.stderr
    assert "olist_sellers_dataset.csv" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "words",
    [["land"], ["run", "--demo", "somewhere"], ["sql", "select 1", "--role", "owner"], ["nonsense"], ["clean"]],
    ids=" ".join,
)
def test_wrong_usage_ends_with_exit_code_2(server: Settings, words: list[str]) -> None:
    done = command(server, *words)

    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_table_or_setting_is_answered_with_the_valid_ones(lakehouse: Lakehouse) -> None:
    assert "order_items" in lakehouse("quarantine", "--table", "ordres").stderr
    wrong = lakehouse("status", LAKEHOUSE_TARGET="cloud")
    assert wrong.returncode == 1
    assert "LAKEHOUSE_TARGET" in wrong.stderr


def test_a_closed_pipe_is_no_error(loaded_shop: Settings) -> None:
    name = loaded_shop.workspace_name
    pipe = f"{LAKEHOUSE} sql 'select * from marts.dim_date' --format csv --workspace {name} | head -1"

    done = subprocess.run(
        ["bash", "-c", pipe], env=environment_of(loaded_shop), capture_output=True, text=True, check=False
    )

    assert done.stdout.startswith("date_key,")
    assert done.stderr == ""


def test_generate_writes_batches_and_replay_refuses_anything_but_an_archive(server: Settings, tmp_path: Path) -> None:
    done = command(server, "generate", str(tmp_path / "batches"), "--days", "2", "--scale", "0.05", "--seed", "3")

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "batches" / "truth.json").is_file()
    assert len([p for p in (tmp_path / "batches").iterdir() if p.is_dir()]) == 2
    refused = command(server, "replay", str(tmp_path / "batches"), str(tmp_path / "replay"), "--by", "week")
    assert refused.returncode == 1
    assert "is not the Olist archive" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_doctor_finds_no_fault_on_this_machine(lakehouse: Lakehouse) -> None:
    done = lakehouse("doctor", "--format", "json")

    checks = {row["check"]: row for row in json.loads(done.stdout)}
    to_fix = {name for name, row in checks.items() if not row["passed"]}
    assert to_fix <= {"memory", "disk"}  # the tests may leave too little of these
    assert done.returncode == (1 if to_fix else 0)
    assert "our server" in checks["port"]["finding"]
    assert "every role can log in" in checks["warehouse"]["finding"]


def test_maintain_compacts_and_tests_everything_and_changes_no_row(loaded_shop: Settings, lakehouse: Lakehouse) -> None:
    before = query(loaded_shop, "select * from marts.fct_orders order by order_id")

    done = lakehouse("maintain")

    assert done.returncode == 0, done.stderr
    assert "tests passed" in done.stdout
    assert query(loaded_shop, "select * from marts.fct_orders order by order_id") == before
    assert query(loaded_shop, "select count(*) from ops.changed_keys", "loader") == [(0,)]
