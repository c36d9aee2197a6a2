"""The warehouse's container stops, is killed and restarts: what stays, and when a changed secret counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import errors

from lakehouse import warehouse as package_warehouse
from lakehouse.errors import WarehouseError
from lakehouse.settings import Settings, Target
from tests.support.servers import (
    WAREHOUSE_SECRETS,
    WarehouseServer,
    like_the_stack,
    until,
    warehouse_server,
    write_secrets,
)
from tests.support.small_source import settings_in

DATABASE = "lakehouse_main"


@pytest.fixture(scope="module")
def own_warehouse(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarehouseServer]:
    with warehouse_server(tmp_path_factory.mktemp("own-warehouse") / "secrets") as server:
        yield server


def own_settings(server: WarehouseServer, folder: Path) -> Settings:
    """Settings of a client that has the server's own secrets; the server's port changes at a restart."""
    settings = settings_in(
        folder,
        target=Target.DOCKER,
        postgres_host=server.host,
        postgres_port=server.port,
        secrets_dir=server.folder,
    )
    return settings.model_copy(update={"workspace": "main"})


def test_a_restart_keeps_data_and_changes_nothing(own_warehouse: WarehouseServer) -> None:
    own_warehouse.query("loader", DATABASE, "create schema raw_kept; create table raw_kept.t as select 1 as x")
    assert own_warehouse.says().count(f"Made database {DATABASE}") == 1

    own_warehouse.restart()

    assert own_warehouse.query("transformer", DATABASE, "select x from raw_kept.t") == [(1,)]
    assert own_warehouse.says().count("Made database") == 3
    assert own_warehouse.says().count("Updated database") == 2
    assert own_warehouse.says().count("Making a new cluster") == 1


# Runs the program of its own name, then kills the entry point, which has called it.
KILLING = """#!/bin/bash
PATH=/usr/lib/postgresql/17/bin:/usr/local/bin:/usr/bin:/bin
${0##*/} "$@"
kill -9 $PPID
sleep 5
"""


@pytest.mark.parametrize(
    ("program", "begins_again"),
    [("initdb", True), ("apply", True), ("touch", False), ("mv", False)],
    ids=["when the cluster is made", "when it is filled", "when it is whole", "while it is moved"],
)
def test_the_next_start_completes_a_killed_first_start(
    engine: None, tmp_path: Path, program: str, begins_again: bool
) -> None:
    secrets = write_secrets(tmp_path / "secrets", WAREHOUSE_SECRETS)
    (tmp_path / "killing").mkdir(mode=0o755)
    (tmp_path / "killing" / program).write_text(KILLING)
    (tmp_path / "killing" / program).chmod(0o755)
    with (
        like_the_stack("postgres", secrets)
        .with_volume_mapping(tmp_path / "killing", "/killing")
        .with_env("PATH", "/killing:/usr/lib/postgresql/17/bin:/usr/local/bin:/usr/bin:/bin")
        .with_exposed_ports(5432) as container
    ):
        server = WarehouseServer(container, secrets, 5432)
        until(lambda: _status(server) == "exited", "it was not killed")
        (tmp_path / "killing" / program).unlink()

        container.get_wrapped_container().start()
        server.wait()

        assert server.query("loader", DATABASE, "select count(*) from ops.load_log") == [(0,)]
        assert server.says().count("Making a new cluster") == 1 + begins_again
        assert container.exec(["test", "-e", "/var/lib/postgresql/data/.first-start"]).exit_code == 1


def test_a_killed_server_keeps_what_was_committed(own_warehouse: WarehouseServer) -> None:
    own_warehouse.query("loader", DATABASE, "create table ops.committed as select 1 as x")
    wrapped = own_warehouse.container.get_wrapped_container()
    wrapped.kill()
    until(lambda: _status(own_warehouse) == "exited", "it was not killed")

    wrapped.start()
    own_warehouse.wait()

    assert own_warehouse.query("loader", DATABASE, "select x from ops.committed") == [(1,)]


def _status(server: WarehouseServer) -> str:
    wrapped = server.container.get_wrapped_container()
    wrapped.reload()
    return str(wrapped.status)


def test_a_run_notices_that_its_lock_is_lost_and_publishes_nothing(
    own_warehouse: WarehouseServer, tmp_path: Path
) -> None:
    settings = own_settings(own_warehouse, tmp_path)

    with (
        pytest.raises(WarehouseError, match="The lock publish was lost"),
        package_warehouse.lock(settings, "publish") as held,
    ):
        own_warehouse.restart()
        with (
            pytest.raises(WarehouseError, match="lost"),
            package_warehouse.connect(own_settings(own_warehouse, tmp_path)) as connection,
        ):
            held.fence(connection.cursor())

    with package_warehouse.lock(own_settings(own_warehouse, tmp_path), "publish", wait_seconds=0):
        pass


@pytest.mark.parametrize(
    ("secret", "role"),
    [("loader_password", "loader"), ("airflow_db_password", "airflow"), ("postgres_password", "postgres")],
)
def test_a_changed_password_counts_after_the_next_start(own_warehouse: WarehouseServer, secret: str, role: str) -> None:
    database = {"airflow": "airflow"}.get(role, DATABASE)
    old = own_warehouse.replace_secret(secret)
    own_warehouse.connect(role, database, old).close()
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        own_warehouse.connect(role, database)

    own_warehouse.restart()

    own_warehouse.connect(role, database).close()
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        own_warehouse.connect(role, database, old)


def test_the_next_start_revokes_what_was_granted_manually(own_warehouse: WarehouseServer) -> None:
    own_warehouse.query("postgres", "postgres", "alter role bi_reader superuser; alter role loader createdb")

    own_warehouse.restart()

    with pytest.raises(errors.InsufficientPrivilege):
        own_warehouse.query("bi_reader", DATABASE, "select * from ops.load_log")
    with pytest.raises(errors.InsufficientPrivilege):
        own_warehouse.query("loader", DATABASE, "create role other")
