"""Settings and a role -> a connection to the workspace's database in the warehouse."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import psycopg2
import psycopg2.extensions
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from lakehouse.causes import CONNECTIONS, found_in
from lakehouse.errors import WarehouseError
from lakehouse.settings import Role, Settings, Target
from lakehouse.warehouse.passwords import superuser_password_file

CONNECT_SECONDS = 10


class PasswordRefused(WarehouseError):
    """The server refuses the role's password."""


class NoDatabase(WarehouseError):
    """The server has no database for this workspace."""


@contextlib.contextmanager
def connect(settings: Settings, role: Role = "loader", autocommit: bool = False) -> Iterator[Connection]:
    """A connection to the workspace's database. Commits at the end or rolls back on an error, then closes.

    Raises WarehouseError when the server cannot be reached or refuses a statement (psycopg2's error is its cause).
    """
    connection = open_connection(settings, role, settings.database_name)
    connection.autocommit = autocommit
    try:
        yield connection
        if not autocommit:
            connection.commit()
    except psycopg2.Error as error:
        raise statement_error(error, role) from error
    finally:
        connection.close()  # rolls back what is not committed


@contextlib.contextmanager
def cursor(settings: Settings, role: Role = "loader", *, autocommit: bool = False) -> Iterator[Cursor]:
    """A cursor on a new connection: one transaction, as in `connect`."""
    with connect(settings, role, autocommit) as connection, connection.cursor() as opened:
        yield opened


def uri(settings: Settings, role: Role) -> str:
    """The address at which users reach the workspace's database as this role, without the password."""
    place = settings.published_postgres or f"{settings.postgres_host}:{settings.postgres_port}"
    return f"postgresql://{role}@{place}/{settings.database_name}"


def open_connection(
    settings: Settings, role: Role | Literal["postgres"], database: str, *, asynchronous: bool = False
) -> Connection:
    """A connection to any database of the server. The caller closes it.

    Raises WarehouseError with the remedy, and ConfigurationError when the role has no password.
    """
    try:
        connection: Connection = psycopg2.connect(
            host=settings.postgres_host,
            port=settings.postgres_port,
            dbname=database,
            user=role,
            password=_password(settings, role),
            application_name=_application_name(),
            sslmode="require" if settings.target is Target.AWS else "prefer",
            gssencmode="disable",
            connect_timeout=CONNECT_SECONDS,
            keepalives=1,
            keepalives_idle=20,
            keepalives_interval=10,
            keepalives_count=3,
            async_=int(asynchronous),
        )
        if asynchronous:
            finish(connection, time.monotonic() + CONNECT_SECONDS)
    except (psycopg2.OperationalError, TimeoutError) as error:
        raise _unreachable(settings, role, database, str(error).strip() or "no answer") from error
    return connection


def finish(connection: Connection, deadline: float) -> None:
    """Wait until an asynchronous connection is done. Ctrl-C ends this wait, unlike the wait of a blocking connection.

    Raises TimeoutError at the deadline (a value of `time.monotonic`).
    """
    while (state := connection.poll()) != psycopg2.extensions.POLL_OK:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        number = [connection.fileno()]
        reading = state == psycopg2.extensions.POLL_READ
        select.select(number if reading else [], [] if reading else number, [], remaining)


def statement_error(error: psycopg2.Error, role: str) -> WarehouseError:
    """An error with the server's answer and the first line of the statement."""
    query: bytes = getattr(error.cursor, "query", None) or b""
    lines = [line.strip() for line in query.decode(errors="replace").splitlines() if line.strip()]
    answer = (error.pgerror or str(error) or type(error).__name__).strip()
    statement = f"\nThe statement begins: {lines[0][:200]}" if lines else ""
    return WarehouseError(f"The warehouse refused a statement of {role}: {answer}{statement}")


def _password(settings: Settings, role: Role | Literal["postgres"]) -> str:
    if role == "postgres":
        return superuser_password_file(settings).read_text().strip()
    return settings.password(role)


def _application_name() -> str:
    """The name of this process in pg_stat_activity and in Busy: its command, pid and machine (63 bytes at most)."""
    command = " ".join([Path(sys.argv[0]).name or "python", *sys.argv[1:2]])
    return f"{command[:30]} (pid {os.getpid()} on {socket.gethostname()[:16]})"


def _unreachable(settings: Settings, role: Role | Literal["postgres"], database: str, reason: str) -> WarehouseError:
    where = f"{settings.postgres_host}:{settings.postgres_port}"
    embedded = settings.target is Target.EMBEDDED
    start = f"`lakehouse start --workspace {settings.workspace_name}`"
    if "password authentication failed" in reason:
        file = superuser_password_file(settings) if role == "postgres" else settings.password_file(role)
        setting = f"LAKEHOUSE_{role.upper()}_PASSWORD"
        remedy = (
            f"Run {start}: it gives the role this password."
            if embedded
            else f"Put the right one there or in {setting}."
        )
        return PasswordRefused(
            f"The warehouse at {where} refused the password of {role}, which is from {setting} or {file}.\n{remedy}"
        )
    if f'database "{database}" does not exist' in reason:
        return NoDatabase(f"The warehouse at {where} has no database {database}.\nRun {start}: it makes it.")
    elsewhere = "Start it (`make up`), or correct LAKEHOUSE_POSTGRES_HOST and LAKEHOUSE_POSTGRES_PORT"
    remedy = f"Run {start}." if embedded else f"{elsewhere}; then run the same command again."
    if taken := found_in(reason, [CONNECTIONS]):
        remedy = taken[1]
    return WarehouseError(f"The warehouse at {where} cannot be reached as {role}: {reason}\n{remedy}")
