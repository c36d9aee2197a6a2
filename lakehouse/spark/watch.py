"""The number of Spark's executors -> a warning when there is none: Spark then lets every job wait, and reports nothing.

The stack's Connect server gives the number at a port of its own (spark/java/lakehouse/ExecutorCount.java). Spark in
this process is its own executor, and another Connect server does not answer there: neither is watched.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from lakehouse.repeating import repeated
from lakehouse.settings import Settings

COUNT_PORT = 15003
ANSWER_SECONDS = 5
# A restarted worker is back within half a minute.
PATIENCE_SECONDS = 60
EVERY_SECONDS = 10

WHAT_TO_DO = (
    "`docker compose ps spark-worker spark-master` shows whether they are healthy",
    "`docker compose logs spark-worker` shows why not",
    "`docker compose restart spark-worker` starts the worker again",
)
NO_EXECUTOR = f"Spark has no executor: its jobs wait until it gets one. {'; '.join(WHAT_TO_DO)}."


def executors(settings: Settings, port: int = COUNT_PORT) -> int | None:
    """How many executors the Connect server has; None if there is no server that says so."""
    if settings.spark_remote is None:
        return None
    host = urlsplit(settings.spark_remote.split("/;")[0]).hostname or ""
    with (
        suppress(OSError, ValueError),
        socket.create_connection((host, port), ANSWER_SECONDS) as connection,
        connection.makefile("r", encoding="ascii") as answer,
    ):
        return int(answer.readline())
    return None


@contextmanager
def executors_watched(settings: Settings, note: Callable[[str], None], port: int = COUNT_PORT) -> Iterator[None]:
    """Inside the block, call `note` when there has been no executor for a minute, and again every further minute."""
    if executors(settings, port) is None:
        yield
        return
    had_one = time.monotonic()

    def look() -> None:
        nonlocal had_one
        if executors(settings, port) != 0:
            had_one = time.monotonic()
        elif time.monotonic() - had_one >= PATIENCE_SECONDS:
            note(NO_EXECUTOR)
            had_one = time.monotonic()

    with repeated(look, every=EVERY_SECONDS, name="executors"):
        yield
