"""Settings -> a warehouse that is ready to use: server, workspace's database, roles, schemas, ops tables and grants.

Every command calls `prepare` first.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path

import psycopg2
import psycopg2.extensions
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from lakehouse.errors import ConfigurationError, WarehouseError
from lakehouse.settings import PROJECT_DIR, ROLES, Role, Settings, Target
from lakehouse.warehouse.connections import NoDatabase, PasswordRefused, connect, open_connection, statement_error
from lakehouse.warehouse.embedded import server as embedded_postgres
from lakehouse.warehouse.passwords import ensure_passwords

INIT_DIR = PROJECT_DIR / "postgres_init"
# A superuser applies these, the role owner all others.
ROLES_SQL, FUNCTIONS_SQL = INIT_DIR / "10-roles.sql", INIT_DIR / "15-functions.sql"
# The schemas that 20-schemas.sql creates.
SCHEMAS = ("ops", "staging", "intermediate", "marts")
MAINTENANCE_DATABASE, TEMPLATE = "postgres", "template1"
INIT_LOCK = 5433_2026  # any number: the key of an advisory lock in the maintenance database


def prepare(settings: Settings) -> None:
    """Make the warehouse of this workspace ready.

    Calling this again is safe, also from several processes at the same time. If nothing needs to be done, a call costs
    only a few logins.
    Raises SetupError when the embedded server cannot start, WarehouseError when the warehouse cannot be reached.
    """
    if settings.target is Target.EMBEDDED:
        if settings.postgres_host not in ("127.0.0.1", "localhost"):
            raise ConfigurationError(
                f"LAKEHOUSE_POSTGRES_HOST is {settings.postgres_host}, but the target `embedded` runs its own Postgres "
                "on 127.0.0.1.\nUnset it, or set LAKEHOUSE_TARGET=docker or aws."
            )
        embedded_postgres.start(settings)
        with contextlib.suppress(ConfigurationError, PasswordRefused, NoDatabase):
            if _is_ready(settings, ROLES):
                return
        _initialise_cluster(settings)
        _initialise_database(settings)
    else:
        with contextlib.suppress(NoDatabase):
            if _is_ready(settings, ("loader",)):
                return
        _initialise_database(settings)


def drop_database(settings: Settings) -> None:
    """Drop the workspace's database with everything in it, and end its sessions. No error if there is none."""
    if settings.target is Target.EMBEDDED:
        if not embedded_postgres.has_data(settings):
            return
        embedded_postgres.start(settings)
    with contextlib.closing(_open_maintenance(settings, "owner")) as connection:
        statement = sql.SQL("drop database if exists {} with (force)")
        _execute(connection, statement.format(sql.Identifier(settings.database_name)))


def _is_ready(settings: Settings, roles: Iterable[Role]) -> bool:
    """Whether each role can log in, and the database has this version's SQL and all schemas: one may be dropped."""
    mark, schemas = None, 0
    for role in roles:
        with connect(settings, role) as connection:
            cursor = connection.cursor()
            cursor.execute(
                "select shobj_description(oid, 'pg_database'), "
                "(select count(*) from pg_namespace where nspname = any(%s)) "
                "from pg_database where datname = current_database()",
                (list(SCHEMAS),),
            )
            mark, schemas = cursor.fetchone() or (None, 0)
    return mark == _mark() and schemas == len(SCHEMAS)


def _initialise_cluster(settings: Settings) -> None:
    """Create the roles, set their passwords and restrict functions, as the embedded server's superuser.

    Nothing else uses the superuser.
    """
    ensure_passwords(settings)
    try:
        connection = _open_maintenance(settings, "postgres")
    except PasswordRefused:
        embedded_postgres.reset_superuser_password(settings)
        connection = _open_maintenance(settings, "postgres")
    with contextlib.closing(connection):
        _execute(connection, f"select pg_advisory_lock({INIT_LOCK})")
        _execute(connection, ROLES_SQL.read_text())
        for role in ROLES:
            # Only the verifier is sent, since a statement may end up in a log.
            verifier = psycopg2.extensions.encrypt_password(
                settings.password(role), role, scope=connection, algorithm="scram-sha-256"
            )
            statement = sql.SQL("alter role {} password {}")
            _execute(connection, statement.format(sql.Identifier(role), sql.Literal(verifier)))
        # A new database is a copy of the template; one that is there gets the same.
        for database in (TEMPLATE, settings.database_name):
            if _is_there(connection, database):
                with contextlib.closing(open_connection(settings, "postgres", database)) as restricted:
                    restricted.autocommit = True
                    _execute(restricted, FUNCTIONS_SQL.read_text())


def _initialise_database(settings: Settings) -> None:
    """Create the workspace's database if absent, and apply its SQL in one transaction, as the role owner."""
    try:
        connection = _open_maintenance(settings, "owner")
    except ConfigurationError as error:
        raise WarehouseError(
            f"The database {settings.database_name} does not have the schema of this version, and only the role owner "
            f"may bring it there, whose password is not known here:\n{error}"
        ) from error
    name = sql.Identifier(settings.database_name)
    with contextlib.closing(connection):
        _execute(connection, f"select pg_advisory_lock({INIT_LOCK})")
        if not _is_there(connection, settings.database_name):
            statement = "create database {} owner owner template {} encoding 'UTF8' locale 'C'"
            _execute(connection, sql.SQL(statement).format(name, sql.Identifier(_template(connection))))
        with connect(settings, "owner") as database:
            statements = database.cursor()
            for file in _database_files():
                statements.execute(file.read_text())
            statements.execute(sql.SQL("comment on database {} is {}").format(name, sql.Literal(_mark())))


def _open_maintenance(settings: Settings, role: Role | str) -> Connection:
    """A connection to the maintenance database, from which databases are created and dropped."""
    connection = open_connection(settings, role, MAINTENANCE_DATABASE)  # type: ignore[arg-type]
    connection.autocommit = True
    return connection


def _is_there(connection: Connection, database: str) -> bool:
    cursor = connection.cursor()
    cursor.execute("select from pg_catalog.pg_database where datname = %s", (database,))
    return cursor.fetchone() is not None


def _template(connection: Connection) -> str:
    """The template with the restricted functions; the untouched one on a server where this sorts in another way."""
    cursor = connection.cursor()
    cursor.execute(
        "select from pg_catalog.pg_database "
        "where datname = %s and pg_encoding_to_char(encoding) = 'UTF8' and datcollate = 'C' and datctype = 'C' "
        "and datlocprovider = 'c'",
        (TEMPLATE,),
    )
    return "template0" if cursor.fetchone() is None else TEMPLATE


def _execute(connection: Connection, statement: str | sql.Composable) -> None:
    try:
        connection.cursor().execute(statement)
    except psycopg2.Error as error:
        raise statement_error(error, connection.info.user) from error


def _database_files() -> list[Path]:
    """The SQL files for a database, in the order in which they are applied."""
    return [file for file in sorted(INIT_DIR.glob("*.sql")) if file not in (ROLES_SQL, FUNCTIONS_SQL)]


def _mark() -> str:
    """The comment that a database gets once all SQL is applied. It changes when the SQL changes."""
    content = b"".join(file.read_bytes() for file in sorted(INIT_DIR.glob("*.sql")))
    return f"postgres_init {hashlib.sha256(content).hexdigest()}"
