"""Two runs at the same time: the second waits, or stops with a clear message. A lock ends when its holder dies."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from lakehouse import warehouse
from lakehouse.errors import Busy, WarehouseError
from tests.support.processes import other_processes


@pytest.fixture
def in_another_process(settings):
    """Run code in a process that has `settings` and `warehouse`; returns the process once it has printed a line."""
    with other_processes(settings) as run:
        yield run


HOLD = """
with warehouse.lock(settings, "shop.orders"):
    print("here", flush=True)
    input()
"""


def sessions(settings, condition):
    with warehouse.connect(settings) as connection:
        cursor = connection.cursor()
        cursor.execute(f"select count(*) from pg_stat_activity where datname = current_database() and {condition}")
        return cursor.fetchone()[0]


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_held_lock_stops_another_run_and_names_lock_holder_and_time(settings, in_another_process):
    holder = in_another_process(HOLD)

    with pytest.raises(Busy) as raised, warehouse.lock(settings, "shop.orders", wait_seconds=0.2):
        pass

    assert "The lock shop.orders is held by another run; waited 0.2 s" in str(raised.value)
    assert f"pid {holder.pid} on " in str(raised.value)
    assert time.strftime("since %Y-%m-%d", time.gmtime()) in str(raised.value)
    assert "LAKEHOUSE_LOCK_WAIT_SECONDS" in str(raised.value)


def test_no_wait_stops_immediately(settings):
    with warehouse.lock(settings, "shop.orders"):
        started = time.monotonic()
        with pytest.raises(Busy), warehouse.lock(settings, "shop.orders", wait_seconds=0):
            pass

    assert time.monotonic() - started < 2


def test_a_waiting_run_goes_on_when_the_lock_is_free(settings, in_another_process):
    holder = in_another_process(HOLD)
    order = []

    def wait():
        with warehouse.lock(settings, "shop.orders"):
            order.append("got it")

    waiting = threading.Thread(target=wait)
    waiting.start()
    until(lambda: sessions(settings, "wait_event = 'advisory'") == 1)
    order.append("still held")
    holder.stdin.write("\n")
    holder.stdin.flush()
    waiting.join(20)

    assert order == ["still held", "got it"]


def test_a_lock_ends_with_a_killed_holder(settings, in_another_process):
    holder = in_another_process(HOLD)

    holder.send_signal(signal.SIGKILL)

    with warehouse.lock(settings, "shop.orders", wait_seconds=10):
        pass


def test_a_lock_is_free_after_an_error_in_its_block(settings):
    with pytest.raises(KeyError), warehouse.lock(settings, "shop.orders"):
        raise KeyError

    with warehouse.lock(settings, "shop.orders", wait_seconds=0):
        pass


def test_different_names_do_not_exclude_each_other(settings):
    with warehouse.lock(settings, "shop.orders"), warehouse.lock(settings, "shop.items", wait_seconds=0):
        pass


def test_different_workspaces_do_not_exclude_each_other(settings, new_workspace):
    with warehouse.lock(settings, "publish"), warehouse.lock(new_workspace(), "publish", wait_seconds=0):
        pass


def test_shared_locks_admit_each_other_and_exclude_the_exclusive_one(settings):
    with (
        warehouse.lock(settings, "publish", shared=True),
        warehouse.lock(settings, "publish", shared=True),
        pytest.raises(Busy),
        warehouse.lock(settings, "publish", wait_seconds=0.1),
    ):
        pass


def test_a_lost_lock_is_noticed(settings):
    with pytest.raises(WarehouseError, match="The lock publish was lost"), warehouse.lock(settings, "publish") as held:
        held.check()
        with warehouse.connect(settings) as connection:
            connection.cursor().execute("select pg_terminate_backend(%s)", (held.connection.get_backend_pid(),))
        until(lambda: sessions(settings, f"pid = {held.connection.get_backend_pid()}") == 0)
        with pytest.raises(WarehouseError, match="lost"):
            held.check()


def test_nothing_is_published_under_a_lost_lock(settings):
    with pytest.raises(WarehouseError, match="lost"), warehouse.lock(settings, "publish") as held:
        with warehouse.connect(settings) as connection:
            connection.cursor().execute("select pg_terminate_backend(%s)", (held.connection.get_backend_pid(),))
        until(lambda: sessions(settings, f"pid = {held.connection.get_backend_pid()}") == 0)
        with pytest.raises(WarehouseError, match="lost"), warehouse.connect(settings) as connection:
            held.fence(connection.cursor())
            connection.cursor().execute("insert into ops.runs (source, status) values ('shop', 'done')")

    with warehouse.connect(settings) as connection:
        cursor = connection.cursor()
        cursor.execute("select count(*) from ops.runs")
        assert cursor.fetchone() == (0,)


def test_a_fenced_transaction_passes_while_the_lock_is_held(settings):
    with warehouse.lock(settings, "publish") as held, warehouse.connect(settings) as connection:
        held.fence(connection.cursor())


def test_the_next_holder_waits_for_a_fenced_transaction_that_outlives_its_run(settings):
    order = []
    with warehouse.connect(settings) as orphan:
        with warehouse.lock(settings, "publish") as held:
            held.fence(orphan.cursor())
        following = threading.Thread(target=lambda: _take(settings, order))
        following.start()
        until(lambda: sessions(settings, "wait_event = 'advisory'") == 1)
        order.append("transaction ends")
    following.join(20)

    assert order == ["transaction ends", "next run starts"]


def _take(settings, order):
    with warehouse.lock(settings, "publish"):
        order.append("next run starts")


def test_the_statement_of_a_killed_run_ends_soon(settings, in_another_process):
    process = in_another_process(
        """
        with warehouse.connect(settings) as connection:
            print("here", flush=True)
            connection.cursor().execute("select pg_sleep(600)")
        """
    )
    until(lambda: sessions(settings, "wait_event = 'PgSleep'") == 1)

    process.kill()

    until(lambda: sessions(settings, "wait_event = 'PgSleep'") == 0)


def test_ctrl_c_ends_the_wait_for_a_lock(settings, in_another_process):
    with warehouse.lock(settings, "publish"):
        process = in_another_process(
            """
            print("here", flush=True)
            with warehouse.lock(settings, "publish", wait_seconds=600):
                pass
            """
        )
        until(lambda: sessions(settings, "wait_event = 'advisory'") == 1)

        os.kill(process.pid, signal.SIGINT)

        assert process.wait(10) != 0
