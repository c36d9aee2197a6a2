"""What the integration tests do without an engine or images, and with the leftovers of a killed session."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from docker.errors import NotFound

import docker
from lakehouse.settings import PROJECT_DIR
from tests.support.servers import LABEL, image_of, labels, remove_left_overs

NEEDS_STORE = "tests/integration/test_forged_uploads.py::test_a_wrong_secret_key_is_refused"
NO_IMAGE = {"MINIO_IMAGE": "no-such-image"}


def run_a_test(**environment: str) -> str:
    """pytest's summary of a test that needs an image."""
    kept = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", NEEDS_STORE],
        cwd=PROJECT_DIR,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def test_without_an_engine_tests_are_skipped_and_say_what_to_do(tmp_path: Path) -> None:
    said = run_a_test(PATH=str(tmp_path))

    assert "1 skipped" in said
    assert "there is no Docker engine: install and start one (.ci/docker does), then: make images" in said


def test_without_the_images_tests_are_skipped_and_say_what_to_do(engine: None) -> None:
    said = run_a_test(**NO_IMAGE)

    assert "1 skipped" in said
    assert "the image no-such-image is not there: make images" in said


@pytest.mark.parametrize("without", ["an engine", "images"])
def test_in_ci_these_tests_fail(engine: None, tmp_path: Path, without: str) -> None:
    said = run_a_test(CI="true", **({"PATH": str(tmp_path)} if without == "an engine" else NO_IMAGE))

    assert "1 error" in said
    assert "make images" in said


def test_only_containers_of_killed_sessions_are_removed(engine: None) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    client = docker.from_env()
    make = client.containers.create
    image = image_of("postgres")
    killed = make(image, labels={LABEL: f"{socket.gethostname()} {ended.pid} 1.0"})
    reused = make(image, labels={LABEL: f"{socket.gethostname()} {os.getpid()} 1.0"})
    alive = make(image, labels=labels())
    elsewhere = make(image, labels={LABEL: f"another-machine {ended.pid} 1.0"})

    try:
        removed = remove_left_overs()

        assert {killed.name, reused.name} <= set(removed)
        assert not {alive.name, elsewhere.name} & set(removed)
        with pytest.raises(NotFound):
            killed.reload()
        alive.reload()
        elsewhere.reload()
    finally:
        for container in (alive, elsewhere):
            container.remove(force=True, v=True)
        client.close()
