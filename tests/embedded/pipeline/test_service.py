"""start, stop, clean and doctor on the warehouse, through the command line, in a home with its own server."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.sandbox import free_port
from lakehouse import warehouse
from lakehouse.settings import Settings
from lakehouse.warehouse.embedded import server as embedded_postgres
from tests.embedded.pipeline.commands import command


@pytest.fixture
def own(test_home: Path, jars_dir: Path) -> Iterator[Settings]:
    """An empty home."""
    home = test_home / "service"
    settings = Settings.load(
        home=home,
        embedded_postgres_dir=home / "postgres",
        postgres_port=free_port(),
        jars_dir=jars_dir,
        workspace="demo",
    )
    yield settings
    embedded_postgres.remove(settings)
    shutil.rmtree(home)


def databases(settings: Settings) -> set[str]:
    with warehouse.cursor(settings) as cursor:
        cursor.execute("select datname from pg_database where datname like 'lakehouse_%'")
        return {name for (name,) in cursor.fetchall()}


def plant(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("1")


def test_start_makes_the_warehouse_ready_and_stop_ends_it(own: Settings) -> None:
    started = command(own, "start", "--workspace", "demo")

    assert started.returncode == 0, started.stderr
    assert f"Ready: postgresql://bi_reader@127.0.0.1:{own.postgres_port}/lakehouse_demo" in started.stdout
    assert f"cat {own.password_file('bi_reader')}" in started.stdout
    with warehouse.connect(own, "bi_reader"):
        server = embedded_postgres.status(own)

    assert command(own, "start", "--workspace", "demo").returncode == 0
    assert embedded_postgres.status(own) == server

    stopped = command(own, "stop")
    assert (stopped.returncode, stopped.stdout) == (0, "Stopped.\n")
    assert embedded_postgres.status(own) is None
    assert embedded_postgres.has_data(own)

    again = command(own, "stop")
    assert (again.returncode, again.stdout) == (0, "It was not running.\n")


def test_clean_of_one_workspace_leaves_the_others_and_clean_of_everything_leaves_other_files(own: Settings) -> None:
    for workspace in ("demo", "main"):
        assert command(own, "start", "--workspace", workspace).returncode == 0
        plant(own.home / "workspaces" / workspace / "lake" / "bronze" / "part-0.parquet")
    plant(own.home / "photos" / "beach.jpg")
    main = own.model_copy(update={"workspace": "main"})

    of_a_workspace = command(own, "clean", "--workspace", "demo", "--yes")

    assert (of_a_workspace.returncode, of_a_workspace.stdout) == (0, "The workspace demo is gone.\n")
    assert databases(main) == {"lakehouse_main"}
    assert [path.name for path in (own.home / "workspaces").iterdir()] == ["main"]

    of_everything = command(own, "clean", "--yes")

    assert of_everything.returncode == 0, of_everything.stderr
    assert of_everything.stdout.splitlines() == [
        "Everything is gone.",
        f"Left in {own.home}, as lakehouse did not make it: photos",
    ]
    assert [path.name for path in own.home.rglob("*")] == ["photos", "beach.jpg"]
    assert embedded_postgres.port_holder(own.postgres_port) is None
    assert list(own.jars_path.glob("*.jar"))


def test_clean_in_a_pipe_does_not_ask_and_removes_nothing(own: Settings) -> None:
    plant(own.home / "workspaces" / "demo" / "lake" / "x")

    done = command(own, "clean")

    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert (own.home / "workspaces" / "demo" / "lake" / "x").exists()


@pytest.mark.parametrize("words", [["clean", "--yes"], ["stop"]], ids=" ".join)
def test_the_warehouse_of_another_target_is_not_stopped_or_removed(own: Settings, words: list[str]) -> None:
    plant(own.home / "workspaces" / "demo" / "lake" / "x")

    done = command(own, *words, LAKEHOUSE_TARGET="docker")

    assert done.returncode == 2
    assert "docker" in done.stderr
    assert (own.home / "workspaces" / "demo" / "lake" / "x").exists()


def test_doctor_reports_a_password_that_the_warehouse_refuses(own: Settings) -> None:
    assert command(own, "start", "--workspace", "demo").returncode == 0

    done = command(own, "doctor", "--workspace", "demo", LAKEHOUSE_LOADER_PASSWORD="wrong")

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    finding, remedy = done.stdout.splitlines()[-2:]
    assert re.search(r"^fix   warehouse .*refused the password of loader.*LAKEHOUSE_LOADER_PASSWORD", finding)
    assert "lakehouse start" in remedy
