"""The lock of Airflow's executor: one process at a time, and no process waits for a dead one."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import pytest

from lakehouse_airflow import kernel_lock

SECONDS = 10
A_WHILE = 0.3
Other = tuple[BaseProcess, Connection]


@pytest.fixture
def lock() -> Any:
    return kernel_lock.KernelLock()


@pytest.fixture
def other(lock: Any) -> Iterator[Callable[[], Other]]:
    """Starts a process that acquires the lock, reports it, and releases the lock on request."""
    started: list[BaseProcess] = []
    fork = multiprocessing.get_context("fork")

    def start() -> Other:
        near, far = fork.Pipe()
        process = fork.Process(target=hold, args=(lock, far))
        process.start()
        started.append(process)
        return process, near

    yield start
    for process in started:
        process.kill()
        process.join()


def hold(lock: Any, test: Connection) -> None:
    test.send("begun")
    with lock:
        test.send("has it")
        test.recv()
    test.send("released it")


def heard(other: Other, word: str, seconds: float = SECONDS) -> bool:
    return other[1].poll(seconds) and other[1].recv() == word


def test_one_process_at_a_time(other: Callable[[], Other]) -> None:
    first = other()
    assert heard(first, "begun") and heard(first, "has it")
    second = other()
    assert heard(second, "begun")

    assert not heard(second, "has it", A_WHILE)
    first[1].send("release it")

    assert heard(first, "released it")
    assert heard(second, "has it")


def test_a_killed_holder_locks_no_other_process_out(other: Callable[[], Other]) -> None:
    first = other()
    assert heard(first, "begun") and heard(first, "has it")
    second = other()
    assert heard(second, "begun") and not heard(second, "has it", A_WHILE)

    first[0].kill()

    assert heard(second, "has it")


def test_acquired_twice_it_is_free_after_the_second_release(lock: Any, other: Callable[[], Other]) -> None:
    lock.acquire()
    with lock:
        waiting = other()
        assert heard(waiting, "begun")
    assert not heard(waiting, "has it", A_WHILE)

    lock.release()

    assert heard(waiting, "has it")
