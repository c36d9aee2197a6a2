"""The whole stack, once for all tests: started from nothing by `make up`, removed at the end."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.sandbox import environment_of_stack, free_port
from lakehouse import warehouse
from lakehouse.contract.odcs import read_contract
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import step as landing
from lakehouse.pipeline import run as pipeline
from lakehouse.sample_data.synthetic import Disturbances, generate
from lakehouse.settings import PROJECT_DIR, Settings, Target
from lakehouse.warehouse.embedded import server as embedded_postgres
from tests.stack.support.compose import Stack
from tests.support.lake import Silent

PROJECT = "lakehouse-stack-test"
CONTRACT = read_contract(PROJECT_DIR / "contracts", "olist")
_running: list[Stack] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the shared stack come first, so that it can be stopped before others start their own."""
    items.sort(key=lambda item: not _uses_the_shared_stack(item))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Stop the shared stack: two running stacks keep each other waiting on a small machine."""
    while _running and not _uses_the_shared_stack(item):
        _running.pop().compose("--profile", "*", "stop", "--timeout", "5")


def _uses_the_shared_stack(item: pytest.Item) -> bool:
    return "stack" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session")
def engine() -> None:
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        pytest.fail("these tests need a Docker engine (.ci/docker installs one)")


@pytest.fixture(scope="session")
def stack(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    ports = {name: str(free_port()) for name in ("POSTGRES_PORT", "AIRFLOW_PORT", "SPARK_PORT", "MINIO_CONSOLE_PORT")}
    own_secrets = readable_by_all(tmp_path_factory.mktemp("own-secrets"))
    environment = environment_of_stack(PROJECT, SECRETS_DIR=str(own_secrets), **ports)
    with removed_afterwards(Stack(PROJECT, environment, tmp_path_factory.mktemp("clients"))) as stack:
        stack.make("up")
        _running.append(stack)
        yield stack


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of a small shop with every fault, late and repeated rows and changes."""
    folder = tmp_path_factory.mktemp("shop") / "batches"
    disturbances = Disturbances(seller_changes=0.1, product_changes=0.1)
    generate(folder, seed=11, scale=0.3, days=2, faults=0.002, disturbances=disturbances, contract=CONTRACT)
    return readable_by_all(folder)


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """An empty home of the embedded target; its server ends with the session."""
    home = readable_by_all(Path(tempfile.mkdtemp(prefix="lakehouse-stack-tests-")))
    settings = Settings.load(
        target=Target.EMBEDDED,
        home=home,
        embedded_postgres_dir=home / "postgres",
        postgres_host="127.0.0.1",
        postgres_port=free_port(),
        jars_dir=Settings.load().jars_path,
        workspace="none",
    )
    yield settings
    embedded_postgres.remove(settings)
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def undisturbed(embedded: Settings, shop: Path) -> Settings:
    """The shop's marts after an undisturbed run of the embedded target."""
    return run_embedded(embedded, "undisturbed", shop)


def run_embedded(embedded: Settings, workspace: str, source: Path) -> Settings:
    """The undisturbed run with which the stack's marts are compared."""
    settings = embedded.model_copy(update={"workspace": workspace})
    warehouse.prepare(settings)
    landing.land(Lakehouse(settings, CONTRACT), [source])
    pipeline.run(Lakehouse(settings, CONTRACT), Silent())
    return settings


def readable_by_all(folder: Path) -> Path:
    """Let all users read it: pytest's folders are private to this user, and the containers run as others."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for parent in folder.parents:
        if parent.owner() == folder.owner() and parent != Path(tempfile.gettempdir()):
            parent.chmod(parent.stat().st_mode | 0o011)
        else:
            break
    return folder


@contextmanager
def removed_afterwards(stack: Stack) -> Iterator[Stack]:
    """Remove the stack before the block, too: a killed session may have left it."""

    def remove() -> None:
        stack.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "5")

    remove()
    try:
        yield stack
    finally:
        remove()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Let a failed test show the logs of the services."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    for stack in getattr(item, "funcargs", {}).values():
        if report.failed and isinstance(stack, Stack):
            report.sections.append(("logs of the services", stack.logs()))
