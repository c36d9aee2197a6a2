"""clean.py: the files that this project made are removed; other files beside them stay, whatever their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.cli.clean import remove_everything, remove_workspace
from lakehouse.settings import Settings
from lakehouse.spark.jars import read_lock

JAR = read_lock()[0]
MADE_HERE = (
    "workspaces/demo/lake/bronze/olist/orders/part-0.parquet",
    "workspaces/demo/dbt/manifest.json",
    "workspaces/demo/dbt_full_tests/manifest.json",
    "workspaces/demo/logs/spark.log",
    "workspaces/demo/spark-warehouse/x",
    "workspaces/demo/source/2018-01-01/orders.csv",
    "workspaces/demo/source.json",
    "workspaces/demo/report.html",
    "workspaces/demo/.report.html.4711",
    "report/vega-1.9.0.js",
    "report/charts-0123456789abcdef.json",
    "report/.charts-0123456789abcdef.json.4711",
    f"jars/{JAR.name}",
    f"jars/{JAR.artifact}-0.1.jar",
    f"jars/.{JAR.name}.x7_half",
    "secrets/loader_password",
    "secrets/bi_reader_password",
    "secrets/postgres_password",
    "secrets/.owner_password-half",
    "last_workspace",
    "postgres.lock",
    "postgres/data/PG_VERSION",
    "postgres/data/base/1/1",
    "postgres/initdb-killed/password",
    "postgres/binaries-18.6/postgres",
    "postgres/log/postgres-Mon.log",
    "postgres/postgresql.conf",
    "postgres/pg_hba.conf",
)
STRANGERS = (
    "photos/2018/beach.jpg",
    "notes.txt",
    "workspaces/alabama/counties.csv",
    "workspaces/demo/notes.txt",
    "workspaces/texas.csv",
    "jars/mine.jar",
    "report/to_the_board.docx",
    "workspaces/demo/report_2025.html",
    "secrets/diary.txt",
    "postgres/backup.sql",
    "postgres/log/of_my_ship.txt",
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    home = tmp_path / "data"
    return Settings(_env_file=None, home=home, embedded_postgres_dir=home / "postgres", workspace="demo")


def plant(home: Path, *names: str) -> None:
    for name in names:
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")


def files(home: Path) -> set[str]:
    return {path.relative_to(home).as_posix() for path in home.rglob("*") if not path.is_dir()}


def test_a_home_that_lakehouse_made_is_gone(settings: Settings) -> None:
    plant(settings.home, *MADE_HERE)

    assert remove_everything(settings) == []

    assert not settings.home.exists()


def test_in_a_shared_folder_only_this_projects_files_go_and_the_rest_is_named(settings: Settings) -> None:
    plant(settings.home, *MADE_HERE, *STRANGERS)

    left = remove_everything(settings)

    assert files(settings.home) == set(STRANGERS)
    assert [path.name for path in left] == [
        "jars",
        "notes.txt",
        "photos",
        "postgres",
        "report",
        "secrets",
        "workspaces",
    ]


def test_a_folder_without_files_of_this_project_stays_as_it_is(settings: Settings) -> None:
    plant(settings.home, *STRANGERS, "postgres/data/measured.csv")

    remove_everything(settings)

    assert files(settings.home) == {*STRANGERS, "postgres/data/measured.csv"}


def test_a_missing_home_is_no_error(settings: Settings) -> None:
    assert remove_everything(settings) == []
    assert not settings.home.exists()


@pytest.mark.parametrize("link", ["jars", "secrets", "workspaces", "workspaces/demo", "workspaces/demo/lake"])
def test_the_target_of_a_link_stays(settings: Settings, tmp_path: Path, link: str) -> None:
    other = tmp_path / "other"
    plant(other, *MADE_HERE)
    (settings.home / link).parent.mkdir(parents=True)
    (settings.home / link).symlink_to(other / link)

    left = remove_everything(settings)

    assert files(other) == set(MADE_HERE)
    assert [path.name for path in left] == [link.split("/")[0]]


def test_jars_and_passwords_outside_the_home_stay(settings: Settings, tmp_path: Path) -> None:
    plant(tmp_path, f"shared/{JAR.name}", "shared/loader_password")

    shared = tmp_path / "shared"
    remove_everything(settings.model_copy(update={"jars_dir": shared, "secrets_dir": shared}))

    assert files(shared) == {JAR.name, "loader_password"}


def test_a_half_removed_server_is_removed_by_the_next_attempt(settings: Settings) -> None:
    plant(settings.home, "postgres/initdb-removed/base/1/1", "postgres/data/PG_VERSION")

    assert remove_everything(settings) == []


def test_cleaning_a_workspace_removes_only_that_workspace(settings: Settings) -> None:
    plant(
        settings.home, "workspaces/demo/lake/x", "workspaces/demo/notes.txt", "workspaces/main/lake/x", "last_workspace"
    )

    left = remove_workspace(settings)

    assert [path.name for path in left] == ["notes.txt"]
    assert files(settings.home) == {"workspaces/demo/notes.txt", "workspaces/main/lake/x", "last_workspace"}
