"""The lock of Airflow's executor: one process at a time, and nobody waits for a dead one."""

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
    """Starts a process that takes the lock, says so, and gives it back when it is told to."""
    started: list[BaseProcess] = []
    fork = multiprocessing.get_context("fork")

    def start() -> Other:
        ours, its = fork.Pipe()
        process = fork.Process(target=take, args=(lock, its))
        process.start()
        started.append(process)
        return process, ours

    yield start
    for process in started:
        process.kill()
        process.join()


def take(lock: Any, told: Connection) -> None:
    told.send("begun")
    with lock:
        told.send("has it")
        told.recv()
    told.send("gave it back")


def heard(other: Other, word: str, seconds: float = SECONDS) -> bool:
    return other[1].poll(seconds) and other[1].recv() == word


def test_one_process_at_a_time(other: Callable[[], Other]) -> None:
    first = other()
    assert heard(first, "begun") and heard(first, "has it")
    second = other()
    assert heard(second, "begun")

    assert not heard(second, "has it", A_WHILE)
    first[1].send("give it back")

    assert heard(first, "gave it back")
    assert heard(second, "has it")


def test_one_that_is_killed_keeps_nobody_out(other: Callable[[], Other]) -> None:
    first = other()
    assert heard(first, "begun") and heard(first, "has it")
    second = other()
    assert heard(second, "begun") and not heard(second, "has it", A_WHILE)

    first[0].kill()

    assert heard(second, "has it")


def test_taken_twice_it_is_given_back_with_the_second(lock: Any, other: Callable[[], Other]) -> None:
    lock.acquire()
    with lock:
        waiting = other()
        assert heard(waiting, "begun")
    assert not heard(waiting, "has it", A_WHILE)

    lock.release()

    assert heard(waiting, "has it")
