"""An event that people should know -> one row of ops.notices, sent once.

A notice is noted before it is sent, and marked as sent afterwards. After a crash before sending, the next attempt sends
the notice. Only a crash between sending and marking can duplicate a notice; both copies have the same event id. A
silent notice is never sent: it records how a run ended, for the runs that follow.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import Json

from lakehouse import warehouse
from lakehouse.errors import LakehouseError
from lakehouse.settings import Settings
from lakehouse.text import printable

log = logging.getLogger(__name__)

Kind = Literal["success", "failed", "recovered", "quality", "summary", "waiting"]
# The kinds that say how a subject ended.
ENDS: tuple[Kind, ...] = ("success", "failed", "recovered")


@dataclass(frozen=True)
class Notice:
    """`event_id`: always the same for the same event. `subject`: what the notice is about (`lake 2018-01-05`)."""

    event_id: str
    subject: str
    kind: Kind
    happened_at: datetime
    text: str
    blocks: list[dict[str, Any]] = field(default_factory=list)
    is_silent: bool = False


class NotSent(Exception):
    """Why a notice could not be sent, and what to do. The notice stays unsent.

    `is_about_the_message`: other messages may be accepted. `retry_after`: seconds to wait before the next attempt.
    """

    def __init__(self, reason: str, *, is_about_the_message: bool = False, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.is_about_the_message = is_about_the_message
        self.retry_after = retry_after


# So often a notice that the receiver refuses is sent. Then it counts as done, but `sent_to` stays empty.
MOST_REFUSALS = 5

# Sends one notice, given the number of earlier attempts; returns the receiver (`slack`, `log`). Raises NotSent.
Destination = Callable[[Notice, int], str]


def note(settings: Settings, notice: Notice) -> bool:
    """Store a notice for `send_unsent`. If its event was noted before, change nothing and return False."""
    with warehouse.cursor(settings) as cursor:
        cursor.execute(
            """
            insert into ops.notices (event_id, subject, kind, happened_at, is_silent, text, blocks)
            values (%s, %s, %s, %s, %s, %s, %s)
            on conflict (event_id) do nothing
            """,
            (
                notice.event_id,
                notice.subject,
                notice.kind,
                notice.happened_at,
                notice.is_silent,
                notice.text,
                Json(notice.blocks),
            ),
        )
        return cursor.rowcount == 1


def noted(settings: Settings, event_ids: Iterable[str]) -> set[str]:
    """The given events that are already noted."""
    with warehouse.cursor(settings) as cursor:
        cursor.execute("select event_id from ops.notices where event_id = any(%s)", (list(event_ids),))
        return {event_id for (event_id,) in cursor.fetchall()}


def first_notice_at(settings: Settings) -> datetime:
    """Time of the first notice, or now if there is none: runs that ended earlier are not reported."""
    with warehouse.cursor(settings) as cursor:
        cursor.execute("select coalesce(min(noted_at), now()) from ops.notices")
        moment: datetime
        (moment,) = cursor.fetchone() or (datetime.now(UTC),)
    return moment


def end_before(settings: Settings, subject: str, moment: datetime) -> Kind | None:
    """How the subject last ended before this moment, silently or not; None if it never ended."""
    with warehouse.cursor(settings) as cursor:
        cursor.execute(
            """
            select kind from ops.notices where subject = %s and happened_at < %s and kind = any(%s)
            order by happened_at desc, notice_id desc limit 1
            """,
            (subject, moment, list(ENDS)),
        )
        row = cursor.fetchone()
    return row[0] if row else None


def send_unsent(settings: Settings, send: Destination) -> int:
    """Send the unsent notices, the oldest first; return how many were sent.

    A notice that another process is sending is skipped. A notice that the receiver refuses, or that cannot be sent
    because of an error here, does not delay the others; after MOST_REFUSALS attempts it is given up. When the receiver
    accepts none, raises NotSent and leaves all further notices unsent.
    """
    sent, last = 0, 0
    while True:
        # One transaction per notice: its row is locked while it is sent, and the lock ends with this process.
        with warehouse.cursor(settings) as cursor:
            cursor.execute(
                """
                select notice_id, attempts, refusals, event_id, subject, kind, happened_at, text, blocks
                from ops.notices
                where sent_at is null and not is_silent and notice_id > %s
                order by notice_id limit 1 for update skip locked
                """,
                (last,),
            )
            row = cursor.fetchone()
            if row is None:
                return sent
            last, attempts, refusals, *columns = row
            failure = _send(cursor, last, Notice(*columns), attempts, refusals, send)
        if failure is None:
            sent += 1
        elif not failure.is_about_the_message:
            raise failure


def _send(
    cursor: Cursor, notice_id: int, notice: Notice, attempts: int, refusals: int, send: Destination
) -> NotSent | None:
    """Send one notice and record the result."""
    try:
        sent_to = _sent(notice, attempts, send)
    except NotSent as failure:
        refusals += failure.is_about_the_message
        is_given_up = refusals >= MOST_REFUSALS
        if is_given_up:
            log.error("Given up, refused %s times: %s %s", refusals, notice.event_id, failure)
        cursor.execute(
            "update ops.notices set attempts = attempts + 1, refusals = %s, last_error = %s, "
            "sent_at = case when %s then now() end where notice_id = %s",
            (refusals, printable(str(failure)), is_given_up, notice_id),
        )
        return failure
    cursor.execute(
        "update ops.notices set attempts = attempts + 1, sent_at = now(), sent_to = %s where notice_id = %s",
        (sent_to, notice_id),
    )
    return None


def _sent(notice: Notice, attempts: int, send: Destination) -> str:
    try:
        return send(notice, attempts)
    except NotSent:
        raise
    except (LakehouseError, OSError) as error:  # of the settings or of this machine: no message can be sent
        raise NotSent(f"{type(error).__name__}: {error}") from error
    except Exception as error:  # a notice that reveals a bug must not stop the others
        log.exception("An error while sending %s", notice.event_id)
        raise NotSent(f"{type(error).__name__}: {error}", is_about_the_message=True) from error
