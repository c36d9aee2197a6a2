"""Airflow's database and logs -> the pipeline's runs and backfills that ended, for lakehouse/notify/events.py.

Only the scheduler's process calls these functions, since tasks may not access Airflow's database. Heavy imports are
inside the functions, because other processes import this file, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from airflow.models.backfill import Backfill
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy.orm import Session

    from lakehouse.notify.events import EndedBackfill, EndedRun, Failure

# A DAG with this tag is the pipeline's: messages report how its runs end.
TAG = "pipeline"
# A DAG that runs whenever a batch arrives. Messages report when it begins to fail, and when it is green again.
FREQUENT = ("arrivals",)
# A DAG that works on one batch: the batch named in the run's conf, else the batch of the scheduled day.
BATCH_DAG = "lake"
# A backfill counts as stopped if it has begun no run for this long and none is active.
STALLED = timedelta(minutes=10)


def ended_since(session: Session, since: datetime) -> list[DagRun]:
    """The pipeline's runs that ended at or after `since`, in order of end time.

    A frequent DAG's success is kept only if it is that DAG's latest run.
    """
    from airflow.models.dag import DagTag
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    tagged = select(DagTag.dag_id).where(DagTag.name == TAG)
    runs = session.scalars(
        select(DagRun)
        .where(DagRun.dag_id.in_(tagged), DagRun.state.in_(("success", "failed")), DagRun.end_date >= since)
        .order_by(DagRun.end_date, DagRun.id)
    ).all()
    last = {run.dag_id: run for run in runs}
    return [run for run in runs if run.dag_id not in FREQUENT or run.state == "failed" or run is last[run.dag_id]]


def event_id(run: DagRun) -> str:
    """The id of the run's end; `clear_number` rises whenever tasks of the run are cleared."""
    from lakehouse.notify.events import end_of_run

    return end_of_run(run.dag_id, run.run_id, run.clear_number)


def url_of(run: DagRun) -> str:
    """The run's page in Airflow."""
    from airflow.configuration import conf

    return run_url(conf.get("api", "base_url"), run.dag_id, run.run_id)


def describe(session: Session, run: DagRun, unreported: Sequence[Backfill] = ()) -> EndedRun:
    """All that Airflow knows about a run that ended. `unreported`: backfills whose summary will include their runs."""
    from lakehouse.notify.events import EndedRun

    built = _returned(session, run, "build") if run.dag_id == "marts" else None
    build = built if isinstance(built, dict) else {}
    failed = _first_failed(session, run) if run.state == "failed" else None
    return EndedRun(
        dag_id=run.dag_id,
        run_id=run.run_id,
        clear_number=run.clear_number,
        succeeded=run.state == "success",
        started_at=run.start_date or run.end_date,
        ended_at=run.end_date,
        url=url_of(run),
        batch_date=batch_date(run),
        failure=_failure(session, run, failed) if failed is not None else None,
        found_nothing=build.get("done") is False
        or (run.dag_id == BATCH_DAG and _returned(session, run, "batch") == []),
        is_silent=_follows_backfills_only(run),
        says_nothing_of_success=run.dag_id in FREQUENT,
        belongs_to_backfill=run.backfill_id in {backfill.id for backfill in unreported},
        remarks=tuple(_remarks(build)),
    )


def batch_date(run: DagRun) -> date | None:
    """The batch that the run works on; None if its DAG does not work on one batch."""
    from lakehouse_airflow.defaults import day_of

    if run.dag_id != BATCH_DAG:
        return None
    given = (run.conf or {}).get("batch_date")  # Airflow has checked it: `lake` declares it as a date
    return date.fromisoformat(given) if given else day_of(run)


def backfills(session: Session) -> dict[str, list[Backfill]]:
    """The pipeline's backfills by event id. One `make backfill` starts several; they share one id."""
    from airflow.models.backfill import Backfill
    from airflow.models.dag import DagTag
    from sqlalchemy import select

    tagged = select(DagTag.dag_id).where(DagTag.name == TAG)
    found: dict[str, list[Backfill]] = {}
    for backfill in session.scalars(select(Backfill).where(Backfill.dag_id.in_(tagged)).order_by(Backfill.id)):
        found.setdefault(f"backfill/{_backfill_id(backfill)}", []).append(backfill)
    return found


def ended_backfill(session: Session, parts: list[Backfill]) -> EndedBackfill | None:
    """The backfill with these parts if it has ended or stopped; None while it goes on."""
    from airflow.configuration import conf
    from airflow.models.backfill import BackfillDagRun
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    from lakehouse.notify.events import EndedBackfill

    numbers = [part.id for part in parts]
    # DagRun.backfill_id is not usable: it names the last backfill that included the run's day.
    of_parts = select(BackfillDagRun.dag_run_id).where(BackfillDagRun.backfill_id.in_(numbers))
    runs = session.scalars(select(DagRun).where(DagRun.id.in_(of_parts)).order_by(DagRun.id)).all()
    days = session.scalars(select(BackfillDagRun.logical_date).where(BackfillDagRun.backfill_id.in_(numbers))).all()
    dates = {day.date() for day in days if day}
    if asked := _asked_for(parts[0]).get("dates"):
        dates = {date.fromisoformat(day) for day in asked}
    ended = {batch_date(run) or run.run_after.date(): run for run in runs if run.state in ("success", "failed")}
    moments = [part.created_at for part in parts]
    moments += [moment for run in runs for moment in (run.start_date, run.end_date) if moment]
    is_through = bool(dates) and dates <= set(ended)
    goes_on = any(run.state in ("queued", "running") for run in runs) or datetime.now(UTC) - max(moments) < STALLED
    if not dates or (goes_on and not is_through):
        return None
    return EndedBackfill(
        backfill_id=_backfill_id(parts[0]),
        dates=tuple(sorted(dates)),
        runs=tuple(describe(session, ended[day], parts) for day in sorted(ended)),
        started_at=min(moments),
        ended_at=max(moments),
        url=f"{conf.get('api', 'base_url').rstrip('/')}/dags/{parts[0].dag_id}/backfills",
    )


def _backfill_id(backfill: Backfill) -> str:
    given = _asked_for(backfill).get("id")
    return str(given) if given else f"airflow-{backfill.id}"


def _asked_for(backfill: Backfill) -> dict[str, Any]:
    """The request that `make backfill` stored; empty if a user began the backfill in the Airflow UI."""
    given = (backfill.dag_run_conf or {}).get("backfill")
    return given if isinstance(given, dict) else {}


def _follows_backfills_only(run: DagRun) -> bool:
    """Whether only data from backfills has started the run. If so, the summary of the backfill reports the run."""
    events = run.consumed_asset_events
    sources = [event.source_dag_run for event in events]
    return bool(sources) and all(source is not None and source.run_type == "backfill" for source in sources)


def _returned(session: Session, run: DagRun, task_id: str) -> Any:
    """What a task returned; None if it returned nothing."""
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    return session.scalar(
        select(XComModel.value).where(
            XComModel.dag_run_id == run.id,
            XComModel.task_id == task_id,
            XComModel.map_index == -1,
            XComModel.key == "return_value",
        )
    )


def _remarks(build: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The facts for a message, taken from what the task `build` of the marts returned."""
    for name, label in (("models", "Models"), ("tests", "Tests"), ("warnings", "Warnings of tests")):
        value = build.get(name)
        if value is not None:
            yield label, str(len(value) if isinstance(value, list) else value)
    if build.get("full_refresh"):
        yield "Full refresh", "yes"


def _first_failed(session: Session, run: DagRun) -> TaskInstance | None:
    """The first task that failed, not one that is `upstream_failed`. None if the run was ended from outside."""
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    return session.scalars(
        select(TaskInstance)
        .where(TaskInstance.dag_id == run.dag_id, TaskInstance.run_id == run.run_id, TaskInstance.state == "failed")
        .order_by(TaskInstance.end_date, TaskInstance.task_id, TaskInstance.map_index)
        .limit(1)
    ).first()


def _failure(session: Session, run: DagRun, task: TaskInstance) -> Failure:
    from lakehouse.notify.events import Failure

    name = task.task_id
    if task.map_index >= 0:
        name += f" [{task.rendered_map_index or task.map_index}]"
    if task.try_number > 1:
        name += f", try {task.try_number}"
    return Failure(name, task.log_url, first_error(_log_file(session, run, task)))


def _log_file(session: Session, run: DagRun, task: TaskInstance) -> Path:
    """The file in which Airflow's own handler keeps the log. Older runs may have a different template."""
    from airflow.configuration import conf
    from airflow.utils.helpers import parse_template_string, render_template

    _, template = parse_template_string(run.get_log_template(session=session).filename)
    moment = (run.logical_date or run.run_after).isoformat()
    context = {"ti": task, "ts": moment, "try_number": task.try_number}
    name: str = render_template(template, context, native=False)
    return Path(conf.get("logging", "base_log_folder")) / name


def first_error(log: Path) -> str | None:
    """The first error in a task's log; None if there is none, as after a SIGKILL.

    Only the error's first line, or the whole error if this line ends with a colon.
    """
    if not log.is_file():
        return None
    with log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:  # a line that a program printed
                continue
            if isinstance(entry, dict) and entry.get("level") in ("error", "critical"):
                return _said(entry)
    return None


def _said(entry: dict[str, Any]) -> str:
    """The exception if the entry contains one, else the event."""
    details = entry.get("error_detail") or []
    if details:
        text = str(details[0].get("exc_value") or "").strip()
        kind = str(details[0].get("exc_type") or "").rpartition(".")[2]
        return _first_line(f"{kind}: {text}" if text else kind)
    return _first_line(str(entry.get("event") or "").strip())


def _first_line(text: str) -> str:
    first = text.partition("\n")[0]
    return text if first.endswith(":") else first


def run_url(base_url: str, dag_id: str, run_id: str) -> str:
    """A run's page in Airflow."""
    return f"{base_url.rstrip('/')}/dags/{quote(dag_id)}/runs/{quote(run_id)}"
