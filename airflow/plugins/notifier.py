"""The end of each of the pipeline's runs -> one message, to Slack or to the log.

A thread of the scheduler searches Airflow's database for ended runs that have no notice in the warehouse (ops.notices),
writes these notices, and sends those that are not sent. It does so whenever a run ends, and every half minute anyway.
So hook and sweep are the same code: the next round finds what a killed scheduler, a stopped warehouse or an unreachable
Slack has delayed.

It is a thread and not a process because another Python with Airflow takes 150 MB; the thread adds 45. The scheduler
forks its workers, and a child forked while this thread holds a lock of a C library would find it locked indefinitely.
So the first round comes half a minute after the start, or when a run ends: by then the workers are there. A later fork
(a worker died) waits for the end of the round, at most FORK_WAITS_SECONDS. A round opens and closes its connections, so
that no child inherits one. And nothing here reads the lake: delta-rs would start threads of its own, and refuse to work
in every process that is forked afterwards.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

    from lakehouse.notify.outbox import Notice

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 30
# A round takes 20 ms if there is nothing to do, and rarely as long as a second if it sends. Waiting for an unresponsive
# Slack takes ten seconds, and must not block tasks that long.
FORK_WAITS_SECONDS = 1
STOP_WAITS_SECONDS = 5
# Clocks differ, and a transaction may become visible late, so each round looks back this far beyond the last one. The
# first round looks back this far beyond the first notice: Airflow may be older than its warehouse.
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
        """Begin a round when woken, at the latest after INTERVAL_SECONDS."""
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
        """Note what ended, send what is noted."""
        from lakehouse.notify.outbox import NotSent, send_unsent
        from lakehouse.settings import Settings

        settings = Settings.load()
        begin = datetime.now(UTC)
        if note_what_ended(settings, self._since):
            self._since = begin - OVERLAP
        if time.monotonic() < self._slack_wants_rest_until:
            return
        try:
            send_unsent(settings, Destination(settings))
        except NotSent as failure:  # Destination has logged it
            self._slack_wants_rest_until = time.monotonic() + failure.retry_after

    def _before_fork(self) -> None:
        self._fork_waited = self._at_rest.acquire(timeout=FORK_WAITS_SECONDS)

    def _after_fork(self) -> None:
        if self._fork_waited:
            self._at_rest.release()

    def _after_fork_in_child(self) -> None:
        """A child does not have the thread, so the thread's lock would never be released."""
        self._at_rest = threading.Lock()


class Destination:
    """Sends a notice to the webhook in the secret. It reads the secret each time, so a new one is used immediately."""

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


def note_what_ended(settings: Any, since: datetime) -> bool:
    """Note each run and backfill that ended since then and has no notice. False if some could not be noted."""
    from airflow.utils.session import create_session

    from lakehouse.notify.events import note_backfill, note_run
    from lakehouse.notify.outbox import first_notice_at, noted
    from lakehouse_airflow import ended_runs

    complete = True
    beginning = first_notice_at(settings) - OVERLAP
    # Not the thread's session, but one that ends with this round.
    with create_session(scoped=False) as session:
        backfills = ended_runs.backfills(session)
        reported = noted(settings, backfills)
        unreported = {event_id: parts for event_id, parts in backfills.items() if event_id not in reported}
        unreported_parts = [part for parts in unreported.values() for part in parts]
        runs = {ended_runs.event_id(run): run for run in ended_runs.ended_since(session, max(since, beginning))}
        known = noted(settings, runs)
        for event_id, run in runs.items():
            if event_id not in known:
                try:
                    _log_if_sent_elsewhere(
                        settings, note_run(settings, ended_runs.describe(session, run, unreported_parts))
                    )
                except Exception:  # one that cannot be noted must not delay the others
                    log.exception("The end of %s could not be noted", event_id)
                    complete = False
        # After their runs, which are silent only until their summary is noted.
        for event_id, parts in unreported.items():
            try:
                backfill = ended_runs.ended_backfill(session, parts)
                if backfill is not None and backfill.ended_at >= beginning:
                    _log_if_sent_elsewhere(settings, note_backfill(settings, backfill))
            except Exception:
                log.exception("The end of %s could not be noted", event_id)
                complete = False
    return complete


def _log_if_sent_elsewhere(settings: Any, notices: list[Notice]) -> None:
    """Log what Slack will receive now, even if Slack is unreachable. Without a webhook, sending logs it anyway."""
    if settings.slack_webhook() is not None:
        for notice in notices:
            if not notice.is_silent:
                log.info("%s", notice.text)


class Listener:
    """Airflow calls these methods in every process, so they must cost nothing and break nothing."""

    def __init__(self) -> None:
        self._notifier: Notifier | None = None
        self._run_ended = False

    @hookimpl
    def on_starting(self, component: object) -> None:
        """Start the thread in the scheduler: a Job has no kind yet, but argv has; its forked tasks are no Jobs."""
        if type(component).__name__ == "Job" and sys.argv[1:2] == ["scheduler"]:
            self._notifier = Notifier()
            self._notifier.start()

    @hookimpl
    def before_stopping(self, component: object) -> None:
        """Called when the scheduler is asked to end."""
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
        """Wake the thread after the commit: before it, no other session sees the end of the run."""
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
    """Found by Airflow in its folder of plugins."""

    name = "notifier"
    listeners = [Listener()]  # noqa: RUF012 - as Airflow reads it
