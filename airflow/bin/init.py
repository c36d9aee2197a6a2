"""Airflow's database, empty or from an older version -> this version's tables, the user `airflow` with the password
from the secret's file, and the pools of the DAGs. The service airflow-init runs this before every start.

Plain SQL first checks whether there is anything to do: importing Airflow adds ten seconds to a start.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import time
import warnings
from contextlib import closing
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection

SECRETS = Path("/run/secrets")
USER = "airflow"
CONNECT_SECONDS = 10
# After a restart of the machine, or `docker compose restart`, all services start together.
PATIENCE_SECONDS = 120
OLD_TRIGGERS = {
    "landing_trigger.LandingTrigger": "lakehouse_airflow.landing_trigger.LandingTrigger",
    "dbt_boxes.ModelTrigger": "lakehouse_airflow.model_tasks.ModelTrigger",
}
POOLS = {"spark": (3, "Tasks with a Spark client: 200 MB each, and two cores keep two of them busy")}


def main() -> None:
    """Exit with code 1 and a message that says what to do if the database or a secret is missing."""
    url = _secret("airflow_sql_alchemy_conn").replace("postgresql+psycopg2://", "postgresql://")
    password = _secret("airflow_admin_password")
    with _connected(url) as database:
        migrated = all(_is_migrated(database, *versions) for versions in _versions().items())
        user_as_wanted = migrated and _user_has(database, password)
    database.close()
    if not migrated:
        _migrate()
    if not user_as_wanted:
        _set_user(password)
    _make_pools(url)
    _rename_triggers(url)
    _say("tables created or migrated" if not migrated else "tables up to date")
    _say(f"user {USER}: " + ("up to date" if user_as_wanted else "set"))


def _secret(name: str) -> str:
    file = SECRETS / name
    try:
        content = file.read_text().strip()
    except OSError as error:
        sys.exit(f"{file} cannot be read ({error.strerror}). To create it: docker compose up secrets-init")
    return content or sys.exit(f"{file} is empty. Fill it, or remove it: docker compose up secrets-init")


def _connected(url: str) -> Connection:
    """Wait for a server that starts; do not ask again if it refuses the password."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return psycopg2.connect(url, connect_timeout=CONNECT_SECONDS)
        except psycopg2.OperationalError as error:
            if "authentication failed" in str(error) or time.monotonic() > deadline:
                sys.exit(
                    f"Airflow's database cannot be reached:\n  {str(error).strip()}\n"
                    "Look at `docker compose ps postgres` and `docker compose logs postgres`, then run: "
                    "docker compose up -d\n"
                    "The secret airflow_sql_alchemy_conn contains its address and password."
                )
        time.sleep(1)


def _versions() -> dict[str, Path]:
    """Table with the version of the last migration -> folder of the migrations."""
    spec = importlib.util.find_spec("airflow")
    assert spec is not None and spec.origin is not None
    airflow = Path(spec.origin).parent
    return {
        "alembic_version": airflow / "migrations" / "versions",
        "alembic_version_fab": airflow / "providers" / "fab" / "migrations" / "versions",
    }


def _is_migrated(database: Connection, table: str, migrations: Path) -> bool:
    with database.cursor() as cursor:
        cursor.execute("select to_regclass(%s) is not null", (table,))
        if cursor.fetchone() != (True,):
            return False
        cursor.execute(f"select version_num from {table}")  # noqa: S608 - a name from _versions
        return {version for (version,) in cursor.fetchall()} == _newest(migrations)


def _newest(migrations: Path) -> set[str]:
    """Migrations that no other follows. If a file is misread, the result differs from the table, and all run again."""
    text = "\n".join(path.read_text() for path in migrations.glob("*.py"))
    revisions = re.findall(r'^revision\b.*?= *"(\w+)"', text, re.MULTILINE)
    followed = re.findall(r'^down_revision\b.*?= *"(\w+)"', text, re.MULTILINE)
    return set(revisions) - set(followed)


def _user_has(database: Connection, password: str) -> bool:
    from werkzeug.security import check_password_hash

    with database.cursor() as cursor:
        cursor.execute("select password from ab_user where username = %s", (USER,))
        row = cursor.fetchone()
    return row is not None and check_password_hash(row[0], password)


def _migrate() -> None:
    _quieten()
    from airflow.utils.db import upgradedb
    from airflow.utils.providers_configuration_loader import providers_configuration_loaded

    providers_configuration_loaded(upgradedb)()


def _set_user(password: str) -> None:
    _quieten()
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        manager = builder.sm
        user = manager.find_user(USER)
        if user is None:
            manager.add_user(USER, "Airflow", "Admin", "airflow@localhost", manager.find_role("Admin"), password)
        else:
            manager.reset_password(user.id, password)


def _make_pools(url: str) -> None:
    """Create the missing pools. Keep slots that a user has changed."""
    with closing(_connected(url)) as database, database, database.cursor() as cursor:
        for name, (slots, why) in POOLS.items():
            cursor.execute(
                "insert into slot_pool (pool, slots, description, include_deferred) values (%s, %s, %s, false) "
                "on conflict (pool) do nothing",
                (name, slots, why),
            )


def _rename_triggers(url: str) -> None:
    """Give the triggers of version 0.1.0 the names that their classes have now.

    Airflow 3.3.2 loses an asset's watcher when the trigger's class is renamed. Without this, new batches would go
    unnoticed for ten minutes, until the DAG file is read again.
    """
    with closing(_connected(url)) as database, database, database.cursor() as cursor:
        for old, new in OLD_TRIGGERS.items():
            cursor.execute("update trigger set classpath = %s where classpath = %s", (new, old))


def _quieten() -> None:
    """Silence Airflow's import-time logging and its libraries' deprecation warnings; call before importing it."""
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")
    warnings.simplefilter("ignore")


def _say(text: str) -> None:
    print(f"airflow-init: {text}", flush=True)  # noqa: T201 - read in `docker compose logs`


if __name__ == "__main__":
    main()
