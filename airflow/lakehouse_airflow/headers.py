"""Headers of every page that Airflow's server sends: no page elsewhere may show it in a frame and catch its clicks."""

from __future__ import annotations

from typing import Any

from lakehouse_airflow.middleware import App, Receive, Scope, Send

# Airflow shows dbt's pages in a frame of its own. Old browsers know only the first.
HEADERS = [
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"content-security-policy", b"frame-ancestors 'self'"),
    (b"x-content-type-options", b"nosniff"),
]


class Headers:
    """Middleware that adds the headers which an answer does not have yet."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", []))
                there = {name.lower() for name, _ in given}
                message = message | {"headers": given + [each for each in HEADERS if each[0] not in there]}
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)
