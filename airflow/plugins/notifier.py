"""The end of each of the pipeline's runs, and a Spark that lets them wait -> one message, to Slack or to the log.

A thread of the scheduler searches Airflow's database for ended runs that have no notice in the warehouse (ops.notices),
writes these notices, and sends all unsent notices. A round of this begins whenever a run ends, and at least every half
minute. If a killed scheduler, a stopped warehouse or an unreachable Slack delays a message, the next round sends it.

It is a thread and not a process, because a second Python with Airflow takes 150 MB and the thread only 45.

The scheduler forks its workers. A child forked while this thread holds a lock of a C library would wait for this lock
indefinitely. So the first round begins half a minute after the start, or when a run ends: by then the workers
exist. A later fork, after the death of a worker, waits for the end of the round, at most FORK_WAITS_SECONDS. A round
opens and closes its connections, so that no child inherits one. Nothing here reads the lake, because delta-rs would
start its own threads and then refuse to work in every process that is forked later.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from lakehouse.notify.events import EndedBackfill
    from lakehouse.notify.outbox import Notice

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 30
# A round takes 20 ms if there is nothing to do, and rarely a whole second if it sends messages. Waiting for an
# unresponsive Slack takes ten seconds, which must not block tasks.
FORK_WAITS_SECONDS = 1
STOP_WAITS_SECONDS = 5
# So long may Spark be without an executor while tasks need one: a restarted worker is back by then.
EXECUTOR_PATIENCE = timedelta(seconds=30)
# Clocks differ, and a transaction may become visible late, so each round looks back this far beyond the last one. The
# first round looks back this far beyond the first notice, since Airflow may be older than the warehouse.
OVERLAP = timedelta(hours=1)


class Notifier(threading.Thread):
    """Runs rounds until the process ends."""

    def __init__(self) -> None:
        super().__init__(name="notifier", daemon=True)
        self._wake = threading.Event()
        self._is_stopping = False
        self._at_rest = threading.Lock()
        self._fork_waited = False
        # The first round of a process checks all runs.
        self._since = datetime.min.replace(tzinfo=UTC)
        self._slack_wants_rest_until = 0.0
        self._no_executor_since: datetime | None = None

    def start(self) -> None:
        """Start the thread; from now on a fork waits for the current round to finish."""
        os.register_at_fork(
            before=self._before_fork, after_in_parent=self._after_fork, after_in_child=self._after_fork_in_child
        )
        super().start()

    def wake(self) -> None:
        """Begin a round now."""
        self._wake.set()

    def stop(self) -> None:
        """End the thread; wait a while for its current round."""
        self._is_stopping = True
        self.wake()
        self.join(STOP_WAITS_SECONDS)

    def run(self) -> None:
        """Begin a round when woken, or after INTERVAL_SECONDS."""
        while True:
            self._wake.wait(INTERVAL_SECONDS)
            self._wake.clear()
            if self._is_stopping:
                return
            try:
                with self._at_rest:
                    self._round()
            except Exception:  # no error may stop the scheduler or this thread
                log.exception("Messages could not be noted or sent; retrying in %s s", INTERVAL_SECONDS)

    def _round(self) -> None:
        """Write notices about what ended, then send all unsent notices."""
        from lakehouse.notify.outbox import NotSent, send_unsent
        from lakehouse.settings import Settings

        settings = Settings.load()
        begin = datetime.now(UTC)
        if note_what_ended(settings, self._since):
            self._since = begin - OVERLAP
        self._note_what_waits(settings, begin)
        if time.monotonic() < self._slack_wants_rest_until:
            return
        try:
            send_unsent(settings, Destination(settings))
        except NotSent as failure:  # Destination has logged the failure
            self._slack_wants_rest_until = time.monotonic() + failure.retry_after

    def _note_what_waits(self, settings: Any, now: datetime) -> None:
        """Note it, once per outage, if tasks run and Spark has had no executor for two rounds."""
        from lakehouse.notify.events import note_no_executor
        from lakehouse.spark.watch import executors

        if executors(settings) != 0 or not spark_tasks_run():
            self._no_executor_since = None
            return
        since = self._no_executor_since = self._no_executor_since or now
        if now - since >= EXECUTOR_PATIENCE:
            _log_if_sent_elsewhere(settings, note_no_executor(settings, since, settings.spark_pages))

    def _before_fork(self) -> None:
        self._fork_waited = self._at_rest.acquire(timeout=FORK_WAITS_SECONDS)

    def _after_fork(self) -> None:
        if self._fork_waited:
            self._at_rest.release()

    def _after_fork_in_child(self) -> None:
        """Replace the lock: a child does not have the thread that would release it."""
        self._at_rest = threading.Lock()


class Destination:
    """Sends a notice to the webhook in the secret. The secret is read each time, so a new one is used immediately."""

    def __init__(self, settings: Any) -> None:
        self._settings = settings

    def __call__(self, notice: Notice, attempts: int) -> str:
        from lakehouse.notify import slack
        from lakehouse.notify.outbox import NotSent

        webhook = self._settings.slack_webhook()
        if webhook is None:
            log.info("%s", notice.text)
            return "log"
        try:
            slack.post(webhook, notice.text, notice.blocks)
        except NotSent as failure:
            if (attempts + 1).bit_count() == 1:  # the first, the second, the fourth, the eighth time
                log.warning("Not sent (attempt %s), will retry: %s %s", attempts + 1, notice.event_id, failure)
            raise
        log.info("Sent to Slack: %s", notice.event_id)
        return "slack"


def spark_tasks_run() -> bool:
    """Whether a task that needs Spark is running."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import select

    from lakehouse_airflow.defaults import SPARK_POOL

    running = select(TaskInstance.id).where(
        TaskInstance.pool == SPARK_POOL, TaskInstance.state == TaskInstanceState.RUNNING
    )
    with create_session(scoped=False) as session:
        return session.scalar(running.limit(1)) is not None


def note_what_ended(settings: Any, since: datetime) -> bool:
    """Note each run and backfill that ended at or after `since` and has no notice. False if some could not be noted."""
    from airflow.utils.session import create_session

    from lakehouse.notify.events import note_backfill, note_run
    from lakehouse.notify.outbox import first_notice_at, noted
    from lakehouse_airflow import ended_runs

    complete = True
    beginning = first_notice_at(settings) - OVERLAP
    # A new session, which ends with this round, instead of the thread's session.
    with create_session(scoped=False) as session:
        # Read the runs first: a backfill that begins later has none of them.
        runs = {ended_runs.event_id(run): run for run in ended_runs.ended_since(session, max(since, beginning))}
        known = noted(settings, runs)
        backfills = ended_runs.backfills(session)
        reported = noted(settings, backfills)
        unreported = {event_id: parts for event_id, parts in backfills.items() if event_id not in reported}
        unreported_parts = [part for parts in unreported.values() for part in parts]
        for event_id, run in runs.items():
            if event_id not in known:
                try:
                    _log_if_sent_elsewhere(
                        settings, note_run(settings, ended_runs.describe(session, run, unreported_parts))
                    )
                except Exception as error:  # a run that cannot be noted must not delay the others
                    log.exception("The end of %s could not be noted with all details", event_id)
                    complete &= _noted_without_details(settings, error, event_id, partial(_end_of, run))
        # A run is silent only until its backfill's summary is noted, so a summary waits for all of its runs. The last
        # one may have ended since they were read; its end has already woken the next round.
        for event_id, parts in unreported.items():
            backfill = None
            try:
                backfill = ended_runs.ended_backfill(session, parts)
                if backfill is None or backfill.ended_at < beginning:
                    continue
                ends = {run.event_id for run in backfill.runs if run.ended_at >= beginning}
                if ends <= noted(settings, ends):
                    _log_if_sent_elsewhere(settings, note_backfill(settings, backfill))
            except Exception as error:
                log.exception("The end of %s could not be noted with all details", event_id)
                if backfill is None:
                    complete = False
                    continue
                complete &= _noted_without_details(settings, error, event_id, partial(_end_of_backfill, backfill))
    return complete


def _end_of(run: DagRun) -> tuple[Any, ...]:
    """Subject, kind, time and page of a run's end; no part needs a query."""
    from lakehouse_airflow import ended_runs

    day = ended_runs.batch_date(run)
    kind = "success" if run.state == "success" else "failed"
    return f"{run.dag_id} {day}" if day else run.dag_id, kind, run.end_date, ended_runs.url_of(run)


def _end_of_backfill(backfill: EndedBackfill) -> tuple[Any, ...]:
    """The same of a backfill."""
    return f"backfill {backfill.backfill_id}", "summary", backfill.ended_at, backfill.url


def _noted_without_details(settings: Any, error: Exception, event_id: str, end: Callable[[], tuple[Any, ...]]) -> bool:
    """Note only that something ended, since an error keeps back the rest.

    False if the next round may do better: the error may pass, or not even this can be noted now.
    """
    from psycopg2 import DataError

    from lakehouse.notify.events import note_without_details

    if not isinstance(error, ValueError | TypeError | LookupError | AttributeError | DataError):
        return False
    try:
        _log_if_sent_elsewhere(settings, note_without_details(settings, error, event_id, *end()))
    except Exception:
        log.exception("The end of %s could not be noted", event_id)
        return False
    return True


def _log_if_sent_elsewhere(settings: Any, notices: list[Notice]) -> None:
    """Log the messages for Slack now, even if Slack is unreachable. Without a webhook, sending a message logs it."""
    if settings.slack_webhook() is not None:
        for notice in notices:
            if not notice.is_silent:
                log.info("%s", notice.text)


class Listener:
    """Airflow calls these methods in every process, so they must be cheap and raise no errors."""

    def __init__(self) -> None:
        self._notifier: Notifier | None = None
        self._run_ended = False

    @hookimpl
    def on_starting(self, component: object) -> None:
        """Start the thread in the scheduler only. argv names it, as a Job has no kind yet; forked tasks are no Jobs."""
        if type(component).__name__ == "Job" and sys.argv[1:2] == ["scheduler"]:
            self._notifier = Notifier()
            self._notifier.start()

    @hookimpl
    def before_stopping(self, component: object) -> None:
        """Stop the thread. Airflow calls this when the scheduler receives a signal to end."""
        if type(component).__name__ == "Job" and self._notifier is not None:
            self._notifier.stop()

    @hookimpl
    def on_dag_run_success(self, dag_run: DagRun, msg: str) -> None:
        """Called in the scheduler's transaction."""
        self._wake_after_commit(dag_run)

    @hookimpl
    def on_dag_run_failed(self, dag_run: DagRun, msg: str) -> None:
        """Called in the scheduler's transaction."""
        self._wake_after_commit(dag_run)

    def _wake_after_commit(self, dag_run: DagRun) -> None:
        """Wake the thread after the commit: before the commit, no other session sees the end of the run."""
        from sqlalchemy import event
        from sqlalchemy.orm import object_session

        session = object_session(dag_run)
        if self._notifier is None or session is None:
            return
        self._run_ended = True
        # The scheduler uses the same session all its life, so one listener is enough.
        if not event.contains(session, "after_commit", self._committed):
            event.listen(session, "after_commit", self._committed)

    def _committed(self, _: object) -> None:
        if self._run_ended and self._notifier is not None:
            self._run_ended = False
            self._notifier.wake()


class NotifierPlugin(AirflowPlugin):
    """Airflow finds this class in its plugins folder."""

    name = "notifier"
    listeners = [Listener()]  # noqa: RUF012 - as Airflow reads it
