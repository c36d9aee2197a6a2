"""The warehouse's image as the stack runs it: its databases, who can log in, who may do what, and its locks."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from collections.abc import Callable

import psycopg2
import pytest
from psycopg2 import errors

from lakehouse import warehouse as package_warehouse
from lakehouse.errors import Busy, WarehouseError
from lakehouse.settings import ROLES, Settings
from tests.support.processes import other_processes
from tests.support.servers import WarehouseServer, until

DATABASE = "lakehouse_main"
LOGINS = [*ROLES, "airflow", "postgres"]


@pytest.fixture(scope="module")
def main(warehouse: WarehouseServer) -> WarehouseServer:
    """A server with a raw table, an intermediate one and a mart in the image's database, of one row each."""
    for role, statement in (
        ("loader", "create schema raw_shop; create table raw_shop.orders as select 1 as order_id"),
        ("transformer", "create table intermediate.int_orders as select * from raw_shop.orders"),
        ("transformer", "create table marts.fct_orders as select * from intermediate.int_orders"),
    ):
        warehouse.query(role, DATABASE, statement)
    return warehouse


def test_the_image_makes_the_stacks_databases(warehouse: WarehouseServer) -> None:
    statement = """
        select datname, pg_get_userbyid(datdba)::text, datcollate, pg_encoding_to_char(encoding)::text
        from pg_database where datname not in ('postgres', 'template0', 'template1')
            and datname !~ '^lakehouse_test_' order by 1
    """

    assert warehouse.query("postgres", "postgres", statement) == [
        ("airflow", "airflow", "C", "UTF8"),
        ("lakehouse_demo", "owner", "C", "UTF8"),
        ("lakehouse_main", "owner", "C", "UTF8"),
    ]


MAY_ENTER = {
    "lakehouse_main": {"owner", "loader", "transformer", "bi_reader", "postgres"},
    "lakehouse_demo": {"owner", "loader", "transformer", "bi_reader", "postgres"},
    "airflow": {"airflow", "postgres"},
    "postgres": {"owner", "postgres"},
    "template1": {"postgres"},
}


@pytest.mark.parametrize("database", MAY_ENTER)
@pytest.mark.parametrize("role", LOGINS)
def test_a_role_can_connect_to_its_databases_only(warehouse: WarehouseServer, role: str, database: str) -> None:
    try:
        warehouse.connect(role, database).close()
        entered = True
    except psycopg2.OperationalError as error:
        assert "permission denied for database" in str(error)
        entered = False

    assert entered == (role in MAY_ENTER[database])


ALLOWED = {
    "the loader writes raw": ("loader", "update raw_shop.orders set order_id = 1"),
    "dbt reads raw": ("transformer", "select * from raw_shop.orders"),
    "dbt writes marts": ("transformer", "update marts.fct_orders set order_id = 1"),
    "a report reads marts": ("bi_reader", "select * from fct_orders"),
    "a report's driver takes a connection back": ("bi_reader", "select pg_advisory_unlock_all()"),
}  # fmt: skip

DENIED = {
    "the loader cannot read marts": ("loader", "select * from marts.fct_orders"),
    "the loader cannot write marts": ("loader", "insert into marts.fct_orders values (2)"),
    "the loader cannot drop a mart": ("loader", "drop table marts.fct_orders"),
    "the loader cannot make a mart": ("loader", "create table marts.t (x int)"),
    "dbt cannot write raw": ("transformer", "insert into raw_shop.orders values (2)"),
    "dbt cannot empty raw": ("transformer", "truncate raw_shop.orders"),
    "dbt cannot make tables in raw": ("transformer", "create table raw_shop.t (x int)"),
    "dbt cannot write the load log": ("transformer", "delete from ops.load_log"),
    "a report cannot read raw": ("bi_reader", "select * from raw_shop.orders"),
    "a report cannot read ops": ("bi_reader", "select * from ops.load_log"),
    "a report cannot write marts": ("bi_reader", "set transaction read write; insert into marts.fct_orders values (2)"),
    "a report cannot make tables": ("bi_reader", "set transaction read write; create table public.t (x int)"),
    "a report cannot become the loader": ("bi_reader", "set role loader"),
    "a report cannot take a lock": ("bi_reader", "select pg_advisory_lock(1)"),
    "a report cannot try to take a lock": ("bi_reader", "select pg_try_advisory_xact_lock_shared(1, 2)"),
    "a report cannot make large objects": ("bi_reader", "set transaction read write; select lo_from_bytea(0, 'x')"),
    "a report cannot fill the log": ("bi_reader", "select pg_logical_emit_message(false, 'x', 'y')"),
    "a report cannot take more disk": ("bi_reader", "set temp_file_limit = -1"),
    "a report cannot end other reports": ("bi_reader", "select ops.end_old_readers('0 s')"),
    "the owner does not read raw by itself": ("owner", "select * from raw_shop.orders"),
    "the owner cannot become superuser": ("owner", "set role postgres"),
    "the owner cannot make superusers": ("owner", "create role other superuser"),
    "the owner cannot become airflow": ("owner", "set role airflow"),
    "the owner cannot read the server's files": ("owner", "select pg_read_file('/run/secrets/postgres_password')"),
    "the loader cannot run programs": ("loader", "copy raw_shop.orders from program 'id'"),
}


@pytest.mark.parametrize(("role", "statement"), ALLOWED.values(), ids=ALLOWED.keys())
def test_each_role_can_do_its_work(main: WarehouseServer, role: str, statement: str) -> None:
    main.query(role, DATABASE, statement)


@pytest.mark.parametrize(("role", "statement"), DENIED.values(), ids=DENIED.keys())
def test_no_role_can_do_more(main: WarehouseServer, role: str, statement: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        main.query(role, DATABASE, statement)


def test_reports_leave_sessions_to_all_others(main: WarehouseServer) -> None:
    with contextlib.ExitStack() as reports:
        with pytest.raises(psycopg2.OperationalError, match="too many connections for role"):
            while True:
                reports.enter_context(contextlib.closing(main.connect("bi_reader", DATABASE)))

        for role in ROLES[:3]:
            main.query(role, DATABASE, "select 1")
        main.query("airflow", "airflow", "select 1")


def test_a_report_that_takes_too_much_memory_fails_alone(main: WarehouseServer) -> None:
    with contextlib.closing(main.connect("airflow", "airflow")) as airflow, airflow.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        with pytest.raises(errors.OutOfMemory):
            main.query(
                "bi_reader",
                DATABASE,
                "set work_mem = '8GB'; select count(*) from (select generate_series(1, 30000000) order by 1 desc)",
            )

        cursor.execute("select 1")


def test_a_report_that_switches_off_its_time_limits_is_ended(main: WarehouseServer) -> None:
    with contextlib.closing(main.connect("bi_reader", DATABASE)) as report, report.cursor() as cursor:
        cursor.execute("set statement_timeout = 0; set idle_in_transaction_session_timeout = 0")
        cursor.execute("select * from fct_orders")

        assert main.query("transformer", DATABASE, "select ops.end_old_readers('10 minutes')") == [(0,)]
        assert main.query("transformer", DATABASE, "select ops.end_old_readers('0 s')") == [(1,)]

        with pytest.raises(psycopg2.OperationalError):
            cursor.execute("select 1")


def test_only_postgres_is_a_superuser(warehouse: WarehouseServer) -> None:
    statement = """
        select rolname::text, rolsuper or rolreplication or rolbypassrls
        from pg_roles where rolname !~ '^pg_' order by 1
    """

    found = dict(warehouse.query("loader", DATABASE, statement))

    assert found == {**dict.fromkeys([*ROLES, "airflow"], False), "postgres": True}


def test_every_connection_needs_a_password_by_scram(warehouse: WarehouseServer) -> None:
    rules = warehouse.query(
        "postgres", "postgres", "select type, database, user_name, auth_method, error from pg_hba_file_rules"
    )
    verifiers = warehouse.query(
        "postgres",
        "postgres",
        "select rolname::text, left(rolpassword, 14) from pg_authid where rolpassword is not null",
    )

    assert sorted(rules) == [
        ("host", ["all"], ["all"], "scram-sha-256", None),
        ("local", ["all"], ["all"], "scram-sha-256", None),
    ]
    assert dict(verifiers) == dict.fromkeys(LOGINS, "SCRAM-SHA-256$")


@pytest.mark.parametrize("role", LOGINS)
@pytest.mark.parametrize("password", ["wrong", ""], ids=["a wrong password", "no password"])
def test_no_role_logs_in_without_its_password(
    warehouse: WarehouseServer, role: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSFILE", "/nonexistent")
    monkeypatch.delenv("PGPASSWORD", raising=False)

    with pytest.raises(psycopg2.OperationalError, match="password"):
        warehouse.connect(role, "postgres", password)


def test_the_socket_inside_the_container_needs_a_password_too(warehouse: WarehouseServer) -> None:
    answer = warehouse.container.exec(["psql", "--no-password", "-U", "postgres", "-c", "select 1"])

    assert answer.exit_code != 0
    assert b"no password supplied" in answer.output


def test_no_password_is_in_the_logs_or_in_what_docker_inspect_shows(warehouse: WarehouseServer) -> None:
    shown = warehouse.says() + json.dumps(warehouse.container.get_wrapped_container().attrs)

    assert "/run/secrets/postgres_password" in shown
    assert [file.name for file in warehouse.folder.iterdir() if file.read_text().strip() in shown] == []


def test_a_client_with_the_loaders_password_alone_finds_the_images_database_ready(
    client: Callable[..., Settings],
) -> None:
    only_loader = client("demo", "loader")

    package_warehouse.prepare(only_loader)

    with package_warehouse.cursor(only_loader) as cursor:
        cursor.execute("select count(*) from ops.load_log")
        assert cursor.fetchone() == (0,)


def test_another_workspaces_database_needs_the_owners_password(
    warehouse: WarehouseServer, client: Callable[..., Settings]
) -> None:
    with pytest.raises(WarehouseError, match="only the role owner may bring it there"):
        package_warehouse.prepare(client("another", "loader"))

    package_warehouse.prepare(client("another", "loader", "owner"))

    package_warehouse.prepare(client("another", "loader"))
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        warehouse.connect("airflow", "lakehouse_another")
    with pytest.raises(errors.InsufficientPrivilege):
        warehouse.query("bi_reader", "lakehouse_another", "select pg_advisory_lock(1)")
    package_warehouse.drop_database(client("another", "owner"))


HOLD = """
    with warehouse.lock(settings, "shop.orders"):
        print("here", flush=True)
        input()
"""


def test_a_lock_keeps_another_process_out_until_its_holder_is_done(settings: Settings) -> None:
    with other_processes(settings) as run:
        holder = run(HOLD)
        with pytest.raises(Busy, match=f"pid {holder.pid} on "), _lock(settings, wait_seconds=0.2):
            pass
        taken: list[float] = []
        waiting = threading.Thread(target=lambda: _take(settings, taken))
        waiting.start()
        until(lambda: _waiting(settings) == 1, "no process waits")
        assert taken == []

        assert holder.stdin is not None
        holder.stdin.write("\n")
        holder.stdin.flush()
        waiting.join(20)

    assert len(taken) == 1


def test_a_lock_ends_with_a_killed_holder(settings: Settings) -> None:
    with other_processes(settings) as run:
        holder = run(HOLD)

        holder.send_signal(signal.SIGKILL)

        with _lock(settings, wait_seconds=20):
            pass


def _lock(settings: Settings, wait_seconds: float | None = None):  # type: ignore[no-untyped-def]
    return package_warehouse.lock(settings, "shop.orders", wait_seconds=wait_seconds)


def _take(settings: Settings, taken: list[float]) -> None:
    with _lock(settings):
        taken.append(time.monotonic())


def _waiting(settings: Settings) -> int:
    with package_warehouse.cursor(settings) as cursor:
        cursor.execute(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'advisory'"
        )
        return int(cursor.fetchone()[0])  # type: ignore[index]
