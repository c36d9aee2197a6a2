"""The log store of the Spark image: its commits on S3 overwrite no other, neither Spark's nor delta-rs'."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lakehouse.settings import Target
from tests.integration.log_store_steps import APPENDS, WRITERS
from tests.support.processes import output_of
from tests.support.servers import STORE_SECRETS, StoreServer, image_of, secrets_of
from tests.support.small_source import settings_in

TAKEN = "java.nio.file.FileAlreadyExistsException"


@pytest.fixture(scope="module")
def jar(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The jar from the image."""
    image = image_of("spark-master")
    if subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode != 0:
        pytest.fail(f"the image {image} is not there: make images")
    file = tmp_path_factory.mktemp("jar") / "lakehouse.jar"
    out = ["docker", "run", "--rm", "--network", "none", "--entrypoint", "cat", image]
    done = subprocess.run([*out, f"/opt/spark/jars/{file.name}"], capture_output=True, check=True)
    file.write_bytes(done.stdout)
    return file


@pytest.fixture(scope="module")
def said(
    store: StoreServer, numbers: Iterator[int], jars_dir: Path, jar: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """One process for all tests, since starting Spark takes longest."""
    folder = tmp_path_factory.mktemp("log store")
    settings = settings_in(
        folder,
        target=Target.DOCKER,
        s3_endpoint=store.endpoint,
        secrets_dir=secrets_of(store.folder, folder / "secrets", *(n for n in STORE_SECRETS if "root" not in n)),
        jars_dir=jars_dir,
        spark_driver_memory="1g",
    ).model_copy(update={"workspace": f"test_{next(numbers)}"})
    script = Path(__file__).parent / "log_store_steps.py"
    return output_of(script, settings, folder / "delivery", SPARK_DIST_CLASSPATH=str(jar))


def test_one_of_several_writers_at_the_same_time_wins(said: dict[str, Any]) -> None:
    assert said["race"] == [TAKEN] * (WRITERS - 1) + ["written", "the winner's"]


def test_a_put_repeated_because_its_answer_was_lost_has_succeeded(said: dict[str, Any]) -> None:
    assert said["again"] == ["written", "written", TAKEN]


def test_a_put_that_may_overwrite_does(said: dict[str, Any]) -> None:
    assert said["overwritten"] == ["written", "written"]
    assert said["content"] == ["mine", "2"]


def test_spark_and_delta_rs_append_to_one_table_at_the_same_time_and_nothing_is_lost(said: dict[str, Any]) -> None:
    assert said["appended"] == 4 * APPENDS
    assert said["rows"] == said["version"] == said["appended"]


def test_small_batches_of_silver_are_committed_by_delta_rs_large_ones_by_spark(said: dict[str, Any]) -> None:
    small, large = said["engines"]

    assert "Spark" not in small
    assert "Spark" in large
    assert said["silver"] == [["o1", "11.00"]]
    assert said["quarantine"] == [[2]]
