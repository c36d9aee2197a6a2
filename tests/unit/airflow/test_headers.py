"""Airflow's pages cannot be shown in a frame of another page."""

from __future__ import annotations

import asyncio
from typing import Any

from lakehouse_airflow.headers import HEADERS, Headers


def answer(*headers: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """The headers of an answer for which the app itself gives these."""
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(headers)})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(Headers(app)({"type": "http"}, None, send))  # type: ignore[arg-type]
    return list(sent[0]["headers"])


def test_every_answer_says_who_may_frame_it() -> None:
    assert answer((b"content-type", b"text/html")) == [(b"content-type", b"text/html"), *HEADERS]


def test_a_header_that_the_page_has_stays() -> None:
    own = (b"X-Frame-Options", b"DENY")

    assert answer(own) == [own, *HEADERS[1:]]
