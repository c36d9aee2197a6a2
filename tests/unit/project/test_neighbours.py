"""`make up` warns if neighbours of an old engine can log in to Airflow with the password that everyone knows."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lakehouse.settings import PROJECT_DIR

DOCKER = """#!/bin/sh
case $1 in
    version) echo {version} ;;
    info) echo "{system}" ;;
    compose) echo {password} ;;
esac
"""


def said(folder: Path, version: str, password: str = "airflow", system: str = "Debian GNU/Linux 12") -> str:
    docker = folder / "docker"
    docker.write_text(DOCKER.format(version=version, password=password, system=system))
    docker.chmod(0o755)
    done = subprocess.run(
        [PROJECT_DIR / "stack" / "neighbours"],
        env={"PATH": f"{folder}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr


@pytest.mark.parametrize("version", ["20.10.24+dfsg1", "27.5.1"])
def test_an_engine_before_28_with_the_known_password(tmp_path: Path, version: str) -> None:
    assert "AIRFLOW_PASSWORD=generate make up" in said(tmp_path, version)


def test_nothing_is_said_of_a_newer_engine_another_password_or_docker_desktop(tmp_path: Path) -> None:
    assert said(tmp_path, "28.0.0") == ""
    assert said(tmp_path, "master-dockerproject") == ""
    assert said(tmp_path, "20.10.24", password="3f2a") == ""
    assert said(tmp_path, "27.5.1", system="Docker Desktop") == ""
