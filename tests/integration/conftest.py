"""Docker, for tests of this project's single images; they are skipped without it, but fail in CI.

One store and one warehouse for the whole session; each test has its own prefix and its own database.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lakehouse import warehouse as package_warehouse
from lakehouse.settings import LAYERS, ROLES, Settings, Target
from tests.support.servers import (
    StoreServer,
    WarehouseServer,
    image_of,
    remove_left_overs,
    secrets_of,
    store_server,
    warehouse_server,
)
from tests.support.small_source import settings_in

NOT_SYNCED = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")


def lacks(*command: str) -> bool:
    return shutil.which(command[0]) is None or subprocess.run(command, capture_output=True, check=False).returncode != 0


def skip_or_fail(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def compose_plugin() -> None:
    """Requires `docker compose`, which needs no engine to read a file."""
    if lacks("docker", "compose", "version"):
        skip_or_fail("there is no docker compose")


@pytest.fixture(scope="session")
def engine(no_settings_of_the_developer: None) -> None:
    """A Docker engine with this project's images, and without leftovers of a killed session."""
    if lacks("docker", "info"):
        skip_or_fail("there is no Docker engine: install and start one (.ci/docker does), then: make images")
    for image in (image_of("minio"), image_of("postgres")):
        if lacks("docker", "image", "inspect", image):
            skip_or_fail(f"the image {image} is not there: make images")
    remove_left_overs()


@pytest.fixture(scope="session")
def store(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    with store_server(tmp_path_factory.mktemp("store") / "secrets") as server:
        yield server


@pytest.fixture(scope="session")
def warehouse(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarehouseServer]:
    with warehouse_server(tmp_path_factory.mktemp("warehouse") / "secrets", *NOT_SYNCED) as server:
        yield server


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    return itertools.count(1)


@pytest.fixture
def lake(store: StoreServer, numbers: Iterator[int], tmp_path: Path) -> Settings:
    """Settings of a client of the store: only this test's prefix in each layer's bucket, and that layer's own user."""
    users = [f"store_{layer}_{half}_key" for layer in LAYERS for half in ("access", "secret")]
    settings = settings_in(
        tmp_path,
        target=Target.DOCKER,
        s3_endpoint=store.endpoint,
        secrets_dir=secrets_of(store.folder, tmp_path / "secrets", *users),
    )
    return settings.model_copy(update={"workspace": f"test_{next(numbers)}"})


@pytest.fixture
def client(warehouse: WarehouseServer, tmp_path: Path) -> Callable[..., Settings]:
    """Settings of a client of the warehouse that knows the passwords of some roles: `client("main", "loader")`."""

    def make(workspace: str, *roles: str, **more: Any) -> Settings:
        folder = tmp_path / f"passwords of {' '.join(roles)}"
        passwords = secrets_of(warehouse.folder, folder, *(f"{role}_password" for role in roles))
        settings = settings_in(
            tmp_path,
            target=Target.DOCKER,
            postgres_host=warehouse.host,
            postgres_port=warehouse.port,
            secrets_dir=passwords,
            **more,
        )
        return settings.model_copy(update={"workspace": workspace})

    return make


@pytest.fixture
def settings(client: Callable[..., Settings], numbers: Iterator[int]) -> Settings:
    """Settings of a client that knows all passwords, with a database for this test only."""
    made = client(f"test_{next(numbers)}", *ROLES)
    package_warehouse.prepare(made)
    return made
