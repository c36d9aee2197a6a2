"""A home -> the same without what this project made in it. What somebody else put there stays.

A home may be a folder that was there before (`LAKEHOUSE_HOME=~/data`), with a `workspaces` or `jars` of another
program: in each folder only files with the names that this project gives are removed.
"""

from __future__ import annotations

from pathlib import Path

from lakehouse import warehouse
from lakehouse.settings import ROLES, Settings
from lakehouse.spark.jars import read_lock
from lakehouse.warehouse.embedded import server as embedded_postgres
from lakehouse.warehouse.embedded.removal import remove_only
from lakehouse.warehouse.passwords import superuser_password_file

# What a workspace's folder holds. `source`: what `run --demo` generated.
OF_A_WORKSPACE = (
    *("lake", "dbt", "dbt_full_tests", "logs", "spark-warehouse"),
    *("source", ".source.partial", "source.json"),
)
OF_THE_HOME = ("last_workspace", "last_workspace.part", "postgres.lock")


def remove_workspace(settings: Settings) -> list[Path]:
    """Remove the workspace's database and folder; what is left of the folder, because others made it."""
    warehouse.drop_database(settings)
    return remove_only(settings.workspace_dir, OF_A_WORKSPACE)


def remove_everything(settings: Settings) -> list[Path]:
    """Stop and remove the server, remove all workspaces, jars and passwords; what is left of the home.

    Jars and passwords outside the home (LAKEHOUSE_JARS_DIR, LAKEHOUSE_SECRETS_DIR) stay: others may use them.
    """
    embedded_postgres.remove(settings)
    home = settings.home
    for workspace in _folders(home / "workspaces"):
        remove_only(workspace, OF_A_WORKSPACE)
    for name, patterns in (("workspaces", ()), ("jars", _jars()), ("secrets", _secrets(settings))):
        if not (home / name).is_symlink():  # it leads to what others use, too
            remove_only(home / name, patterns)
    return remove_only(home, OF_THE_HOME)


def _folders(folder: Path) -> list[Path]:
    if folder.is_symlink() or not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.is_symlink()]


def _jars() -> list[str]:
    """Of any version, as an older lock may have fetched them; and what was not fetched to its end."""
    names = [f"{jar.artifact}-[0-9]*.jar" for jar in read_lock()]
    return [*names, *(f".{name}.*" for name in names)]


def _secrets(settings: Settings) -> list[str]:
    names = [superuser_password_file(settings).name, *(f"{role}_password" for role in ROLES)]
    return [*names, *(f".{name}-*" for name in names)]
