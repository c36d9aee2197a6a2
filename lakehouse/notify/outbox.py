"""Something that people should hear of -> one row of ops.notices, sent exactly once.

It is noted before it is sent, and marked after: whoever dies in between leaves it to the next sender. Only one that
dies between sending and marking makes it come twice, with the same event id. A silent notice is never sent: it keeps
how a run ended, for those that come after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import Json

from lakehouse import warehouse
from lakehouse.settings import Settings

Kind = Literal["success", "failed", "recovered", "quality", "summary"]
# How a subject ended; the other kinds say something beside it.
ENDS: tuple[Kind, ...] = ("success", "failed", "recovered")


@dataclass(frozen=True)
class Notice:
    """`event_id`: the same event has the same one for ever. `subject`: what it is about, `lake 2018-01-05`."""

    event_id: str
    subject: str
    kind: Kind
    happened_at: datetime
    text: str
    blocks: list[dict[str, Any]] = field(default_factory=list)
    is_silent: bool = False


class NotSent(Exception):
    """Why a notice could not be sent, and what to do; it stays unsent.

    `is_about_the_message`: others may pass. `retry_after`: seconds for which the receiver wants to be left alone.
    """

    def __init__(self, reason: str, *, is_about_the_message: bool = False, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.is_about_the_message = is_about_the_message
        self.retry_after = retry_after


# Sends one notice and says where to (`slack`, `log`); raises NotSent. Told how often it was tried before.
Destination = Callable[[Notice, int], str]


def note(settings: Settings, notice: Notice) -> bool:
    """Keep a notice, to be sent by `send_unsent`; False: it was noted before, and stays as it was."""
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
    """Those of the events that are noted."""
    with warehouse.cursor(settings) as cursor:
        cursor.execute("select event_id from ops.notices where event_id = any(%s)", (list(event_ids),))
        return {event_id for (event_id,) in cursor.fetchall()}


def first_notice_at(settings: Settings) -> datetime:
    """When the first notice was noted; now, if none was: what ended before is not this warehouse's to tell."""
    with warehouse.cursor(settings) as cursor:
        cursor.execute("select coalesce(min(noted_at), now()) from ops.notices")
        moment: datetime
        (moment,) = cursor.fetchone() or (datetime.now(UTC),)
    return moment


def end_before(settings: Settings, subject: str, moment: datetime) -> Kind | None:
    """How the subject ended the last time before this moment, silently or not; None: never."""
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
    """Send what is noted and not sent, the oldest first; how many were.

    A notice that another sender has in hand is left to it. Raises NotSent, with all further ones unsent, when the
    receiver takes none; one that alone is not taken stays unsent and does not hold up the others.
    """
    sent, last = 0, 0
    while True:
        # One transaction each: the lock on the row is held while it is sent, and goes with this process.
        with warehouse.cursor(settings) as cursor:
            cursor.execute(
                """
                select notice_id, attempts, event_id, subject, kind, happened_at, text, blocks from ops.notices
                where sent_at is null and not is_silent and notice_id > %s
                order by notice_id limit 1 for update skip locked
                """,
                (last,),
            )
            row = cursor.fetchone()
            if row is None:
                return sent
            last, attempts, *columns = row
            failure = _send(cursor, last, Notice(*columns), attempts, send)
        if failure is None:
            sent += 1
        elif not failure.is_about_the_message:
            raise failure


def _send(cursor: Cursor, notice_id: int, notice: Notice, attempts: int, send: Destination) -> NotSent | None:
    """Destination, and mark what came of it."""
    try:
        sent_to = send(notice, attempts)
    except NotSent as failure:
        cursor.execute(
            "update ops.notices set attempts = attempts + 1, last_error = %s where notice_id = %s",
            (str(failure), notice_id),
        )
        return failure
    cursor.execute(
        "update ops.notices set attempts = attempts + 1, sent_at = now(), sent_to = %s where notice_id = %s",
        (sent_to, notice_id),
    )
    return None
