"""Airflow's pages cannot be shown in a frame of another page."""

from __future__ import annotations

from lakehouse_airflow.headers import HEADERS, Headers
from tests.support.pages import ask, page


def answer(*headers: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """The headers of an answer for which the app itself gives these."""
    return ask(Headers(page(headers=headers))).headers


def test_every_answer_says_who_may_frame_it() -> None:
    assert answer((b"content-type", b"text/html")) == [(b"content-type", b"text/html"), *HEADERS]


def test_a_header_that_the_page_has_stays() -> None:
    own = (b"X-Frame-Options", b"DENY")

    assert answer(own) == [own, *HEADERS[1:]]
