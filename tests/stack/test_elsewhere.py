"""A store and a warehouse outside the stack, as docs/stack.md says: the same marts, and nothing in the stack's own.

Both are containers that this machine publishes, at its address on Docker's default network. Docker lets an internal
network reach this machine, too, so only tests/integration/test_compose_file.py tests that a setting gives the networks
a way out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from minio import Minio

from benchmarks.sandbox import environment_of_stack, free_port
from lakehouse.settings import LAYERS, Settings, Target
from stack.fake_slack import bridge
from tests.stack.conftest import readable_by_all, removed_afterwards
from tests.stack.support.compose import Stack
from tests.support.lake import all_rows, data_quality, differences, query
from tests.support.s3_server import s3_settings
from tests.support.servers import StoreServer, WarehouseServer, empty_store_server, warehouse_server

pytestmark = pytest.mark.nightly

PROJECT = "lakehouse-elsewhere-test"
PREFIX = "acme-"


@pytest.fixture(scope="module")
def address(engine: None) -> str:
    """The address at which containers reach what this machine publishes."""
    found = bridge()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder secrets/ of the stack and of both servers."""
    return readable_by_all(tmp_path_factory.mktemp("elsewhere"))


@pytest.fixture(scope="module")
def store(engine: None, secrets: Path) -> Iterator[StoreServer]:
    with empty_store_server(secrets) as server:
        yield server


@pytest.fixture(scope="module")
def warehouse(engine: None, secrets: Path) -> Iterator[WarehouseServer]:
    with warehouse_server(secrets) as server:
        yield server


@pytest.fixture(scope="module")
def elsewhere(
    address: str,
    secrets: Path,
    store: StoreServer,
    warehouse: WarehouseServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    """The stack; none of its services runs yet."""
    environment = environment_of_stack(
        PROJECT,
        SECRETS_DIR=str(secrets),
        STORE_ENDPOINT=f"http://{address}:{store.port}",
        STORE_BUCKET_PREFIX=PREFIX,
        STORE_IS_INTERNAL="false",
        MINIO_REPLICAS="0",
        WAREHOUSE_HOST=address,
        WAREHOUSE_PORT=str(warehouse.port),
        WAREHOUSE_IS_INTERNAL="false",
        POSTGRES_PORT=str(free_port()),
        AIRFLOW_PORT=str(free_port()),
    )
    with removed_afterwards(Stack(PROJECT, environment, tmp_path_factory.mktemp("clients"))) as stack:
        yield stack


@pytest.fixture(scope="module")
def said(elsewhere: Stack, shop: Path) -> str:
    """What the first run prints, after the commands of docs/stack.md."""
    run = ("run", "--rm", "--no-TTY")
    elsewhere.compose(*run, "--env", f"STORE_ENDPOINT={elsewhere.environment['STORE_ENDPOINT']}", "minio-init")
    return elsewhere.compose(*run, "--volume", f"{shop}:/data:ro", "cli", "run", "/data", "--workspace", "main").stdout


@pytest.fixture(scope="module")
def settings(warehouse: WarehouseServer, secrets: Path) -> Settings:
    """Settings of a client of the warehouse elsewhere."""
    return Settings.load(
        target=Target.DOCKER,
        workspace="main",
        secrets_dir=secrets,
        postgres_host=warehouse.host,
        postgres_port=warehouse.port,
    )


def objects(client: Minio) -> dict[str, int]:
    """The number of objects in each bucket."""
    return {
        bucket.name: sum(1 for _ in client.list_objects(bucket.name, recursive=True))
        for bucket in client.list_buckets()
    }


@pytest.mark.usefixtures("said")
def test_the_marts_are_those_of_embedded_in_every_column(settings: Settings, undisturbed: Settings) -> None:
    there = all_rows(settings)

    assert sum(map(len, there.values())) > 1000
    assert differences(all_rows(undisturbed), there) == {}
    assert data_quality(settings) == data_quality(undisturbed)


@pytest.mark.usefixtures("said")
def test_the_lake_is_in_the_buckets_elsewhere_and_the_stack_has_no_store(elsewhere: Stack, store: StoreServer) -> None:
    found = objects(store.root())

    assert set(found) == {f"{PREFIX}{layer}" for layer in LAYERS}
    assert min(found.values()) > 0
    assert "minio" not in elsewhere.compose("ps", "--all", "--services").stdout.split()


@pytest.mark.usefixtures("said")
def test_the_stacks_own_warehouse_stays_empty(elsewhere: Stack) -> None:
    assert query(
        elsewhere.settings(), "select count(*) from pg_tables where schemaname = 'marts' or schemaname like 'raw%'"
    ) == [(0,)]


def test_users_are_shown_the_address_of_the_warehouse_elsewhere(elsewhere: Stack, said: str) -> None:
    host, port = elsewhere.environment["WAREHOUSE_HOST"], elsewhere.environment["WAREHOUSE_PORT"]

    credentials, psql = elsewhere.make("credentials"), elsewhere.make("psql", check=False)

    assert f"postgresql://bi_reader@{host}:{port}/lakehouse_main" in said
    assert f"postgresql://{host}:{port}/lakehouse_main" in credentials.stdout
    assert psql.returncode != 0
    assert f"The warehouse is on {host}" in psql.stderr


@pytest.mark.usefixtures("said")
def test_a_store_that_ignores_conditions_is_refused_and_stays_empty(elsewhere: Stack, address: str, shop: Path) -> None:
    with s3_settings(address, ignores="If-None-Match") as lying:
        settings = {"STORE_ENDPOINT": lying["s3_endpoint"], "STORE_BUCKET_PREFIX": ""}
        stack = replace(elsewhere, environment={**elsewhere.environment, **settings})

        run = stack.cli("run", "/data", "--workspace", "demo", mount=shop, check=False)

        client = Minio(lying["s3_endpoint"].removeprefix("http://"), "any", "any-secret", secure=False)
        assert objects(client) == dict.fromkeys(LAYERS, 0)
    assert run.returncode == 1
    assert f"The store at {lying['s3_endpoint']} cannot hold s3://landing/demo" in run.stdout + run.stderr
    promise = "of many who create a key at the same time (If-None-Match: *) exactly one succeeds"
    assert promise in run.stdout + run.stderr
