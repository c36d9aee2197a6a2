"""Each role of the warehouse can do its work, and no more."""

from __future__ import annotations

from contextlib import closing

import psycopg2
import pytest

from lakehouse import warehouse
from lakehouse.errors import WarehouseError
from lakehouse.settings import ROLES
from lakehouse.warehouse.connections import open_connection


def run(settings, role, statement):
    with warehouse.connect(settings, role) as connection:
        cursor = connection.cursor()
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module")
def shop(new_workspace):
    """A workspace with a raw table, an intermediate one and a mart, each with one row and made by the right role."""
    settings = new_workspace()
    run(settings, "loader", "create schema raw_shop; create table raw_shop.orders as select 1 as order_id")
    run(
        settings,
        "loader",
        "insert into ops.load_log (source, table_name, batch_date, fingerprint, rows, is_current) "
        "values ('shop', 'orders', '2018-01-05', 'f', 1, true)",
    )
    run(settings, "transformer", "create table intermediate.int_orders as select * from raw_shop.orders")
    run(settings, "transformer", "create table marts.fct_orders as select * from intermediate.int_orders")
    run(settings, "transformer", "create view marts.data_quality as select * from ops.batch_counts")
    return settings


ALLOWED = {
    "the loader makes raw schemas": ("loader", "create schema raw_other; drop schema raw_other"),
    "the loader writes ops": ("loader", "update ops.load_log set rows = 1"),
    "the loader uses temporary tables": ("loader", "create temporary table t (x int)"),
    "dbt reads raw": ("transformer", "select * from raw_shop.orders"),
    "dbt reads the load log": ("transformer", "select * from ops.load_log"),
    "dbt reads the changed keys": ("transformer", "select * from ops.changed_keys"),
    "dbt reads the counts": ("transformer", "select * from ops.batch_counts"),
    "dbt writes the marts' state": (
        "transformer",
        "insert into ops.marts_state (source, load_id, project_hash, status) values ('shop', 1, 'h', 'building'); "
        "update ops.marts_state set status = 'complete'; delete from ops.marts_state",
    ),
    "dbt uses temporary tables": ("transformer", "create temporary table t (x int)"),
    "a report reads marts": ("bi_reader", "select * from marts.fct_orders"),
    "a report's driver takes a connection back": ("bi_reader", "select pg_advisory_unlock_all()"),
    "a report reads a view over ops": ("bi_reader", "select * from marts.data_quality"),
    "a report needs no schema name": ("bi_reader", "select * from fct_orders"),
}  # fmt: skip

DENIED = {
    "the loader cannot read marts": ("loader", "select * from marts.fct_orders"),
    "the loader cannot drop a mart": ("loader", "drop table marts.fct_orders"),
    "the loader cannot make a mart": ("loader", "create table marts.t (x int)"),
    "the loader cannot write intermediate": ("loader", "insert into intermediate.int_orders values (2)"),
    "the loader cannot become dbt": ("loader", "set role transformer"),
    "dbt cannot write raw": ("transformer", "insert into raw_shop.orders values (2)"),
    "dbt cannot delete from raw": ("transformer", "delete from raw_shop.orders"),
    "dbt cannot truncate raw": ("transformer", "truncate raw_shop.orders"),
    "dbt cannot drop raw": ("transformer", "drop table raw_shop.orders"),
    "dbt cannot make tables in raw": ("transformer", "create table raw_shop.t (x int)"),
    "dbt cannot write the load log": ("transformer", "update ops.load_log set rows = 2"),
    "dbt cannot write the counts": ("transformer", "update ops.batch_counts set loaded = 2"),
    "dbt cannot read the runs": ("transformer", "select * from ops.runs"),
    "dbt cannot make schemas": ("transformer", "create schema s"),
    "a report cannot read raw": ("bi_reader", "select * from raw_shop.orders"),
    "a report cannot read intermediate": ("bi_reader", "select * from intermediate.int_orders"),
    "a report cannot read ops": ("bi_reader", "select * from ops.load_log"),
    "a report cannot read the counts behind a view": ("bi_reader", "select * from ops.batch_counts"),
    "a report cannot become the loader": ("bi_reader", "set role loader"),
    "a report cannot take a lock": ("bi_reader", "select pg_advisory_lock(1)"),
    "a report cannot try to take a lock": ("bi_reader", "select pg_try_advisory_xact_lock_shared(1, 2)"),
    "a report cannot make large objects": ("bi_reader", "set transaction read write; select lo_from_bytea(0, 'x')"),
    "a report cannot fill the log": ("bi_reader", "select pg_logical_emit_message(false, 'x', 'y')"),
    "a report cannot take more disk": ("bi_reader", "set temp_file_limit = -1"),
    "the owner cannot read raw": ("owner", "select * from raw_shop.orders"),
}
WRITES = {
    "insert": "insert into marts.fct_orders values (2)",
    "update": "update marts.fct_orders set order_id = 2",
    "delete": "delete from marts.fct_orders",
    "truncate": "truncate marts.fct_orders",
    "drop": "drop table marts.fct_orders",
    "create": "create table marts.t (x int)",
    "create in public": "create table public.t (x int)",
    "temporary table": "create temporary table t (x int)",
    "schema": "create schema s",
}


@pytest.mark.parametrize(("role", "statement"), ALLOWED.values(), ids=ALLOWED.keys())
def test_each_role_can_do_its_work(shop, role, statement):
    run(shop, role, statement)


@pytest.mark.parametrize(("role", "statement"), DENIED.values(), ids=DENIED.keys())
def test_no_role_can_do_more(shop, role, statement):
    with pytest.raises(WarehouseError) as raised:
        run(shop, role, statement)

    assert isinstance(raised.value.__cause__, psycopg2.errors.InsufficientPrivilege)


@pytest.mark.parametrize("statement", WRITES.values(), ids=WRITES.keys())
def test_a_report_cannot_write_even_if_it_asks_for_a_writing_transaction(shop, statement):
    with pytest.raises(WarehouseError) as by_default:
        run(shop, "bi_reader", statement)
    with pytest.raises(WarehouseError) as on_demand:
        run(shop, "bi_reader", f"set transaction read write; {statement}")

    assert isinstance(
        by_default.value.__cause__, psycopg2.errors.ReadOnlySqlTransaction | psycopg2.errors.InsufficientPrivilege
    )
    assert isinstance(on_demand.value.__cause__, psycopg2.errors.InsufficientPrivilege)


def test_a_report_is_read_only_and_limited_in_time(shop):
    names = ("default_transaction_read_only", "statement_timeout", "idle_in_transaction_session_timeout")

    assert [run(shop, "bi_reader", f"show {name}") for name in names] == [[("on",)], [("5min",)], [("1min",)]]


def test_limits_of_a_report(shop):
    (limits,) = run(shop, "bi_reader", "select rolconnlimit from pg_roles where rolname = 'bi_reader'")

    assert limits == (20,)
    assert run(shop, "bi_reader", "show temp_file_limit") == [("1GB",)]


def test_no_role_is_a_superuser_or_can_bypass_row_security(shop):
    statement = "select rolname::text, rolsuper, rolreplication, rolbypassrls from pg_roles where rolname !~ '^pg_'"

    found = {name: flags for name, *flags in run(shop, "loader", statement)}

    assert set(found) == {*ROLES, "postgres"}
    assert [found[role] for role in ROLES] == [[False, False, False]] * 4


def test_grants_survive_a_full_refresh(shop):
    run(shop, "transformer", "create table marts.dim_date as select 1 as date_key")
    run(shop, "transformer", "drop table marts.dim_date; create table marts.dim_date__new as select 2 as date_key; "
        "alter table marts.dim_date__new rename to dim_date")  # fmt: skip

    assert run(shop, "bi_reader", "select date_key from marts.dim_date") == [(2,)]


def test_grants_survive_publishing_by_rename(shop):
    run(shop, "loader", "create table raw_shop.items__staging as select 1 as item_id; "
        "alter table raw_shop.items__staging rename to items")  # fmt: skip

    assert run(shop, "transformer", "select item_id from raw_shop.items") == [(1,)]


def test_a_new_ops_table_is_not_read_by_dbt_after_prepare(shop):
    run(shop, "loader", "create table ops.private (x int)")
    run(shop, "owner", f"comment on database {shop.database_name} is 'old'")
    warehouse.prepare(shop)

    with pytest.raises(WarehouseError, match="permission denied for table private"):
        run(shop, "transformer", "select * from ops.private")


@pytest.mark.parametrize("role", [*ROLES, "postgres"])
@pytest.mark.parametrize("password", ["wrong", ""], ids=["a wrong password", "no password"])
def test_no_role_can_connect_without_its_password(shop, role, password, monkeypatch):
    monkeypatch.setenv("PGPASSFILE", "/nonexistent")

    with pytest.raises(psycopg2.OperationalError, match="password"):
        psycopg2.connect(host="127.0.0.1", port=shop.postgres_port, dbname="postgres", user=role, password=password)


def test_passwords_are_kept_as_scram_verifiers(shop):
    with closing(open_connection(shop, "postgres", "postgres")) as connection:
        cursor = connection.cursor()
        cursor.execute("select rolname::text, left(rolpassword, 14) from pg_authid where rolpassword is not null")
        found = dict(cursor.fetchall())

    assert found == dict.fromkeys([*ROLES, "postgres"], "SCRAM-SHA-256$")


def test_only_the_owner_may_enter_the_maintenance_database(shop):
    for role in ("loader", "transformer", "bi_reader"):
        with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
            psycopg2.connect(
                host="127.0.0.1", port=shop.postgres_port, dbname="postgres", user=role, password=shop.password(role)
            )
