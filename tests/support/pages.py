"""Requests to a middleware of Airflow's pages, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, NamedTuple

from lakehouse_airflow.middleware import App

Headers = Iterable[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """What a client gets."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: str


def page(status: int = 200, headers: Headers = (), body: bytes = b"the page") -> App:
    """Airflow behind the middleware: an app that always answers like this."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        await send({"type": "http.response.body", "body": body})

    return app


def ask(app: App, headers: Headers = (), *, method: str = "GET", path: str = "/", address: str = "192.0.2.1") -> Answer:
    """Send a request. Reading its body fails."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> None:
        raise AssertionError("nothing is read")

    scope = {"type": "http", "method": method, "path": path, "headers": list(headers), "client": (address, 1)}
    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    start, body = sent
    return Answer(start["status"], start["headers"], body["body"].decode())
