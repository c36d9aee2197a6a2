"""Airflow's pages answer under the names that people and services use, and under no other."""

from __future__ import annotations

import pytest

from lakehouse_airflow.known_hosts import REFUSAL, KnownHosts, known_hosts
from tests.support.pages import ask, page


def answer(hosts: frozenset[str] | None, *headers: tuple[bytes, bytes]) -> tuple[int, str]:
    """Status and body of a request with these headers; the app itself answers 200."""
    found = ask(KnownHosts(page(), hosts), headers)
    return found.status, found.body


@pytest.mark.parametrize(
    "host",
    ["localhost:8080", "127.0.0.1:8080", "127.0.0.1", "[::1]:8080", "LOCALHOST", "airflow-api-server:8080"],
)
def test_it_answers_under_the_names_of_this_machine_and_of_the_stack(host: str) -> None:
    assert answer(known_hosts({}), (b"host", host.encode())) == (200, "the page")


@pytest.mark.parametrize(
    "host", ["evil.example:8080", "127.0.0.1.evil.example", "localhost.", "", "localhost@evil.example", "[", "\xff"]
)
def test_it_refuses_other_names_and_says_what_to_do(host: str) -> None:
    assert answer(known_hosts({}), (b"host", host.encode("latin-1"))) == (421, REFUSAL)


def test_it_refuses_a_request_that_names_no_host_or_two() -> None:
    assert answer(known_hosts({}))[0] == 421
    assert answer(known_hosts({}), (b"host", b"localhost"), (b"host", b"evil.example"))[0] == 421


def test_the_users_own_names_are_known() -> None:
    hosts = known_hosts({"AIRFLOW_HOSTS": "Airflow.example, other", "AIRFLOW_URL": "https://shop.example/airflow"})

    for name in (b"airflow.example", b"other:443", b"shop.example"):
        assert answer(hosts, (b"host", name))[0] == 200, name
    assert answer(hosts, (b"host", b"evil.example"))[0] == 421


def test_a_stack_that_listens_beyond_this_machine_has_a_password_and_answers_under_every_name() -> None:
    beyond = {"BIND_ADDRESS": "0.0.0.0"}

    assert answer(known_hosts(beyond), (b"host", b"any.example"))[0] == 200
    assert answer(known_hosts({**beyond, "AIRFLOW_HOSTS": "mine.example"}), (b"host", b"any.example"))[0] == 421
    assert answer(known_hosts({"BIND_ADDRESS": "127.0.0.2"}), (b"host", b"127.0.0.2:8080"))[0] == 200
