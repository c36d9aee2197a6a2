"""dbt's page about the models, at /dbt-docs/ for every user who has logged in, with a link in Airflow's navigation."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from fastapi import FastAPI

PREFIX = "/dbt-docs"
# The page is self-contained: it may load nothing from elsewhere, and only Airflow may show it in a frame.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: 'self'; "
    "font-src data:; connect-src 'self'; frame-ancestors 'self'"
)


async def page(scope: Any, receive: Any, send: Any) -> None:
    """Import the app only here: every service of Airflow imports this module, but only the api-server calls this."""
    await _app()(scope, receive, send)


@cache
def _app() -> FastAPI:
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi import Depends, FastAPI, HTTPException
    from fastapi.responses import HTMLResponse

    from lakehouse_airflow.build_marts import docs_folder

    app = FastAPI(dependencies=[Depends(get_user)], docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/", response_class=HTMLResponse)
    def read_page() -> HTMLResponse:
        found = _newest(docs_folder())
        if found is None:
            raise HTTPException(404, "Not published yet: the DAG `marts` publishes it after its first build.")
        return HTMLResponse(found.read_bytes(), headers={"Content-Security-Policy": POLICY})

    return app


def _newest(folder: Path) -> Path | None:
    return max(folder.glob("*.html"), key=lambda file: file.stat().st_mtime, default=None)


class DbtDocs(AirflowPlugin):
    """Adds the page and the link to Airflow."""

    name = "dbt_docs"
    fastapi_apps = [{"app": page, "url_prefix": PREFIX, "name": "dbt docs"}]  # noqa: RUF012 - Airflow's declaration
    external_views = [{"name": "dbt docs", "href": f"{PREFIX}/", "destination": "nav", "category": "browse"}]  # noqa: RUF012
