"""A name -> a lock between runs of one workspace, held by a separate session in the warehouse. See warehouse.lock.

The lock ends with its session, so nothing is left to clean up, however a run dies. If a run loses its session (the
server restarted, the network broke), `check` raises an error, and `fence` keeps the run from publishing.
"""

from __future__ import annotations

import contextlib
import hashlib
import select
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from lakehouse.errors import Busy, WarehouseError
from lakehouse.settings import Settings
from lakehouse.warehouse.connections import finish, open_connection, statement_error

CLOSING_READS = 8
SERVER_ANSWER_MARGIN = 15  # seconds that this side waits longer than the server

# The sessions of this database that hold the lock with a 64-bit key (passed twice), the longest holder first. A session
# runs no statement after it has got the lock, so its last change of state is the moment when it got the lock.
HOLDERS = """
    select
        locks.pid,
        activity.application_name,
        to_char(activity.state_change at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as since
    from pg_catalog.pg_locks as locks
    inner join pg_catalog.pg_stat_activity as activity on activity.pid = locks.pid
    where locks.locktype = 'advisory' and locks.granted and locks.objsubid = 1
        and locks.database = (select oid from pg_catalog.pg_database where datname = current_database())
        and locks.classid::bigint = (%s::bigint >> 32) & 4294967295
        and locks.objid::bigint = %s::bigint & 4294967295
    order by since, locks.pid
"""


@dataclass(frozen=True)
class HeldLock:
    """A lock that this run holds as long as the session of `connection` lives."""

    name: str
    connection: Connection
    shared: bool

    def check(self) -> None:
        """Raise WarehouseError if the lock is lost. Costs no round trip."""
        try:
            # The server sends data unasked only before it closes the connection. Read until nothing is left.
            # A closed connection is always readable, and reading from it fails.
            for _ in range(CLOSING_READS):
                readable, _, _ = select.select([self.connection.fileno()], [], [], 0)
                if not readable:
                    return
                finish(self.connection, time.monotonic() + 1)
        except (psycopg2.Error, OSError, ValueError, TimeoutError) as error:
            raise self._lost() from error
        raise self._lost()

    def fence(self, cursor: Cursor) -> None:
        """Tie a transaction to this lock. Call it as the transaction's first statement.

        Raises WarehouseError if the lock is already lost. The next holder of the lock waits until the transaction ends,
        even if this process is killed and the server has not noticed yet.
        """
        cursor.execute("select pg_advisory_xact_lock_shared(%s)", (_key(_transactions_of(self.name)),))
        key = _key(self.name)
        cursor.execute(HOLDERS, (key, key))
        holders = [pid for pid, _, _ in cursor.fetchall()]
        if self.connection.closed or self.connection.get_backend_pid() not in holders:
            raise self._lost()

    def _lost(self) -> WarehouseError:
        return WarehouseError(
            f"The lock {self.name} was lost while this run worked: the warehouse restarted, or the connection to it "
            "broke.\nAnother run may have worked at the same time. Run the same command again."
        )


@contextlib.contextmanager
def lock(
    settings: Settings, name: str, *, wait_seconds: float | None = None, shared: bool = False
) -> Iterator[HeldLock]:
    """Hold a named lock of this workspace until the block ends or the process dies. Not reentrant.

    Waits up to `wait_seconds` (unset: the setting `lock_wait_seconds`; 0: not at all).
    Raises Busy, which names the lock and its holder, and at the end of the block WarehouseError if the lock was lost.
    """
    wait = settings.lock_wait_seconds if wait_seconds is None else wait_seconds
    connection = open_connection(settings, "loader", settings.database_name, asynchronous=True)
    held = HeldLock(name, connection, shared)
    with contextlib.closing(connection):
        _acquire(held, wait)
        try:
            yield held
        except BaseException:
            with contextlib.suppress(WarehouseError):
                _release(held)
            raise
        held.check()
        try:
            _release(held)
        except WarehouseError as error:
            raise held._lost() from error


def _acquire(held: HeldLock, wait: float) -> None:
    deadline = time.monotonic() + wait + SERVER_ANSWER_MARGIN
    shared = "_shared" if held.shared else ""
    try:
        _ask(held.connection, deadline, f"set lock_timeout = {max(1, round(wait * 1000))}")
        if wait > 0:
            _ask(held.connection, deadline, f"select pg_advisory_lock{shared}(%s)", _key(held.name))
        elif _ask(held.connection, deadline, f"select pg_try_advisory_lock{shared}(%s)", _key(held.name)) != [(True,)]:
            raise _busy(held, wait)
        # A transaction that a killed run fenced with this lock may still be committing. Wait until it ends.
        _ask(held.connection, deadline, f"select pg_advisory_xact_lock{shared}(%s)", _key(_transactions_of(held.name)))
    except WarehouseError as error:
        if isinstance(error.__cause__, psycopg2.errors.LockNotAvailable):
            raise _busy(held, wait) from error
        raise


def _release(held: HeldLock) -> None:
    """Release the lock before the connection is closed, since the server may notice the closing only a moment later."""
    shared: Literal["", "_shared"] = "_shared" if held.shared else ""
    _ask(
        held.connection,
        time.monotonic() + SERVER_ANSWER_MARGIN,
        f"select pg_advisory_unlock{shared}(%s)",
        _key(held.name),
    )


def _busy(held: HeldLock, wait: float) -> Busy:
    key = _key(held.name)
    rows = _ask(held.connection, time.monotonic() + SERVER_ANSWER_MARGIN, HOLDERS, key, key)
    holders = [f"  {application}, since {since} UTC" for _, application, since in rows]
    lines = [
        f"The lock {held.name} is held by another run; waited {wait:g} s for it.",
        *(holders or ["  (it has ended by now)"]),
        "Wait until it ends and run again, or wait longer: LAKEHOUSE_LOCK_WAIT_SECONDS.",
    ]
    return Busy("\n".join(lines))


def _ask(connection: Connection, deadline: float, statement: str, *values: object) -> list[tuple[object, ...]]:
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            finish(connection, deadline)
            return cursor.fetchall() if cursor.description else []
    except psycopg2.Error as error:
        raise statement_error(error, "loader") from error
    except TimeoutError as error:
        raise WarehouseError("The warehouse stopped answering. Run the same command again.") from error


def _transactions_of(name: str) -> str:
    return f"{name} transactions"


def _key(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
