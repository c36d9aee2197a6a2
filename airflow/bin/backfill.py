"""Landed batches of a range of days -> Airflow's own backfills of `lake`, four days side by side, oldest first.

    docker compose exec airflow-scheduler python airflow/bin/backfill.py 2018-01-01 2018-03-31

`make backfill FROM=2018-01-01 TO=2018-03-31` runs this. A backfill for the whole range could consist mostly of empty
days, so there is one per sequence of days with a batch, and one after another: Airflow refuses a second backfill of a
DAG while one is active. After an interruption, start the command again: it processes the remaining days.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import uuid
import warnings
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

DAG = "lake"
RUNS_SIDE_BY_SIDE = 4
# The days of one backfill. They go on if this command is interrupted.
DAYS_AT_ONCE = 20
SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_BETWEEN_QUESTIONS = 10.0


def main() -> None:
    """Run the backfills. Exit code 1 if a run failed or the range has no batches. Go on after a failed run."""
    _quieten()
    first, last = _range()
    days = _landed(first, last)
    group = {"id": uuid.uuid4().hex[:12], "dates": [day.isoformat() for day in days]}
    failed = []
    for number, (day, state, seconds) in enumerate(_backfilled(days, {"backfill": group}), 1):
        _say(f"{day}  {state:<8} {seconds:6.0f} s  ({number} of {len(days)})")
        if state != "success":
            failed.append(day.isoformat())
    if failed:
        sys.exit(f"Failed: {', '.join(sorted(failed))}. The Airflow UI says why; then run the same command again.")


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


def _backfilled(days: list[date], conf: dict[str, object]) -> Iterator[tuple[date, str, float]]:
    """Each day with the state in which its run ended and the seconds that it took, as soon as it has ended.

    If a run of a day is already active, wait for it first.
    """
    remaining = list(days)
    reported = False
    while remaining:
        active = _active(remaining)
        for sequence in _sequences([day for day in remaining if day not in active]):
            for ended in _ended(_begin(sequence, conf)):
                remaining.remove(ended[0])
                yield ended
        if active and not reported:
            _say(f"{min(active)}  waits for its own run, which is active")
            reported = True
        if remaining:
            time.sleep(SECONDS_BETWEEN_QUESTIONS)


def _active(days: list[date]) -> set[date]:
    """The days with a run that waits or works: Airflow would add no other."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        runs = select(DagRun.logical_date).where(DagRun.dag_id == DAG, DagRun.state.in_(("queued", "running")))
        return {at.date() for at in session.scalars(runs) if at} & {*days}


def _sequences(days: list[date]) -> list[list[date]]:
    """The days, divided where one is missing, and after DAYS_AT_ONCE."""
    found: list[list[date]] = []
    for day in days:
        if found and len(found[-1]) < DAYS_AT_ONCE and day == found[-1][-1] + timedelta(days=1):
            found[-1].append(day)
        else:
            found.append([day])
    return found


def _begin(days: list[date], conf: dict[str, object]) -> int:
    """Start a backfill from the first to the last day, once no other one is active; return its number."""
    from airflow.models.backfill import AlreadyRunningBackfill, ReprocessBehavior, _create_backfill

    first, last = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (days[0], days[-1]))
    reported = False
    while True:
        try:
            # `airflow backfill create` calls this, too, but would import Airflow again for each backfill.
            backfill = _create_backfill(
                dag_id=DAG,
                from_date=first,
                to_date=last,
                max_active_runs=RUNS_SIDE_BY_SIDE,
                reverse=False,
                dag_run_conf=conf,
                triggering_user_name="make backfill",
                reprocess_behavior=ReprocessBehavior.COMPLETED,
            )
            return int(backfill.id)
        except AlreadyRunningBackfill:
            if not reported:
                _say(f"{days[0]}  waits for another backfill of {DAG}")
            reported = True
            time.sleep(SECONDS_BETWEEN_LOOKS)


def _ended(backfill_id: int) -> Iterator[tuple[date, str, float]]:
    """Each run of the backfill as soon as it has ended. A day that had an active run has none."""
    from airflow.models.backfill import Backfill, BackfillDagRun
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import State
    from sqlalchemy import func, select, update

    of_backfill = select(BackfillDagRun.dag_run_id).where(BackfillDagRun.backfill_id == backfill_id)
    reported: set[date] = set()
    while True:
        with create_session() as session:
            runs = session.scalars(select(DagRun).where(DagRun.id.in_(of_backfill))).all()
            ended = {
                run.logical_date.date(): (str(run.state), _seconds(run.start_date, run.end_date))
                for run in runs
                if run.state in State.finished_dr_states
            }
            if len(ended) == len(runs):
                # The scheduler would set this itself, but only checks every half minute. The next days need not wait.
                unset = update(Backfill).where(Backfill.id == backfill_id, Backfill.completed_at.is_(None))
                session.execute(unset.values(completed_at=func.now()))
        for day in sorted(ended.keys() - reported):
            yield day, *ended[day]
        reported |= ended.keys()
        if len(ended) == len(runs):
            return
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _seconds(begin: datetime | None, end: datetime | None) -> float:
    """How long a run worked. A run that is marked as failed while it waits never began."""
    return (end - begin).total_seconds() if begin and end else 0.0


def _quieten() -> None:
    """Silence Airflow's import-time logging; call before importing it."""
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
    warnings.simplefilter("ignore")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - for the caller


if __name__ == "__main__":
    main()
