"""`make bundle` here, `make load-bundle up` on a machine without any network."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.settings import PROJECT_DIR
from tests.stack.support.compose import Stack
from tests.stack.support.offline_engine import Offline, offline_engine

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(os.geteuid() != 0, reason="a second Docker engine in a network of its own needs root"),
]


@pytest.fixture(scope="module")
def offline() -> Iterator[Offline]:
    with offline_engine() as machine:
        yield machine


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project from the archive. The archive is made in a clone, which has only what is committed."""
    clone = tmp_path_factory.mktemp("online") / "clone"
    subprocess.run(["git", "clone", "--quiet", str(PROJECT_DIR), str(clone)], check=True)
    subprocess.run(["make", "bundle"], cwd=clone, check=True, capture_output=True)
    (archive,) = clone.glob("dist/*.tar.gz")
    folder = tmp_path_factory.mktemp("offline")
    subprocess.run(["tar", "-x", "-f", str(archive), "-C", str(folder)], check=True)
    shutil.rmtree(clone)
    (project,) = folder.iterdir()
    return project


def test_that_machine_reaches_no_network(offline: Offline, tmp_path: Path) -> None:
    links = offline.run("ip", "-brief", "link", folder=tmp_path).stdout.split("\n")

    assert {line.split()[0] for line in links if line} == {"lo", "docker0"}
    assert offline.run("docker", "images", "--quiet", folder=tmp_path).stdout == ""


def test_the_stack_starts_from_the_bundle_and_fills_the_marts(offline: Offline, unpacked: Path, shop: Path) -> None:
    make = ("make", "--no-print-directory")
    try:
        offline.run(*make, "load-bundle", "up", folder=unpacked)
        offline.run(*make, "run", "TARGET=docker", f"DATA={shop}", folder=unpacked)
        question = "QUERY=select 'orders ' || (count(*) > 0) as found from marts.fct_orders"
        said = offline.run(*make, "sql", "TARGET=docker", question, folder=unpacked).stdout
    finally:
        offline.run(*make, "down", folder=unpacked)

    assert "orders true" in said


def test_load_bundle_says_where_it_belongs(stack: Stack) -> None:
    refused = stack.make("load-bundle", check=False)

    assert refused.returncode != 0
    assert "make bundle" in refused.stderr
