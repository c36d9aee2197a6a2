"""What commit 30404c2 made is found complete: nothing runs again, no run is started, nobody is told anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from io import BytesIO
from typing import Any

import pytest
from minio import Minio
from outcomes import Silent, delta_versions, query
from pydantic import SecretStr
from s3_server import BUCKETS, s3_settings
from upgrade_fixture import fingerprints, mart_rows, old_home, restore_database, rows_as_csv, stack_objects

from lakehouse import arrivals, bronze, load, marts, notices, pipeline, reconcile, silver, warehouse
from lakehouse.connections import open_connection
from lakehouse.contract import Contract
from lakehouse.ledger import read_ledger
from lakehouse.manifest import read_manifests
from lakehouse.odcs import read_contract
from lakehouse.pending import loaded_fingerprints
from lakehouse.settings import PROJECT_DIR, Settings
from lakehouse.store import open_store

FIRST, SECOND, THIRD = date(2018, 1, 1), date(2018, 1, 2), date(2018, 1, 3)


@pytest.fixture(scope="module")
def contract() -> Contract:
    return read_contract(PROJECT_DIR / "contracts", "olist")


@pytest.fixture(scope="module")
def old(
    server: Settings, new_state: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Settings]:
    """A state of the old home: `old("shop")`, which is complete, or `old("waiting")`, of which nothing was run."""
    home = tmp_path_factory.mktemp("old") / "home"
    home.mkdir()
    old_home(home)
    new_state()  # makes the roles
    for name in ("lakehouse_shop", "lakehouse_waiting"):
        restore_database(lambda database: open_connection(server, "postgres", database), name)

    def state(name: str) -> Settings:
        return server.model_copy(update={"home": home, "secrets_dir": server.secrets_path, "state": name})

    return state


@pytest.fixture(scope="module")
def shop(old: Callable[[str], Settings]) -> Settings:
    return old("shop")


def test_the_state_of_the_last_run_is_still_known(shop: Settings) -> None:
    assert Settings.load(home=shop.home).state_name == "shop"


def test_the_database_is_ready_as_it_is(shop: Settings) -> None:
    before = remembered(shop)

    warehouse.prepare(shop)

    assert remembered(shop) == before


def test_nothing_landed_is_pending(shop: Settings, contract: Contract) -> None:
    assert [manifest.batch_date for manifest in read_manifests(shop)] == [FIRST, SECOND, THIRD]
    assert pipeline.pending_now(shop, contract) == []


def test_what_was_not_run_is_pending_from_bronze_on(old: Callable[[str], Settings], contract: Contract) -> None:
    waiting = old("waiting")
    warehouse.prepare(waiting)

    pending = pipeline.pending_now(waiting, contract)

    assert {(unit.step, unit.batch_date, unit.why) for unit in pending} == {("bronze", FIRST, "not done yet")}
    assert {unit.table for unit in pending} == set(read_manifests(waiting)[0].tables)


def test_every_fingerprint_is_computed_as_it_was(shop: Settings, contract: Contract) -> None:
    steps = {"bronze": bronze, "silver": silver, "load": load}

    computed = {
        (table, manifest.batch_date): {
            step: module.expected_fingerprint(contract.table(table), manifest) for step, module in steps.items()
        }
        for manifest in read_manifests(shop)
        for table in manifest.tables
    }

    assert computed == fingerprints()


def test_every_fingerprint_is_read_where_it_was_noted(shop: Settings, contract: Contract) -> None:
    assert fingerprints_noted(shop, contract) == fingerprints()


def test_a_withdrawn_table_stays_withdrawn(shop: Settings) -> None:
    assert read_manifests(shop)[1].tables["order_payments"] is None
    assert query(shop, "select count(*) from raw_olist.order_payments where _batch_date = '2018-01-02'") == [(0,)]


def test_no_batch_is_news_but_what_was_not_run(old: Callable[[str], Settings], contract: Contract) -> None:
    found = {state: arrivals.news(old(state), contract) for state in ("shop", "waiting")}

    assert found["shop"] == []
    assert [(news.arrival.place, news.arrival.batch_date) for news in found["waiting"]] == [("landing", FIRST)]


def test_the_marts_hold_everything_that_was_loaded(shop: Settings, contract: Contract) -> None:
    assert marts.pending(shop, contract) is None
    assert not reconcile.facts_are_due(shop, contract)


def test_a_run_does_nothing(shop: Settings, contract: Contract) -> None:
    before = remembered(shop), delta_versions(shop, contract)
    observer = Silent()

    report = pipeline.run(shop, contract, observer)

    assert (report.did_something, observer.steps, observer.models) == (False, [], [])
    assert (remembered(shop), delta_versions(shop, contract)) == before


def test_the_marts_built_anew_are_equal(shop: Settings, contract: Contract) -> None:
    assert rows_of_marts(shop) == mart_rows()

    assert marts.run(shop, contract, full_refresh=True).full_refresh

    assert rows_of_marts(shop) == mart_rows()
    reconcile.facts(shop, contract, all_keys=True)


@pytest.fixture(scope="module")
def stack(
    server: Settings, new_state: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """The state of the old stack: its store's objects in another store, its warehouse, its volume `lakehouse`."""
    home = tmp_path_factory.mktemp("old_stack")
    old_home(home, "stack")
    new_state()  # makes the roles
    restore_database(lambda database: open_connection(server, "postgres", database), "lakehouse_main", "stack")
    with s3_settings() as store:
        address = store["s3_endpoint"].removeprefix("http://")
        client = Minio(address, store["s3_access_key"], store["s3_secret_key"], secure=False, region="us-east-1")
        for bucket, key, content in stack_objects():
            client.put_object(bucket, key, BytesIO(content), len(content))
        layers = {f"{bucket}_url": f"s3://{bucket}/main" for bucket in BUCKETS}
        own = {"home": home, "secrets_dir": server.secrets_path, "state": "main"}
        secret_key = SecretStr(store["s3_secret_key"])
        yield server.model_copy(update={**store, **layers, **own, "s3_secret_key": secret_key})


def test_nothing_of_a_stack_is_pending(stack: Settings, contract: Contract) -> None:
    warehouse.prepare(stack)

    assert [manifest.batch_date for manifest in read_manifests(stack)] == [FIRST, SECOND, THIRD]
    assert pipeline.pending_now(stack, contract) == []
    assert fingerprints_noted(stack, contract) == fingerprints("stack")
    assert marts.pending(stack, contract) is None
    with warehouse.connect(stack, "transformer") as connection:
        assert rows_as_csv(connection) == mart_rows("stack")


def test_a_stack_starts_no_run_and_tells_nobody_anything(stack: Settings, contract: Contract) -> None:
    # Whoever looks for news notes that what was loaded by hand is loaded; the content that was taken up stays the same.
    contents = "select place, batch_date, content, taken_up_at from ops.taken_up order by 1, 2"
    before, taken_up = remembered(stack), query(stack, contents, "loader")
    assert [(place, day) for place, day, *_ in taken_up] == [
        *(("drop", FIRST), ("drop", SECOND)),
        *(("landing", FIRST), ("landing", SECOND), ("landing", THIRD)),
    ]
    assert len(before["notices"]) > 3
    told = []

    assert arrivals.news(stack, contract) == []
    assert notices.send_unsent(stack, lambda notice, attempts: told.append(notice) or "log") == 0

    assert told == []
    assert query(stack, contents, "loader") == taken_up
    assert {**remembered(stack), "taken_up": before["taken_up"]} == before


def fingerprints_noted(settings: Settings, contract: Contract) -> dict[tuple[str, date], dict[str, str]]:
    """(table, batch date) -> step -> the fingerprint in its ledger or load log."""
    loaded = loaded_fingerprints(settings, contract)
    return {
        (table, day): {
            "bronze": read_ledger(open_store(settings, "bronze"), f"olist/{table}").entries[day].fingerprint,
            "silver": read_ledger(open_store(settings, "silver"), f"olist/{table}").entries[day].fingerprint,
            "load": loaded[table, day],
        }
        for table, day in loaded
    }


def rows_of_marts(settings: Settings) -> dict[str, str]:
    with warehouse.connect(settings, "transformer") as connection:
        return rows_as_csv(connection)


def remembered(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of ops, in the order they lie in: none is written, none is written again."""
    tables = query(settings, "select tablename from pg_tables where schemaname = 'ops' order by 1", "loader")
    return {
        table: query(settings, f"select ctid, to_jsonb(t) from ops.{table} as t order by ctid", "loader")
        for (table,) in tables
    }
