"""doctor finds what is wrong with a machine, names the remedy, and exits with 1."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from lakehouse.cli import app, doctor
from lakehouse.cli.doctor import Check, checks
from lakehouse.lake.conformance import ensure_conformance
from lakehouse.lake.store import open_store
from lakehouse.settings import LAYERS, Settings
from lakehouse.spark import java
from lakehouse.spark.jars import Jar
from lakehouse.warehouse.embedded import server as embedded_postgres
from lakehouse.warehouse.embedded.server import RunningServer
from tests.support.s3_server import s3_settings

CONTENT = b"the content of a jar"
JAR = Jar("delta", "io.delta", "delta", "1.0", hashlib.sha256(CONTENT).hexdigest())

Look = Callable[[str], Check]


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Only a fresh home and a free port are set in the environment."""
    for name in [name for name in os.environ if name.startswith("LAKEHOUSE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    home = tmp_path / "home"
    monkeypatch.setenv("LAKEHOUSE_HOME", str(home))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("LAKEHOUSE_POSTGRES_PORT", str(probe.getsockname()[1]))
    return home


@pytest.fixture
def healthy(environment: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a machine that has everything it needs."""
    monkeypatch.setattr(doctor, "read_lock", lambda: [JAR])
    monkeypatch.setattr(doctor, "NEEDED_GB_MEMORY", 0.0)
    monkeypatch.setattr(doctor, "NEEDED_GB_FREE", 0.0)
    (environment / "jars").mkdir(parents=True)
    (environment / "jars" / JAR.name).write_bytes(CONTENT)
    return environment


@pytest.fixture
def look(healthy: Path) -> Look:
    """One check of a machine that is healthy except for what the test did; this also checks the exit code."""

    def look(name: str) -> Check:
        found = {check.name: check for check in checks(Settings.load())}
        assert [check.name for check in found.values() if not check.passed and check.name != name] == []
        assert CliRunner().invoke(app, ["doctor"]).exit_code == (0 if found[name].passed else 1)
        return found[name]

    return look


@pytest.fixture
def stranger() -> Iterator[socket.socket]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken


def test_a_healthy_machine_is_listed_check_by_check_with_exit_code_0(healthy: Path) -> None:
    done = CliRunner().invoke(app, ["doctor"])

    assert done.exit_code == 0, done.output
    names = ["Python", "packages", "Java", "jars", "memory", "disk", "contract", "store", "port", "warehouse"]
    assert [line.split()[:2] for line in done.output.splitlines()] == [["ok", name] for name in names]
    assert list(healthy.iterdir()) == [healthy / "jars"]  # the checks made nothing


def test_a_remedy_is_shown_below_its_finding_with_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Check("Java", "17, /bin/java"), Check("port", "5433 is used by `cat` [pid 7]", "Set another")]
    monkeypatch.setattr(doctor, "checks", lambda settings: found)

    as_table = CliRunner().invoke(app, ["doctor"])
    as_json = CliRunner().invoke(app, ["doctor", "--format", "json"])

    assert as_table.output.splitlines() == [
        "ok    Java       17, /bin/java",
        "fix   port       5433 is used by `cat` [pid 7]",
        "                  Set another",
    ]
    assert [(row["check"], row["passed"], row["remedy"]) for row in json.loads(as_json.output)] == [
        ("Java", True, ""),
        ("port", False, "Set another"),
    ]
    assert (as_table.exit_code, as_json.exit_code) == (1, 1)


def test_with_a_spark_server_the_server_is_asked_and_java_is_not_needed(
    look: Look, stranger: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = stranger.getsockname()[1]
    stranger.close()
    monkeypatch.setenv("LAKEHOUSE_SPARK_REMOTE", f"sc://127.0.0.1:{port}/;token=secret")

    found = look("Spark")

    assert found.finding == f"The Spark Connect server at sc://127.0.0.1:{port} cannot be used: ConnectionRefusedError."
    assert "LAKEHOUSE_SPARK_REMOTE" in found.remedy
    assert not {"Java", "jars"} & {check.name for check in checks(Settings.load())}


def test_a_spark_server_without_an_executor_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def session(settings: Settings) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(version="4.1.1")

    monkeypatch.setattr("lakehouse.spark.session.spark_session", session)
    monkeypatch.setattr(doctor, "executors", lambda settings: 0)

    found = doctor._spark(Settings.load())

    assert found.finding == "4.1.1, a Connect server answers, but it has no executor"
    assert "docker compose logs spark-worker" in found.remedy


def test_java_is_shown_with_version_and_path(look: Look) -> None:
    assert re.fullmatch(r"(17|21), /.*/java", look("Java").finding)


def test_no_java(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "_candidates", list)

    assert look("Java") == Check("Java", "Spark needs a JDK 17 or 21.", java.REMEDY)


def test_java_of_another_version_is_named(look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    old.chmod(0o755)
    monkeypatch.setattr(java, "_candidates", lambda: [old])

    assert look("Java").finding == f"Spark needs a JDK 17 or 21. Found only: {old} (Java 11)."


def test_a_python_that_is_too_old(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    python = namedtuple("python", "major minor micro releaselevel serial")
    monkeypatch.setattr(sys, "version_info", python(3, 10, 4, "final", 0))

    found = look("Python")

    assert found.finding == "3.10.4"
    assert found.remedy.startswith("Use Python 3.11 to 3.13")


def test_a_missing_package_and_one_in_another_version_than_locked(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda name: ["rich>=14", "no-such-package[x]>=1"])
    monkeypatch.setattr(doctor, "PROJECT_DIR", tmp_path)
    (tmp_path / "uv.lock").write_text('[[package]]\nname = "rich"\nversion = "0.1"\n')

    found = look("packages")

    assert found.finding == f"rich is {version('rich')}, locked is 0.1; no-such-package is missing"
    assert found.remedy == "Run: rm -rf .venv && make setup"


def test_too_little_memory(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "NEEDED_GB_MEMORY", 1e6)

    found = look("memory")

    assert re.fullmatch(r"\d+\.\d GB available", found.finding)
    assert found.remedy == "Close something: the real archive takes up to 1000000 GB"


@pytest.mark.parametrize(
    ("full", "remedy"),
    [
        ({"home"}, "set LAKEHOUSE_HOME to"),
        ({"database"}, "set LAKEHOUSE_EMBEDDED_POSTGRES_DIR to"),
        ({"home", "database"}, "set LAKEHOUSE_HOME and LAKEHOUSE_EMBEDDED_POSTGRES_DIR to"),
    ],
    ids=["the lake's", "the database's", "both"],
)
def test_a_disk_that_is_too_full(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: set[str], remedy: str
) -> None:
    usage = namedtuple("usage", "total used free")
    database = tmp_path / "database"
    database.mkdir()

    def disk_of(folder: Path) -> str:
        return "database" if folder.is_relative_to(database) else "home"

    monkeypatch.setattr(doctor, "NEEDED_GB_FREE", 2.0)
    monkeypatch.setattr(embedded_postgres, "server_dir", lambda settings: database / "server")
    monkeypatch.setattr(doctor, "_device", disk_of)
    monkeypatch.setattr(
        doctor.shutil, "disk_usage", lambda folder: usage(9e12, 0, 1.4e9 if disk_of(folder) in full else 5e12)
    )

    found = look("disk")

    assert remedy in found.remedy
    assert found.finding.count("1.4 GB free at ") == len(full)
    assert f"GB free at {database / 'server'}" in found.finding


def test_a_disk_that_holds_both_is_named_once(look: Look, healthy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_EMBEDDED_POSTGRES_DIR", str(healthy / "postgres"))
    monkeypatch.setattr(doctor, "NEEDED_GB_FREE", 1e9)

    found = look("disk")

    assert re.fullmatch(rf"\d+\.\d GB free at {healthy}", found.finding)
    assert found.remedy == "Free some space, or set LAKEHOUSE_HOME to a folder on another disk"


@pytest.mark.parametrize(
    "mishap",
    [Path.unlink, lambda jar: jar.write_bytes(CONTENT[:-1])],
    ids=["missing", "damaged"],
)
def test_missing_or_damaged_jars(look: Look, healthy: Path, mishap: Callable[[Path], object]) -> None:
    mishap(healthy / "jars" / JAR.name)

    found = look("jars")

    assert found.finding == f"0 of 1 in {healthy / 'jars'}, as in spark/jars.lock"
    assert found.remedy == "Run: lakehouse start (it fetches them once)"


def test_a_port_used_by_another_program(look: Look, stranger: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    port = stranger.getsockname()[1]
    monkeypatch.setenv("LAKEHOUSE_POSTGRES_PORT", str(port))

    found = look("port")

    assert found.finding.startswith(f"{port} is used by ")
    assert f"pid {os.getpid()}" in found.finding
    assert 1 <= int(re.search(r"LAKEHOUSE_POSTGRES_PORT=(\d+)", found.remedy)[1]) <= 65535


def test_the_embedded_server_on_another_port_than_in_the_settings(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_postgres, "status", lambda settings: RunningServer(7, 6000, ready=False))
    monkeypatch.setenv("LAKEHOUSE_POSTGRES_PORT", "7000")

    found = look("port")

    assert found.finding == "our server runs on 6000, LAKEHOUSE_POSTGRES_PORT is 7000"
    assert "LAKEHOUSE_POSTGRES_PORT=6000" in found.remedy


def test_a_source_without_contract(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_SOURCE", "nowhere")

    assert "nowhere" in look("contract").finding


def test_a_store_is_shown_with_the_layers_that_are_not_yet_proven(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_settings() as given:
        for name, value in given.items():
            monkeypatch.setenv(f"LAKEHOUSE_{name.upper()}", value)
        layers = (open_store(Settings.load(), layer) for layer in LAYERS)

        before = look("store")
        left = [store.keys("") for store in layers]
        ensure_conformance(Settings.load(), "landing", "bronze")
        between = look("store")
        ensure_conformance(Settings.load(), "silver")
        proven = look("store")

    unproven = "s3://landing/lake; not yet proven to write safely, which the next command that writes does: "
    assert (before, left) == (Check("store", f"{unproven}landing, bronze, silver"), [[], [], []])
    assert between.finding == f"{unproven}silver"
    assert proven == Check("store", "s3://landing/lake")


def test_a_check_that_breaks_is_a_finding_and_the_others_go_on(
    look: Look, healthy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (healthy / "jars" / JAR.name).unlink()
    (healthy / "jars" / JAR.name).mkdir()  # a folder, which `is_intact` does not expect

    found = look("jars")

    assert found.finding.startswith("cannot be checked: IsADirectoryError: ")
    assert "LAKEHOUSE_DEBUG=1 lakehouse doctor" in found.remedy
    monkeypatch.setenv("LAKEHOUSE_DEBUG", "1")
    with pytest.raises(IsADirectoryError):
        checks(Settings.load())
