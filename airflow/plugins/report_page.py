"""The report, at /report/ for every user who has logged in, with a link in Airflow's navigation."""

from __future__ import annotations

from pathlib import Path

from airflow.plugins_manager import AirflowPlugin

from lakehouse_airflow.published_page import ClosingSlash, published_page

PREFIX = "/report"
# The page itself forbids more: it names the hashes of its scripts.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)


def folder() -> Path:
    """The folder in which the DAG `marts` publishes the report."""
    from lakehouse_airflow.build_marts import report_file

    return report_file().parent


class Report(AirflowPlugin):
    """Adds the page and the link to Airflow."""

    name = "report"
    fastapi_apps = [  # noqa: RUF012 - Airflow's declaration
        {"app": published_page(folder, POLICY), "url_prefix": PREFIX, "name": "report"}
    ]
    fastapi_root_middlewares = [  # noqa: RUF012
        {"middleware": ClosingSlash, "args": [], "kwargs": {"prefix": PREFIX}, "name": "slash of report"}
    ]
    external_views = [{"name": "Report", "href": f"{PREFIX}/", "destination": "nav", "category": "browse"}]  # noqa: RUF012
