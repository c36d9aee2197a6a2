"""A DAG run that ended or makes no progress -> the messages about it, each noted once in ops.notices.

    success, failed    says how the run ended: batch, duration, where its rows went, first failed task and first error
    recovered          replaces success if the subject's previous run failed
    quality            is added if too many of the batch's records were rejected or quarantined
    summary            describes a backfill and replaces the messages of its runs
    waiting            says that Spark has no executor, so that all runs wait

A subject is what can fail and recover: a batch of the DAG `lake`, otherwise a DAG. message.py lays the messages out.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from lakehouse.lakehouse import Lakehouse
from lakehouse.notify.message import Message, Part, duration
from lakehouse.notify.outbox import Kind, Notice, end_before, note
from lakehouse.settings import Settings
from lakehouse.spark.watch import WHAT_TO_DO
from lakehouse.warehouse import counts

log = logging.getLogger(__name__)

SYMBOLS = {"success": "✅", "failed": "❌", "recovered": "💚", "quality": "⚠️", "summary": "📦", "waiting": "⏳"}
TOP_REASONS = 5


@dataclass(frozen=True)
class Failure:
    """The first task that failed. `error`: the first error of its log, in a few lines; None if it wrote none."""

    task: str
    log_url: str
    error: str | None


@dataclass(frozen=True)
class EndedRun:
    """A DAG run in its final state.

    `clear_number`: how often the run was cleared; each clear makes its end a new event. `batch_date`: None unless the
    DAG works on a batch. `failure`: None if no task failed. `found_nothing`: the run succeeded and had nothing to do.
    `is_silent`: its success is reported elsewhere (by a backfill's summary). `says_nothing_of_success`: the DAG
    runs so often that only a change is reported. `remarks`: further facts, as (name, value).
    """

    dag_id: str
    run_id: str
    clear_number: int
    succeeded: bool
    started_at: datetime
    ended_at: datetime
    url: str
    batch_date: date | None = None
    failure: Failure | None = None
    found_nothing: bool = False
    is_silent: bool = False
    says_nothing_of_success: bool = False
    belongs_to_backfill: bool = False
    remarks: tuple[tuple[str, str], ...] = ()

    @property
    def event_id(self) -> str:
        """The id of the run's end."""
        return end_of_run(self.dag_id, self.run_id, self.clear_number)

    @property
    def subject(self) -> str:
        """`lake 2018-01-05`, `marts`."""
        return f"{self.dag_id} {self.batch_date}" if self.batch_date else self.dag_id


@dataclass(frozen=True)
class EndedBackfill:
    """A finished backfill. `dates`: the requested dates; `runs`: the last run of each date that has one."""

    backfill_id: str
    dates: tuple[date, ...]
    runs: tuple[EndedRun, ...]
    started_at: datetime
    ended_at: datetime
    url: str

    @property
    def event_id(self) -> str:
        """The id of the backfill's end."""
        return f"backfill/{self.backfill_id}"


@dataclass(frozen=True)
class Batch:
    """Where the records of one batch went. `reasons`: why records were rejected or quarantined."""

    records: int
    rejected: int
    quarantined: int
    superseded: int
    loaded: int
    reasons: tuple[str, ...]
    counted_at: datetime

    @property
    def share(self) -> float:
        """The share of records that were rejected or quarantined."""
        return (self.rejected + self.quarantined) / self.records if self.records else 0.0


def note_run(settings: Settings, run: EndedRun) -> list[Notice]:
    """Note the end of a run, and a warning if too many records of its batch are bad; return the new notices."""
    before = end_before(settings, run.subject, run.ended_at)
    kind: Kind = "failed" if not run.succeeded else "recovered" if before == "failed" else "success"
    if run.says_nothing_of_success and kind == "success":
        return []
    batch, trouble = _batch_of(settings, run)
    notice = _ended(run, kind, batch, trouble, is_silent=_is_silent(run, kind, before))
    warning = _warning(settings, run, batch)
    # Write the warning first: once the end is recorded, no later sweep handles this run.
    return [n for n in (warning, notice) if n is not None and note(settings, n)]


def note_backfill(settings: Settings, backfill: EndedBackfill) -> list[Notice]:
    """Note the summary of a backfill; return it, or nothing if it was noted before."""
    notice = _summary(settings, backfill)
    return [notice] if note(settings, notice) else []


def note_without_details(
    settings: Settings, error: Exception, event_id: str, subject: str, kind: Kind, happened_at: datetime, url: str
) -> list[Notice]:
    """Note the end of a run or backfill of which no other notice can be made: else it would be tried indefinitely.

    Of a success, it is silent: some successes are, and here it is not known which.
    """
    title = f"{subject} {'succeeded' if kind == 'success' else 'failed' if kind == 'failed' else 'ended'}"
    facts = (("Details", _not_known(error)),)
    notice = _notice(
        Message(SYMBOLS[kind], title, event_id, facts, (), (("The run", url),)),
        subject,
        kind,
        happened_at,
        is_silent=kind == "success",
    )
    return [notice] if note(settings, notice) else []


def note_no_executor(settings: Settings, since: datetime, pages: str | None) -> list[Notice]:
    """Note that Spark's jobs have waited since then; return the notice, or nothing if this outage was noted before."""
    message = Message(
        SYMBOLS["waiting"],
        "Spark has no executor: runs wait",
        f"spark/{since.astimezone(UTC).isoformat(timespec='seconds')}/no_executor",
        (("Since", f"{since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"),),
        (Part("What to do", WHAT_TO_DO),),
        (("Spark's page", pages),) if pages else (),
    )
    notice = _notice(message, "spark", "waiting", since)
    return [notice] if note(settings, notice) else []


def end_of_run(dag_id: str, run_id: str, clear_number: int) -> str:
    """The event id of a run's end. A run that was cleared ends again, which is a new event."""
    return f"{dag_id}/{run_id}/{clear_number}/ended"


def _is_silent(run: EndedRun, kind: Kind, before: Kind | None) -> bool:
    if run.belongs_to_backfill:
        return True
    if run.says_nothing_of_success:
        return kind == before
    return kind == "success" and (run.is_silent or (run.found_nothing and run.batch_date is None))


def _batch_of(settings: Settings, run: EndedRun) -> tuple[Batch | None, str | None]:
    """Where the run's records went, or why this is unknown: no error may block the message about the run's end."""
    if run.batch_date is None:
        return None, None
    try:
        batch, trouble = _read_batch(Lakehouse.open(settings), run.batch_date)
        return batch, None if run.found_nothing else trouble
    except Exception as error:
        log.exception("The rows of batch %s are not known", run.batch_date)
        return None, _not_known(error)


def _read_batch(lakehouse: Lakehouse, day: date) -> tuple[Batch | None, str | None]:
    source = lakehouse.contract.source
    with lakehouse.cursor() as cursor:
        counted_at = counts.last_counted(cursor, source, day)
        records = counts.records_per_table(cursor, lakehouse.contract, day)
        most = counts.reasons_of(cursor, source, [(table.name, day) for table in lakehouse.contract.tables])
    if counted_at is None:
        return None, "not counted yet"
    sums = {stage: sum(of_table[stage] for _, of_table in records) for stage in counts.STAGES}
    reasons = tuple(f"{rows:,} in {table}: {reason}" for table, reason, rows, _ in most[:TOP_REASONS])
    rows_of_stages = sums["records"], sums["rejected"], sums["quarantined"], sums["superseded"], sums["raw"]
    return Batch(*rows_of_stages, reasons, counted_at), None


def _not_known(error: Exception) -> str:
    """The text in place of a figure. Even a bug here must not block the message."""
    return f"not known: {(str(error).splitlines() or [''])[0] or type(error).__name__}"


def _ended(run: EndedRun, kind: Kind, batch: Batch | None, trouble: str | None, *, is_silent: bool) -> Notice:
    facts = [("Duration", duration((run.ended_at - run.started_at).total_seconds())), *run.remarks]
    parts = []
    if batch is not None:
        facts += _rows(batch)
        if batch.reasons:
            parts.append(Part("Top reasons", batch.reasons))
        if kind == "failed" and batch.counted_at < run.started_at:
            parts.append(Part("Rows", ("counted by an earlier run: this one did not get that far",)))
    elif trouble:
        facts.append(("Rows", trouble))
    links = [("The run", run.url)]
    if kind == "failed":
        parts.insert(0, _what_failed(run))
        if run.failure is not None:
            links.append((f"Log of {run.failure.task}", run.failure.log_url))
    title = f"{run.subject} {_what_happened(run, kind, batch)}"
    message = Message(SYMBOLS[kind], title, run.event_id, tuple(facts), tuple(parts), tuple(links))
    return _notice(message, run.subject, kind, run.ended_at, is_silent=is_silent)


def _what_happened(run: EndedRun, kind: Kind, batch: Batch | None) -> str:
    if kind == "failed":
        return "failed"
    green = "is green again" if kind == "recovered" else "succeeded"
    if run.found_nothing:
        return f"{green}: {'there was nothing to do' if batch or not run.batch_date else 'no batch was delivered'}"
    return green


def _what_failed(run: EndedRun) -> Part:
    if run.failure is None:
        return Part("No task failed", ("the run itself was ended: by its time limit, or manually",))
    error = run.failure.error or "ended without an error of its own (was it killed?)"
    lines = tuple(error.splitlines())
    return Part(f"First failed: {run.failure.task}", lines, is_code=run.failure.error is not None)


def _rows(batch: Batch) -> list[tuple[str, str]]:
    facts = [("Rows in", f"{batch.records:,}"), ("Loaded", f"{batch.loaded:,}")]
    facts.append(("Quarantined", f"{batch.rejected + batch.quarantined:,} ({batch.share:.2%})"))
    if batch.superseded:
        facts.append(("Superseded", f"{batch.superseded:,}"))
    return facts


def _warning(settings: Settings, run: EndedRun, batch: Batch | None) -> Notice | None:
    """The warning if this run counted the batch, else None: a later run with nothing to do must not repeat it."""
    if batch is None or run.belongs_to_backfill or batch.counted_at < run.started_at:
        return None
    if batch.share <= settings.quarantine_warning_share:
        return None
    message = Message(
        SYMBOLS["quality"],
        f"{run.subject}: {batch.share:.2%} of the records are in quarantine",
        # The id names the count, not the run: two simultaneous runs of one batch both end after the count.
        f"{run.subject.replace(' ', '/')}/{batch.counted_at.astimezone(UTC).isoformat()}/quality",
        (*_rows(batch), ("Threshold", f"{settings.quarantine_warning_share:.2%}")),
        (Part("Top reasons", batch.reasons),) if batch.reasons else (),
        (("The run", run.url),),
    )
    return _notice(message, run.subject, "quality", run.ended_at)


def _summary(settings: Settings, backfill: EndedBackfill) -> Notice:
    green, red = ([run for run in backfill.runs if run.succeeded is wanted] for wanted in (True, False))
    missing = sorted({*backfill.dates} - {run.batch_date for run in backfill.runs if run.batch_date})
    facts = [
        ("Batches", f"{len(backfill.dates)}"),
        ("Succeeded", f"{len(green)}"),
        ("Failed", f"{len(red)}"),
        ("Duration", duration((backfill.ended_at - backfill.started_at).total_seconds())),
    ]
    found = [(run, *_batch_of(settings, run)) for run in backfill.runs]
    batches = [(run, batch) for run, batch, _ in found if batch is not None]
    if batches:
        quarantined = sum(batch.rejected + batch.quarantined for _, batch in batches)
        facts += [
            ("Rows in", f"{sum(batch.records for _, batch in batches):,}"),
            ("Loaded", f"{sum(batch.loaded for _, batch in batches):,}"),
            ("Quarantined", f"{quarantined:,}"),
        ]
    limit = settings.quarantine_warning_share
    parts = [
        Part("Failed", tuple(_failed_line(run) for run in red)),
        Part("Not begun", tuple(map(str, missing))),
        Part(f"More than {limit:.2%} in quarantine", _above(limit, batches)),
        Part("Rows", tuple(f"{run.batch_date}: {trouble}" for run, _, trouble in found if trouble)),
    ]
    links = [("The runs", backfill.url)]
    links += [(f"Log of {run.batch_date}", run.failure.log_url) for run in red[:1] if run.failure]
    end = "stopped early" if missing else "ended" if not red else "ended with failures"
    first, last = min(backfill.dates), max(backfill.dates)
    title = f"Backfill of {first if first == last else f'{first} to {last}'} {end}"
    message = Message(
        SYMBOLS["summary"] if not (red or missing) else SYMBOLS["failed"],
        title,
        backfill.event_id,
        tuple(facts),
        tuple(part for part in parts if part.lines),
        tuple(links),
    )
    return _notice(message, f"backfill {backfill.backfill_id}", "summary", backfill.ended_at)


def _failed_line(run: EndedRun) -> str:
    if run.failure is None:
        return f"{run.batch_date}: ended from outside"
    return f"{run.batch_date} in {run.failure.task}: {run.failure.error or 'without an error of its own'}"


def _above(limit: float, batches: Sequence[tuple[EndedRun, Batch]]) -> tuple[str, ...]:
    worst = sorted((pair for pair in batches if pair[1].share > limit), key=lambda pair: -pair[1].share)
    return tuple(f"{run.batch_date}: {batch.share:.2%}" for run, batch in worst)


def _notice(message: Message, subject: str, kind: Kind, happened_at: datetime, *, is_silent: bool = False) -> Notice:
    return Notice(message.event_id, subject, kind, happened_at, message.text(), message.blocks(), is_silent)
