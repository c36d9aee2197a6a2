"""One embedded Postgres and one Spark for the whole test session, a fresh workspace for each test."""

from __future__ import annotations

import itertools
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from psycopg2 import sql

from benchmarks.sandbox import free_port
from lakehouse import warehouse
from lakehouse.settings import Settings, Target
from lakehouse.warehouse.connections import open_connection
from lakehouse.warehouse.embedded import server as embedded_postgres
from tests.support.compiled_models import Model, compile_project
from tests.support.warm_dbt import warm_dbt

NOT_SYNCED = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


@pytest.fixture(scope="session", autouse=True)
def _the_developers_own_settings_do_not_count(no_settings_of_the_developer: None) -> None:
    pass


@pytest.fixture(scope="session")
def test_home() -> Iterator[Path]:
    """A separate home. For root, the account that runs the server must be able to enter it, unlike tmp_path."""
    home = Path(tempfile.mkdtemp(prefix="lakehouse-tests-"))
    home.chmod(0o755)
    yield home
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def dbt_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path | None]:
    """What runs dbt; None: this Python, which imports dbt for each run."""
    if sys.platform != "linux":
        yield None
        return
    with warm_dbt(tmp_path_factory.mktemp("dbt")) as program:
        yield program


@pytest.fixture(scope="session")
def server(test_home: Path, jars_dir: Path, dbt_python: Path | None) -> Iterator[Settings]:
    """The settings that the workspaces of the session share, with a running server and no workspace."""
    settings = Settings.load(
        target=Target.EMBEDDED,
        home=test_home,
        embedded_postgres_dir=test_home / "postgres",
        postgres_host="127.0.0.1",
        postgres_port=free_port(),
        jars_dir=jars_dir,
        workspace="none",
        lock_wait_seconds=30,
        dbt_python=dbt_python,
    )
    embedded_postgres.start(settings, extra_settings=NOT_SYNCED)
    yield settings
    embedded_postgres.remove(settings)


@pytest.fixture(scope="session")
def new_workspace(server: Settings) -> Callable[..., Settings]:
    """Make a fresh workspace: `new_workspace()`, or with changed settings: `new_workspace(source="shop")`.

    Its database is deleted with the server, since each drop would wait for a checkpoint.
    """
    numbers = itertools.count(1)

    def make(**changes: Any) -> Settings:
        settings = server.model_copy(update={"workspace": f"test_{next(numbers)}", **changes})
        warehouse.prepare(settings)
        settings.workspace_dir.mkdir(parents=True)
        return settings

    return make


@pytest.fixture(scope="session")
def copy_of(server: Settings) -> Callable[[Settings], Settings]:
    """Copy a workspace with its database, its lake and dbt's files, which costs less than building it again."""
    numbers = itertools.count(1)

    def copy(original: Settings) -> Settings:
        settings = original.model_copy(update={"workspace": f"{original.workspace_name}_{next(numbers)}"})
        names = map(sql.Identifier, (settings.database_name, original.database_name))
        with closing(open_connection(server, "owner", "postgres")) as connection:
            connection.autocommit = True
            connection.cursor().execute(sql.SQL("create database {} template {}").format(*names))
        warehouse.prepare(settings)  # a copy of a database lacks the grants on the database itself
        shutil.copytree(original.workspace_dir, settings.workspace_dir)
        return settings

    return copy


@pytest.fixture(scope="session")
def project(new_workspace: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory) -> list[Model]:
    """The models of dbt as SQL that runs in every workspace."""
    return compile_project(new_workspace(), tmp_path_factory.mktemp("compiled"))


@pytest.fixture
def settings(new_workspace: Callable[..., Settings]) -> Iterator[Settings]:
    """A workspace for one test: an empty lake, and a database with schemas and ops tables but no raw tables."""
    settings = new_workspace()
    yield settings
    shutil.rmtree(settings.workspace_dir, ignore_errors=True)


@pytest.fixture(scope="session")
def spark(server: Settings) -> Iterator[Any]:
    """One Spark session for all tests, since starting one takes 10 s."""
    from lakehouse.spark.session import spark_session

    with spark_session(server) as session:
        yield session
