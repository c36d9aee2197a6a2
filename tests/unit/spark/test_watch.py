"""A Spark without an executor is noticed while jobs wait for one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from benchmarks.sandbox import free_port
from lakehouse.settings import Settings
from lakehouse.spark import watch


class Server:
    """What the Connect server says at its port for counts. `asked`: set at each answer."""

    def __init__(self, listener: socket.socket) -> None:
        self.count = "1\n"
        self.asked = threading.Event()
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(self.count.encode())
            self.asked.set()

    def wait_for_a_question(self) -> None:
        self.asked.clear()
        assert self.asked.wait(10)


@pytest.fixture
def server() -> Iterator[Server]:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield Server(listener)


@pytest.fixture
def settings() -> Settings:
    return Settings.load(spark_remote="sc://127.0.0.1:15002/;token=secret")


@pytest.fixture(autouse=True)
def _sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(watch, "PATIENCE_SECONDS", 0.1)


@pytest.mark.parametrize(("said", "count"), [("2\n", 2), ("0\n", 0), ("what?\n", None), ("", None)])
def test_the_server_says_how_many_executors_it_has(
    server: Server, settings: Settings, said: str, count: int | None
) -> None:
    server.count = said

    assert watch.executors(settings, server.port) == count


def test_a_spark_in_this_process_and_a_server_that_says_nothing_are_not_watched(settings: Settings) -> None:
    unused, notes = free_port(), []

    assert watch.executors(Settings.load(spark_remote=None), unused) is None
    with watch.executors_watched(settings, notes.append, unused):
        assert "executors" not in {thread.name for thread in threading.enumerate()}
    assert notes == []


def test_a_note_comes_when_there_has_been_none_for_long_and_again_if_it_goes_on(
    server: Server, settings: Settings
) -> None:
    notes: list[str] = []
    second = threading.Event()

    def note(text: str) -> None:
        notes.append(text)
        if len(notes) == 2:
            second.set()

    server.count = "0\n"
    with watch.executors_watched(settings, note, server.port):
        assert second.wait(10)

    assert set(notes) == {watch.NO_EXECUTOR}
    assert "docker compose logs spark-worker" in watch.NO_EXECUTOR


def test_no_note_comes_while_there_is_one(server: Server, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PATIENCE_SECONDS", 0)
    notes: list[str] = []

    with watch.executors_watched(settings, notes.append, server.port):
        for _ in range(3):
            server.wait_for_a_question()

    assert notes == []
    assert "executors" not in {thread.name for thread in threading.enumerate()}
