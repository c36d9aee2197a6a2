"""dbt's page about the models, at /dbt-docs/ for every user who has logged in, with a link in Airflow's navigation."""

from __future__ import annotations

from pathlib import Path

from airflow.plugins_manager import AirflowPlugin

from lakehouse_airflow.published_page import ClosingSlash, published_page

PREFIX = "/dbt-docs"
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: 'self'; "
    "font-src data:; connect-src 'self'; frame-ancestors 'self'"
)


def folder() -> Path:
    """The folder in which the DAG `marts` publishes the page."""
    from lakehouse_airflow.build_marts import docs_folder

    return docs_folder()


class DbtDocs(AirflowPlugin):
    """Adds the page and the link to Airflow."""

    name = "dbt_docs"
    fastapi_apps = [  # noqa: RUF012 - Airflow's declaration
        {"app": published_page(folder, POLICY), "url_prefix": PREFIX, "name": "dbt docs"}
    ]
    fastapi_root_middlewares = [  # noqa: RUF012
        {"middleware": ClosingSlash, "args": [], "kwargs": {"prefix": PREFIX}, "name": "slash of dbt docs"}
    ]
    external_views = [{"name": "dbt docs", "href": f"{PREFIX}/", "destination": "nav", "category": "browse"}]  # noqa: RUF012
