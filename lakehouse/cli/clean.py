"""A home -> the same home without the files that this project made.

A home may be an existing folder (`LAKEHOUSE_HOME=~/data`) in which another program keeps its own `workspaces` or
`jars`. So `clean` removes only files whose names this project uses. All other files stay.
"""

from __future__ import annotations

from pathlib import Path

from lakehouse import warehouse
from lakehouse.settings import ROLES, Settings
from lakehouse.spark.jars import read_lock
from lakehouse.warehouse.embedded import server as embedded_postgres
from lakehouse.warehouse.embedded.removal import remove_only
from lakehouse.warehouse.passwords import superuser_password_file

# What a workspace's folder contains. `run --demo` generates `source`.
OF_A_WORKSPACE = (
    *("lake", "dbt", "dbt_full_tests", "logs", "spark-warehouse"),
    *("source", ".source.partial", "source.json"),
    *("report.html", ".report.html.*"),
)
# What the report's charts are made with, in the home's folder `report`.
OF_THE_REPORT = ("vega-*.js", "charts-*.json", ".vega-*", ".charts-*")
OF_THE_HOME = ("last_workspace", "last_workspace.part", "postgres.lock")


def remove_workspace(settings: Settings) -> list[Path]:
    """Remove the workspace's database and folder; return the files that stay because others made them."""
    warehouse.drop_database(settings)
    return remove_only(settings.workspace_dir, OF_A_WORKSPACE)


def remove_everything(settings: Settings) -> list[Path]:
    """Stop and remove the server, all workspaces, jars and passwords. Return the files that stay in the home.

    Jars and passwords outside the home (LAKEHOUSE_JARS_DIR, LAKEHOUSE_SECRETS_DIR) stay: other programs may use them.
    """
    embedded_postgres.remove(settings)
    home = settings.home
    for workspace in _folders(home / "workspaces"):
        remove_only(workspace, OF_A_WORKSPACE)
    made = (("workspaces", ()), ("jars", _jars()), ("secrets", _secrets(settings)), ("report", OF_THE_REPORT))
    for name, patterns in made:
        if not (home / name).is_symlink():  # other programs may use the link's target
            remove_only(home / name, patterns)
    return remove_only(home, OF_THE_HOME)


def _folders(folder: Path) -> list[Path]:
    if folder.is_symlink() or not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.is_symlink()]


def _jars() -> list[str]:
    """Patterns for unfinished downloads and for jars of any version, since an older lock may have fetched them."""
    names = [f"{jar.artifact}-[0-9]*.jar" for jar in read_lock()]
    return [*names, *(f".{name}.*" for name in names)]


def _secrets(settings: Settings) -> list[str]:
    names = [superuser_password_file(settings).name, *(f"{role}_password" for role in ROLES)]
    return [*names, *(f".{name}-*" for name in names)]
