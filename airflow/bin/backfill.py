"""Landed batches of a range of days -> Airflow's own backfill of `lake` for each, one after another, oldest first.

    docker compose exec airflow-scheduler python airflow/bin/backfill.py 2018-01-01 2018-03-31

`make backfill FROM=2018-01-01 TO=2018-03-31` runs this. One backfill for the whole range would consist mostly of empty
days, and Airflow refuses a second backfill of a DAG while one is active. After an interruption, start the command
again: it processes the remaining days.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import uuid
import warnings
from datetime import UTC, date, datetime

DAG = "lake"
SECONDS_BETWEEN_LOOKS = 1.0


def main() -> None:
    """Run the backfills. Exit code 1 if a run failed or the range has no batches. Go on after a failed run."""
    _quieten()
    first, last = _range()
    days = _landed(first, last)
    group = {"id": uuid.uuid4().hex[:12], "dates": [day.isoformat() for day in days]}
    failed = []
    for number, day in enumerate(days, 1):
        begin = time.monotonic()
        state = _backfill(day, {"backfill": group})
        _say(f"{day}  {state:<8} {time.monotonic() - begin:6.0f} s  ({number} of {len(days)})")
        if state != "success":
            failed.append(day.isoformat())
    if failed:
        sys.exit(f"Failed: {', '.join(failed)}. The Airflow UI says why; then run the same command again.")


def _range() -> tuple[date, date]:
    parser = argparse.ArgumentParser(
        prog="backfill", description="The landed batches from FIRST to LAST, both included."
    )
    parser.add_argument("first", type=date.fromisoformat, metavar="FIRST", help="YYYY-MM-DD")
    parser.add_argument("last", type=date.fromisoformat, metavar="LAST", help="YYYY-MM-DD")
    arguments = parser.parse_args()
    if arguments.last < arguments.first:
        parser.error(f"{arguments.last} is before {arguments.first}")
    return arguments.first, arguments.last


def _landed(first: date, last: date) -> list[date]:
    """The days in the range that have ended and have a batch."""
    from lakehouse.errors import LakehouseError
    from lakehouse.pipeline import arrivals
    from lakehouse.settings import Settings

    try:
        days = sorted(arrival.batch_date for arrival in arrivals.landed(Settings.load()))
    except LakehouseError as error:
        sys.exit(str(error))
    asked = [day for day in days if first <= day <= last]
    # Airflow creates no run for the current day: the schedule has no interval for this day yet.
    chosen = [day for day in asked if day < datetime.now(UTC).date()]
    for day in sorted({*asked} - {*chosen}):
        _say(f"{day}  left out: it has not ended (UTC). Trigger `lake` with this batch_date")
    if not asked:
        there = f"Landed are {len(days)} batches from {days[0]} to {days[-1]}." if days else "Nothing is landed at all."
        sys.exit(f"No batch from {first} to {last} is landed. {there}")
    return chosen


def _backfill(day: date, conf: dict[str, object]) -> str:
    """The state in which the run of the day ended. If a run of that day is already active, wait for it first."""
    from airflow.models.backfill import AlreadyRunningBackfill, ReprocessBehavior, _create_backfill

    at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    reported = False
    while True:
        try:
            # `airflow backfill create` calls this, too, but would import Airflow again for each day.
            backfill = _create_backfill(
                dag_id=DAG,
                from_date=at,
                to_date=at,
                max_active_runs=1,
                reverse=False,
                dag_run_conf=conf,
                triggering_user_name="make backfill",
                reprocess_behavior=ReprocessBehavior.COMPLETED,
            )
        except AlreadyRunningBackfill:
            if not reported:
                _say(f"{day}  waits for another backfill of {DAG}")
            reported = True
            time.sleep(SECONDS_BETWEEN_LOOKS)
            continue
        state = _ended(backfill.id)
        if state is not None:
            return state


def _ended(backfill_id: int) -> str | None:
    """Wait until the backfill's run ends; return the run's state. None without a run, as the day had an active one."""
    from airflow.models.backfill import Backfill
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import State
    from sqlalchemy import func, select, update

    while True:
        with create_session() as session:
            complete = session.scalar(select(Backfill.completed_at).where(Backfill.id == backfill_id))
            state = session.scalar(select(DagRun.state).where(DagRun.backfill_id == backfill_id))
            if complete is None and state in State.finished_dr_states:
                # The scheduler would set this itself, but only checks every half minute. The next day need not wait.
                session.execute(update(Backfill).where(Backfill.id == backfill_id).values(completed_at=func.now()))
                return str(state)
        if complete is not None:
            return None if state is None else str(state)
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _quieten() -> None:
    """Silence Airflow's import-time logging; call before importing it."""
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
    warnings.simplefilter("ignore")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - for the caller


if __name__ == "__main__":
    main()
