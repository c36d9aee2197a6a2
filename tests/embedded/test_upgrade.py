"""What version 0.1.0 made (commit 30404c2) is known, and is made again: by the next run, without a message before it.

That run does every step once more, since the rules of bronze, silver and Olist's ids changed. All rows are equal,
in the lake and in the columns that the marts had, but for the keys of inferred customers, which are made in another
way.
"""

from __future__ import annotations

import csv
import hashlib
import io
import runpy
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from io import BytesIO
from typing import Any

import pytest
from minio import Minio
from pydantic import SecretStr

from lakehouse import steps, warehouse
from lakehouse.contract.model import Contract, Rule
from lakehouse.contract.odcs import read_contract
from lakehouse.lake.bad_records import StoppedRecord, bad_records
from lakehouse.lake.ledger import read_ledger
from lakehouse.lake.places import table_path
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing.manifest import read_manifests
from lakehouse.marts import step as marts
from lakehouse.notify import outbox
from lakehouse.pipeline import arrivals, reconcile
from lakehouse.pipeline import run as pipeline
from lakehouse.pipeline.pending import loaded_fingerprints
from lakehouse.settings import PROJECT_DIR, Settings
from lakehouse.steps import STEP_NAMES, Step, expected
from lakehouse.warehouse.connections import open_connection
from lakehouse.warehouse.passwords import superuser_password_file
from lakehouse.workspaces import take_over
from tests.support.lake import Silent, delta_versions, query
from tests.support.s3_server import BUCKETS, s3_settings
from tests.support.upgrade_fixture import (
    fingerprints,
    mart_rows,
    old_home,
    restore_database,
    rows_as_csv,
    stack_objects,
)

FIRST, SECOND, THIRD = date(2018, 1, 1), date(2018, 1, 2), date(2018, 1, 3)
CONTRACT = read_contract(PROJECT_DIR / "contracts", "olist")
NEW_COLUMNS: dict[str, dict[str, object]] = {
    "reconciliation": {"is_held": False},
    "marts_state": {"relations": []},
    "notices": {"refusals": 0},
}
# A column of 0.1.0 -> its name since.
RENAMED = {
    ("fct_orders", "freight_value"): "order_freight_value",
    ("fct_orders", "payment_value"): "order_payment_value",
}
RULES_CHANGED, WITHDRAWN = "delivered again, or its contract changed", "withdrawn since"
CHANGED_KEYS = "select table_name, key from ops.changed_keys order by 1, 2"
COUNTS = (
    "select table_name, batch_date, records, rejected, duplicates, superseded, quarantined, loaded, is_held "
    "from ops.batch_counts order by 1, 2"
)
CLAIMS = "select place, batch_date, content, {} from ops.{} order by 1, 2"


@pytest.fixture(scope="module")
def old(
    server: Settings, new_workspace: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Lakehouse]:
    """A state of the old home: `old("shop")`, which is complete, or `old("waiting")`, of which nothing was run."""
    home = tmp_path_factory.mktemp("old") / "home"
    home.mkdir()
    old_home(home)
    assert take_over(home)
    new_workspace()  # makes the roles
    for name in ("shop", "waiting"):
        restore_database(lambda database: open_connection(server, "postgres", database), f"lakehouse_{name}")

    def workspace(name: str) -> Lakehouse:
        changes = {"home": home, "secrets_dir": server.secrets_path, "workspace": name}
        return Lakehouse(server.model_copy(update=changes), CONTRACT)

    return workspace


@pytest.fixture(scope="module")
def shop(old: Callable[[str], Lakehouse]) -> Lakehouse:
    """The complete one, after this version's SQL."""
    lakehouse = old("shop")
    claims = query(lakehouse.settings, CLAIMS.format("run_id, taken_up_at", "taken_up"), "loader")
    before = ops_rows(lakehouse.settings)

    warehouse.prepare(lakehouse.settings)

    assert query(lakehouse.settings, CLAIMS.format("claimed_by, claimed_at", "claims"), "loader") == claims
    after = ops_rows(lakehouse.settings)
    assert after.pop("batch_counts")
    assert unnamed(after) == unnamed(with_new_columns(before))
    return lakehouse


def test_the_workspace_of_the_last_run_is_still_known(shop: Lakehouse) -> None:
    assert Settings.load(home=shop.settings.home).workspace_name == "shop"


def test_the_database_is_made_ready_once(shop: Lakehouse) -> None:
    before = ops_rows(shop.settings)

    warehouse.prepare(shop.settings)

    assert ops_rows(shop.settings) == before
    assert "taken_up" not in before


def test_everything_landed_is_pending_from_bronze_on(shop: Lakehouse) -> None:
    assert [manifest.batch_date for manifest in read_manifests(shop)] == [FIRST, SECOND, THIRD]
    assert pending_of(shop) == [
        ("bronze", table, day, WITHDRAWN if (table, day) == ("order_payments", SECOND) else RULES_CHANGED)
        for table, day in fingerprints()
    ]


def test_what_was_never_run_is_pending_from_bronze_on(old: Callable[[str], Lakehouse]) -> None:
    waiting = old("waiting")
    warehouse.prepare(waiting.settings)

    pending = pipeline.pending_now(waiting)

    assert {(unit.step, unit.batch_date, unit.why) for unit in pending} == {("bronze", FIRST, "not done yet")}
    assert {unit.table for unit in pending} == set(read_manifests(waiting)[0].tables)


def test_with_the_rules_of_then_every_fingerprint_is_computed_as_it_was(
    shop: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "STEPS", (Step("bronze", version=1), Step("silver", version=2), Step("load", version=1)))
    contract = as_it_was(CONTRACT)

    computed = {
        (table, manifest.batch_date): expected(contract.table(table), manifest)
        for manifest in read_manifests(shop)
        for table in manifest.tables
    }

    assert computed == fingerprints()


def test_every_fingerprint_is_read_where_it_was_noted(shop: Lakehouse) -> None:
    assert fingerprints_noted(shop) == fingerprints()


def test_a_withdrawn_table_stays_withdrawn(shop: Lakehouse) -> None:
    rows = query(shop.settings, "select count(*) from raw_olist.order_payments where _batch_date = '2018-01-02'")

    assert read_manifests(shop)[1].tables["order_payments"] is None
    assert rows == [(0,)]


def test_a_batch_that_was_never_run_is_new(old: Callable[[str], Lakehouse]) -> None:
    waiting = old("waiting")
    warehouse.prepare(waiting.settings)

    assert [(new.arrival.place, new.arrival.batch_date) for new in arrivals.new_batches(waiting)] == [
        ("landing", FIRST)
    ]


def test_the_counts_of_what_was_loaded_are_there(shop: Lakehouse) -> None:
    counts = query(shop.settings, "select table_name, batch_date from ops.batch_counts order by 1, 2", "loader")

    assert counts == sorted({*fingerprints()} - {("order_payments", SECOND)}), "all but what was withdrawn"


def test_the_next_run_does_every_step_once_more_with_equal_rows_and_is_then_complete(
    shop: Lakehouse, spark: Any
) -> None:
    raw, bad, changed = raw_rows(shop), bad_records_of(shop), query(shop.settings, CHANGED_KEYS, "loader")
    counted = query(shop.settings, COUNTS, "loader")
    assert marts_of(shop) == mart_rows()
    assert marts.pending(shop) == "the dbt project changed"

    first, second = Silent(), Silent()
    report = pipeline.run(shop, first, spark=spark)

    done = sorted((result.table, result.batch_date, result.step) for result in first.steps if result.done)
    assert done == sorted((table, day, step) for table, day in fingerprints() for step in STEP_NAMES)
    assert report.marts.full_refresh
    assert (raw_rows(shop), bad_records_of(shop)) == (raw, bad)
    assert query(shop.settings, CHANGED_KEYS, "loader") == changed
    assert query(shop.settings, COUNTS, "loader") == counted
    assert marts_of(shop).keys() - mart_rows().keys() == {"dim_order"}
    assert in_the_columns_of_then(marts_of(shop)) == in_the_columns_of_then(with_new_keys(mart_rows()))
    reconcile.facts(shop, all_keys=True)
    loads, versions = (
        query(shop.settings, "select * from ops.load_log order by 1", "loader"),
        delta_versions(shop.settings, CONTRACT),
    )
    assert not pipeline.run(shop, second, spark=spark).did_something
    assert (second.steps, second.models) == ([], [])
    assert query(shop.settings, "select * from ops.load_log order by 1", "loader") == loads
    assert delta_versions(shop.settings, CONTRACT) == versions


@pytest.fixture(scope="module")
def stack(
    server: Settings, new_workspace: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lakehouse]:
    """The workspace of the old stack: its store's objects in another store, its warehouse, its volume `lakehouse`."""
    home = tmp_path_factory.mktemp("old_stack")
    old_home(home, "stack")
    assert take_over(home)
    new_workspace()  # makes the roles
    restore_database(lambda database: open_connection(server, "postgres", database), "lakehouse_main", "stack")
    with s3_settings() as store:
        address = store["s3_endpoint"].removeprefix("http://")
        client = Minio(address, store["s3_access_key"], store["s3_secret_key"], secure=False, region="us-east-1")
        for bucket, key, content in stack_objects():
            client.put_object(bucket, key, BytesIO(content), len(content))
        layers = {f"{bucket}_url": f"s3://{bucket}/main" for bucket in BUCKETS}
        own = {"home": home, "secrets_dir": server.secrets_path, "workspace": "main"}
        secret_key = SecretStr(store["s3_secret_key"])
        settings = server.model_copy(update={**store, **layers, **own, "s3_secret_key": secret_key})
        warehouse.prepare(settings)
        yield Lakehouse(settings, CONTRACT)


def test_everything_of_a_stack_is_pending_from_bronze_on(stack: Lakehouse) -> None:
    assert [manifest.batch_date for manifest in read_manifests(stack)] == [FIRST, SECOND, THIRD]
    assert pending_of(stack) == [("bronze", table, day, RULES_CHANGED) for table, day in fingerprints("stack")]
    assert fingerprints_noted(stack) == fingerprints("stack")
    assert marts.pending(stack) == "the dbt project changed"
    assert marts_of(stack) == mart_rows("stack")


def test_a_stack_runs_only_what_a_command_loaded_by_itself_and_sends_no_message(stack: Lakehouse) -> None:
    claims = CLAIMS.format("claimed_at", "claims")
    before, claimed = ops_rows(stack.settings), query(stack.settings, claims, "loader")
    assert [(place, day) for place, day, *_ in claimed] == [
        *(("drop", FIRST), ("drop", SECOND)),
        *(("landing", FIRST), ("landing", SECOND), ("landing", THIRD)),
    ]
    assert len(before["notices"]) > 3
    sent = []

    new = [batch.arrival for batch in arrivals.new_batches(stack)]
    assert outbox.send_unsent(stack.settings, lambda notice, attempts: sent.append(notice) or "log") == 0

    # A command loaded all three last, and may have left them undone. The content of each claim stays as it was.
    assert [(arrival.place, arrival.batch_date) for arrival in new] == [
        ("landing", day) for day in (FIRST, SECOND, THIRD)
    ]
    assert sent == []
    assert query(stack.settings, claims, "loader") == claimed
    assert ops_rows(stack.settings) == before
    # What a run of the orchestrator loaded waits for `make backfill`.
    arrivals.claim(stack, new[:2], "a run of lake")
    assert [batch.arrival.batch_date for batch in arrivals.new_batches(stack)] == [THIRD]


@pytest.fixture
def airflow_database(server: Settings, new_workspace: Callable[..., Settings]) -> Iterator[None]:
    """Airflow's database of the old stack, on a server that has no such role otherwise."""
    new_workspace()  # makes the roles
    with closing(open_connection(server, "postgres", "postgres")) as connection:
        connection.autocommit = True
        connection.cursor().execute("create role airflow")
        restore_database(lambda database: open_connection(server, "postgres", database), "airflow", "stack")
        yield
        connection.cursor().execute("drop database airflow with (force)")
        connection.cursor().execute("drop role airflow")


@pytest.mark.usefixtures("airflow_database")
def test_airflow_finds_the_triggers_of_0_1_0_under_their_new_names(server: Settings) -> None:
    password = superuser_password_file(server).read_text().strip()
    url = f"postgresql://postgres:{password}@{server.postgres_host}:{server.postgres_port}/airflow"
    init = runpy.run_path(str(PROJECT_DIR / "airflow" / "bin" / "init.py"))

    init["_rename_triggers"](url)

    with closing(open_connection(server, "postgres", "airflow")) as connection, connection.cursor() as cursor:
        cursor.execute("select classpath from trigger")
        triggers = [classpath.rsplit(".", 1) for (classpath,) in cursor.fetchall()]
    assert ["lakehouse_airflow.landing_trigger", "LandingTrigger"] in triggers
    for module, name in [*triggers, *(new.rsplit(".", 1) for new in init["OLD_TRIGGERS"].values())]:
        code = (PROJECT_DIR / "airflow" / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
        assert f"\nclass {name}(" in code


def pending_of(lakehouse: Lakehouse) -> list[tuple[str, str, date, str]]:
    pending = pipeline.pending_now(lakehouse)
    return sorted((unit.step, unit.table, unit.batch_date, unit.why) for unit in pending)


def as_it_was(contract: Contract) -> Contract:
    """The contract as it was in 0.1.0, when references were no part of a table's rules."""

    def is_new(rule: Rule) -> bool:
        return (rule.check, rule.severity, rule.pattern) == ("pattern", "warning", "[0-9a-f]{32}")

    def old(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        return tuple(rule for rule in rules if not is_new(rule))

    tables = (
        replace(table, columns=tuple(replace(c, rules=old(c.rules), references=None) for c in table.columns))
        for table in contract.tables
    )
    return replace(contract, tables=tuple(tables))


def raw_rows(lakehouse: Lakehouse) -> dict[str, str]:
    """Every raw table as CSV."""
    with warehouse.connect(lakehouse.settings, "loader") as connection:
        return rows_as_csv(connection, "raw_olist")


def bad_records_of(lakehouse: Lakehouse) -> list[StoppedRecord]:
    """The bad records, with their reasons as 0.1.0 wrote them: without the wanted form."""
    found = (
        replace(record, reasons=tuple(reason.split(" (")[0] for reason in record.reasons))
        for record in bad_records(lakehouse.bronze, lakehouse.silver, CONTRACT.tables, superseded=True)
    )
    return sorted(found, key=lambda record: (record.table, record.batch_date, record.stage, record.row))


def with_new_keys(rows: dict[str, str]) -> dict[str, str]:
    """The relations with the keys that inferred customers have since."""
    new = {}
    for row in csv.DictReader(io.StringIO(rows["dim_customer"])):
        if row["is_inferred"] == "t" and row["customer_key"] != "unknown":
            new[row["customer_key"]] = hashlib.md5(f"{row['customer_unique_id']}|customer_id".encode()).hexdigest()
    assert new
    for old_key, new_key in new.items():
        rows = {name: text.replace(old_key, new_key) for name, text in rows.items()}
    return rows


def in_the_columns_of_then(rows: dict[str, str]) -> dict[str, list[tuple[str, ...]]]:
    """The rows of each mart that 0.1.0 had, in its columns, sorted: another key gives its row another place."""
    found = {}
    for mart, then in mart_rows().items():
        columns = next(csv.reader(io.StringIO(then)))
        found[mart] = sorted(
            tuple(row[name] if name in row else row[RENAMED[mart, name]] for name in columns)
            for row in csv.DictReader(io.StringIO(rows[mart]))
        )
    return found


def fingerprints_noted(lakehouse: Lakehouse) -> dict[tuple[str, date], dict[str, str]]:
    """(table, batch date) -> step -> the fingerprint in its ledger or load log."""
    loaded = loaded_fingerprints(lakehouse)
    paths = {table: table_path(CONTRACT.table(table)) for table, _ in loaded}
    return {
        (table, day): {
            "bronze": read_ledger(lakehouse.bronze, paths[table]).entries[day].fingerprint,
            "silver": read_ledger(lakehouse.silver, paths[table]).entries[day].fingerprint,
            "load": loaded[table, day],
        }
        for table, day in loaded
    }


def marts_of(lakehouse: Lakehouse) -> dict[str, str]:
    """Every mart as CSV, but the view over ops, which 0.1.0 had not."""
    with warehouse.connect(lakehouse.settings, "transformer") as connection:
        return {name: text for name, text in rows_as_csv(connection).items() if name != "data_quality"}


def ops_rows(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of each table of ops with their places, which change when a row is written again."""
    tables = query(settings, "select tablename from pg_tables where schemaname = 'ops' order by 1", "loader")
    return {
        table: query(settings, f"select ctid, to_jsonb(t) from ops.{table} as t order by ctid", "loader")
        for (table,) in tables
    }


def with_new_columns(rows: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    """With the columns that this version adds, which have their defaults and so rewrite no row."""
    return {
        table: [(place, {**row, **NEW_COLUMNS.get(table, {})}) for place, row in found] for table, found in rows.items()
    }


def unnamed(rows: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    """Without the table that this version gives another name."""
    return {table: found for table, found in rows.items() if table not in ("taken_up", "claims")}
