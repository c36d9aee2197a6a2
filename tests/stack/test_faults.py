"""Whatever part is killed in the middle of a run: it comes back, and the marts are those of the undisturbed run.

"In the middle" is made sure of: the copy of one table into the warehouse is held up by a lock on its staging table
until the blow has fallen.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest
from compose import Stack
from outcomes import all_rows, differences
from psycopg2 import sql

from lakehouse.connections import open_connection
from lakehouse.settings import Settings


@contextlib.contextmanager
def copying_held_up(stack: Stack, state: str) -> Iterator[None]:
    """Inside: a worker is about to copy rows of a table, and waits."""
    with contextlib.closing(open_connection(stack.settings(state), "loader", f"lakehouse_{state}")) as holder:
        cursor = holder.cursor()
        stack.wait(lambda: lock_a_staging_table(holder), "no table was copied")
        stack.wait(lambda: waiting(stack, state), "no worker waits for the table")
        try:
            yield
        finally:
            with contextlib.suppress(psycopg2.Error):  # the server may have been the one that was killed
                cursor.execute("rollback")


def lock_a_staging_table(holder: psycopg2.extensions.connection) -> bool:
    cursor = holder.cursor()
    cursor.execute("select tablename from pg_tables where tablename like '\\_staging\\_%' limit 1")
    found = cursor.fetchone()
    if found is None:
        holder.rollback()
        return False
    try:
        cursor.execute(sql.SQL("lock table {} in access exclusive mode").format(sql.Identifier("raw_olist", *found)))
    except psycopg2.Error:  # published meanwhile
        holder.rollback()
        return False
    return True


def waiting(stack: Stack, state: str) -> bool:
    """Asked as the workers' own role, which sees what it does."""
    with contextlib.closing(open_connection(stack.settings(state), "loader", f"lakehouse_{state}")) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "select count(*) from pg_stat_activity "
            "where application_name = 'lakehouse load' and wait_event_type = 'Lock' and datname = current_database()"
        )
        (count,) = cursor.fetchone() or (0,)
        return bool(count)


BLOWS: dict[str, tuple[Callable[[Stack], None], bool]] = {
    # what happens, and whether the run itself comes through it
    "a worker is killed": (lambda stack: stack.kill("spark-worker"), True),
    "the master is killed": (lambda stack: stack.kill("spark-master"), True),
    "the Connect server is killed": (lambda stack: stack.kill("spark-connect"), False),
    "the store is restarted": (lambda stack: stack.restart("minio"), True),
    "the warehouse is restarted": (lambda stack: stack.restart("postgres"), False),
}


@pytest.mark.parametrize("blow", BLOWS, ids=lambda blow: blow.replace(" ", "_"))
def test_the_marts_are_those_of_the_undisturbed_run(stack: Stack, shop: Path, undisturbed: Settings, blow: str) -> None:
    strike, survives = BLOWS[blow]
    state = f"fault_{list(BLOWS).index(blow)}"
    stack.cli("start", "--state", state)
    run = stack.start(*stack.cli_command("run", "/data", "--state", state, mount=shop))

    with copying_held_up(stack, state):
        strike(stack)
    output, _ = run.communicate(timeout=600)
    for service in ("spark-worker", "spark-connect", "minio", "postgres"):
        stack.wait_until_healthy(service)

    if survives:
        assert run.returncode == 0, output
    else:
        assert run.returncode == 1, output
        assert "Traceback" not in output
        assert "run the same command again" in output.lower()
        stack.cli("run", "--state", state)
    assert differences(all_rows(undisturbed), all_rows(stack.settings(state))) == {}
