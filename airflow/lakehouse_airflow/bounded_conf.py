"""The `conf` of a run is a date, so a request that starts runs is small. Airflow itself would store many MB."""

from __future__ import annotations

import re

from lakehouse_airflow.middleware import App, Receive, Scope, Send, refuse

STARTS_RUNS = re.compile(r"/(dagRuns|backfills|assets/[^/]+/materialize|assets/events)/?$")
BYTES = 16 * 1024
REFUSAL = "A request that starts runs may have 16 kB, and must say its length.\n"


class BoundedConf:
    """Middleware that answers a longer request, or one without a length, with 413."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and STARTS_RUNS.search(scope["path"]):
            length = dict(scope["headers"]).get(b"content-length", b"")
            if not (length.isdigit() and int(length) <= BYTES):
                await refuse(send, 413, REFUSAL, (b"connection", b"close"))
                return
        await self._app(scope, receive, send)
