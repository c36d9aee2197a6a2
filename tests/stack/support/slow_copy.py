"""Holds up the copy of a table into the warehouse, so that a fault surely happens in its middle."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg2
from psycopg2 import sql

from lakehouse.warehouse.connections import open_connection
from tests.stack.support.compose import Stack

# A staging table is there for a second.
SHORTLY = 0.2


@contextlib.contextmanager
def copying_held_up(stack: Stack, workspace: str) -> Iterator[str]:
    """Inside the block, a worker waits to copy the rows of a table; yields the table's name."""
    with contextlib.closing(open_connection(stack.settings(workspace), "loader", f"lakehouse_{workspace}")) as holder:
        cursor = holder.cursor()
        held: list[str] = []
        stack.wait(lambda: held.extend(lock_a_staging_table(holder)) or held, "no table was copied", every=SHORTLY)
        stack.wait(lambda: waiting(stack, workspace), "no worker waits for the table", every=SHORTLY)
        try:
            yield held[0].removeprefix("_staging_").rpartition("_")[0]
        finally:
            with contextlib.suppress(psycopg2.Error):  # the server may have been the one that was killed
                cursor.execute("rollback")


def lock_a_staging_table(holder: psycopg2.extensions.connection) -> list[str]:
    """Lock one, if there is one; its name."""
    cursor = holder.cursor()
    cursor.execute("select tablename from pg_tables where tablename like '\\_staging\\_%' limit 1")
    found = cursor.fetchone()
    if found is None:
        holder.rollback()
        return []
    try:
        cursor.execute(sql.SQL("lock table {} in access exclusive mode").format(sql.Identifier("raw_olist", *found)))
    except psycopg2.Error:  # published meanwhile
        holder.rollback()
        return []
    return list(found)


def waiting(stack: Stack, workspace: str) -> bool:
    """Whether a worker waits for the lock. Asked as the workers' own role, which sees its own sessions."""
    with contextlib.closing(
        open_connection(stack.settings(workspace), "loader", f"lakehouse_{workspace}")
    ) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "select count(*) from pg_stat_activity "
            "where application_name = 'lakehouse load' and wait_event_type = 'Lock' and datname = current_database()"
        )
        (count,) = cursor.fetchone() or (0,)
        return bool(count)
