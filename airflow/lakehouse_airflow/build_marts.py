"""Code for those tasks of the DAG `marts` that need more than one call.

The package `lakehouse` is imported only when a task runs, since several services of Airflow import this file.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import DownstreamTasksSkipped

from lakehouse_airflow import lake_runs
from lakehouse_airflow.model_tasks import LEVELS, described, progress_file

if TYPE_CHECKING:
    from lakehouse.lakehouse import Lakehouse
    from lakehouse.marts.dbt import Node
    from lakehouse.marts.step import MartsResult

log = logging.getLogger(__name__)

BETWEEN_SHARED_BUILDS = timedelta(minutes=5)
LOOK_AGAIN = timedelta(seconds=30)


def build_marts(context: Any) -> dict[str, Any]:
    """Build the marts if they are due, skip the downstream tasks that have nothing to do, and return what was done."""
    from lakehouse.lakehouse import Lakehouse
    from lakehouse.marts import dbt_docs
    from lakehouse.pipeline import reconcile
    from lakehouse.workspaces import load_settings

    lakehouse = Lakehouse.open(load_settings())
    _let_batches_share(lakehouse)
    result = _build_and_report(lakehouse, progress_file(context["ti"].dag_id, context["ti"].run_id))
    due = {
        "compare": reconcile.facts_are_due(lakehouse),
        "publish_docs": result.load_id > 0 and dbt_docs.are_due(lakehouse.settings, docs_folder()),
        "publish_report": result.load_id > 0 and _report_is_due(lakehouse),
    }
    needless = {task for task in due if not due[task]}
    if not result.done:
        log.info("The marts hold everything that was loaded (load %d): there was nothing to build.", result.load_id)
        needless |= context["task"].get_flat_relative_ids() - set(due)
    if needless:
        context["ti"].xcom_push("return_value", asdict(result))
        raise DownstreamTasksSkipped(tasks=sorted(needless))
    return asdict(result)


def _let_batches_share(lakehouse: Lakehouse) -> None:
    """While batches wait for a run, begin a build only every few minutes, with all that was loaded since.

    Raises AirflowRescheduleException: no process waits.
    """
    from airflow.sdk.exceptions import AirflowRescheduleException

    from lakehouse.marts import step as marts

    waiting = lake_runs.waiting()
    last, now = marts.last_built(lakehouse), datetime.now(UTC)
    if waiting and last is not None and now < last + BETWEEN_SHARED_BUILDS:
        log.info("%s batches wait for a run of `lake`: the next build is for all that is loaded until then.", waiting)
        raise AirflowRescheduleException(min(now + LOOK_AGAIN, last + BETWEEN_SHARED_BUILDS))


def _report_is_due(lakehouse: Lakehouse) -> bool:
    """Whether the task of the report has something to do; it then also says what is wrong with the report's files."""
    from lakehouse.errors import LakehouseError
    from lakehouse.report import step as report

    try:
        return report.is_due(lakehouse, report_file())
    except LakehouseError as error:
        log.warning("%s", error)
        return True


def docs_folder() -> Path:
    """The folder of dbt's pages, on a volume that Airflow's api-server can also read."""
    return Path(conf.get("logging", "base_log_folder"), "dbt_docs")


def report_file() -> Path:
    """The report, on a volume that Airflow's api-server can also read."""
    return Path(conf.get("logging", "base_log_folder"), "report", "report.html")


def _build_and_report(lakehouse: Lakehouse, file: Path) -> MartsResult:
    """Report each model and test to the log and to the model tasks as soon as dbt has finished it."""
    from lakehouse.marts import step as marts
    from lakehouse.marts.progress import Progress

    progress = Progress(file, lakehouse.settings.workspace_dir / "dbt" / "manifest.json")

    def report(node: Node) -> None:
        log.log(LEVELS.get(node.status, logging.INFO), described(node))
        progress.node(node)

    try:
        result = marts.run(lakehouse, log=report)
    except BaseException:
        progress.end("failed")
        raise
    progress.end("done" if result.done else "nothing to do")
    if result.done:
        log.info(
            "Load %d is in the marts: %d models, %d tests, %d of them warn, in %.1f s%s.",
            result.load_id,
            len(result.models),
            result.tests,
            len(result.warnings),
            result.seconds,
            " (full refresh)" if result.full_refresh else "",
        )
    return result
