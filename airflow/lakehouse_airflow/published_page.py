"""A page that a DAG publishes, served at an address of Airflow to every user who has logged in.

The page is self-contained: it may load nothing from elsewhere, and only Airflow may show it in a frame.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse_airflow.middleware import App, Receive, Scope, Send

if TYPE_CHECKING:
    from fastapi import FastAPI

MISSING = "Not published yet: the DAG `marts` publishes it after its first build."


def published_page(folder: Callable[[], Path], policy: str) -> Callable[[Any, Any, Any], Awaitable[None]]:
    """An ASGI app that answers with the newest page of a folder, or with 404 until there is one.

    FastAPI is imported when the app is first called: every service of Airflow imports the plugins, but only the
    api-server calls their apps.
    """

    @cache
    def app() -> FastAPI:
        from airflow.api_fastapi.core_api.security import get_user
        from fastapi import Depends, FastAPI, HTTPException
        from fastapi.responses import HTMLResponse

        app = FastAPI(dependencies=[Depends(get_user)], docs_url=None, redoc_url=None, openapi_url=None)

        @app.get("/", response_class=HTMLResponse)
        def read_page() -> HTMLResponse:
            found = _newest(folder())
            if found is None:
                raise HTTPException(404, MISSING)
            return HTMLResponse(found.read_bytes(), headers={"Content-Security-Policy": policy})

        return app

    async def page(scope: Any, receive: Any, send: Any) -> None:
        await app()(scope, receive, send)

    return page


def _newest(folder: Path) -> Path | None:
    return max(folder.glob("*.html"), key=lambda file: file.stat().st_mtime, default=None)


class ClosingSlash:
    """Middleware that sends `/report` to `/report/`: Airflow answers that there is no such page."""

    def __init__(self, app: App, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != self._prefix:
            await self._app(scope, receive, send)
            return
        await send(
            {"type": "http.response.start", "status": 307, "headers": [(b"location", f"{self._prefix}/".encode())]}
        )
        await send({"type": "http.response.body", "body": b""})
