"""Each event is sent exactly once, even if senders die or the receiver does not answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lakehouse import warehouse
from lakehouse.errors import ConfigurationError, WarehouseError
from lakehouse.notify import slack
from lakehouse.notify.outbox import (
    MOST_REFUSALS,
    Kind,
    Notice,
    NotSent,
    end_before,
    first_notice_at,
    note,
    noted,
    send_unsent,
)
from lakehouse.settings import Settings
from stack.fake_slack import FakeSlack, fake_slack
from tests.support.processes import other_processes

MONDAY = datetime(2018, 1, 8, 6, 0, tzinfo=UTC)
BLOCKS = [{"type": "header", "text": {"type": "plain_text", "text": "marts succeeded"}}]


def notice(event_id: str, *, kind: Kind = "success", days: int = 0, is_silent: bool = False) -> Notice:
    moment = MONDAY + timedelta(days=days)
    return Notice(event_id, "marts", kind, moment, f"text of {event_id}", BLOCKS, is_silent)


def rows(settings: Settings, columns: str) -> list[tuple[Any, ...]]:
    with warehouse.cursor(settings) as cursor:
        cursor.execute(f"select {columns} from ops.notices order by notice_id")
        return cursor.fetchall()


class Receiver:
    """Keeps what it receives, in order; refuses what is in `refuses`."""

    def __init__(self, **refuses: NotSent) -> None:
        self.refuses = refuses
        self.got: list[tuple[str, int]] = []

    def __call__(self, sent: Notice, attempts: int) -> str:
        if sent.event_id in self.refuses:
            raise self.refuses[sent.event_id]
        self.got.append((sent.event_id, attempts))
        return "slack"


@pytest.fixture
def receiving() -> Iterator[FakeSlack]:
    with fake_slack() as running:
        yield running


class TestNoting:
    def test_an_event_is_noted_once_and_stays_as_it_was(self, settings: Settings) -> None:
        assert note(settings, notice("a")) is True
        assert note(settings, notice("a", kind="failed")) is False

        assert rows(settings, "event_id, kind, text") == [("a", "success", "text of a")]

    def test_which_events_are_noted(self, settings: Settings) -> None:
        note(settings, notice("a"))
        note(settings, notice("silent", is_silent=True))

        assert noted(settings, ["a", "b", "silent"]) == {"a", "silent"}
        assert noted(settings, []) == set()

    def test_how_a_subject_ended_before(self, settings: Settings) -> None:
        assert end_before(settings, "marts", MONDAY) is None
        note(settings, notice("late", days=3))
        note(settings, notice("failed", days=1, kind="failed", is_silent=True))
        note(settings, notice("warned", days=2, kind="quality"))

        assert end_before(settings, "marts", MONDAY + timedelta(days=3)) == "failed"
        assert end_before(settings, "marts", MONDAY + timedelta(days=4)) == "success"
        assert end_before(settings, "marts", MONDAY + timedelta(days=1)) is None
        assert end_before(settings, "lake 2018-01-05", MONDAY + timedelta(days=4)) is None

    def test_runs_that_ended_before_the_first_notice_are_not_reported(self, settings: Settings) -> None:
        begin = datetime.now(UTC)
        assert begin <= first_notice_at(settings) <= datetime.now(UTC)

        note(settings, notice("a"))
        first = first_notice_at(settings)
        note(settings, notice("b"))

        assert first_notice_at(settings) == first

    def test_while_the_warehouse_is_down_nothing_is_noted(self, settings: Settings) -> None:
        with pytest.raises(WarehouseError):
            note(settings.model_copy(update={"postgres_port": 1}), notice("a"))


class TestSending:
    def test_each_is_sent_once_in_the_order_in_which_it_was_noted(self, settings: Settings) -> None:
        for event in ("b", "a", "c"):
            note(settings, notice(event))
        receiver = Receiver()

        assert send_unsent(settings, receiver) == 3
        assert send_unsent(settings, receiver) == 0

        assert receiver.got == [("b", 0), ("a", 0), ("c", 0)]
        assert rows(settings, "attempts, sent_to, sent_at is not null") == [(1, "slack", True)] * 3

    def test_a_silent_notice_is_never_sent(self, settings: Settings) -> None:
        note(settings, notice("silent", is_silent=True))

        assert send_unsent(settings, Receiver()) == 0

    def test_a_receiver_that_does_not_answer_gets_all_notices_later_in_order(self, settings: Settings) -> None:
        for event in ("a", "b"):
            note(settings, notice(event))

        with pytest.raises(NotSent, match="down"):
            send_unsent(settings, Receiver(a=NotSent("Slack is down")))
        assert rows(settings, "attempts, last_error, sent_at") == [(1, "Slack is down", None), (0, None, None)]

        receiver = Receiver()
        assert send_unsent(settings, receiver) == 2
        assert receiver.got == [("a", 1), ("b", 0)]

    def test_a_refused_message_does_not_delay_the_others(self, settings: Settings) -> None:
        for event in ("a", "b"):
            note(settings, notice(event))
        receiver = Receiver(a=NotSent("invalid_blocks", is_about_the_message=True))

        assert send_unsent(settings, receiver) == 1

        assert receiver.got == [("b", 0)]
        assert rows(settings, "event_id, sent_at is null, last_error") == [
            ("a", True, "invalid_blocks"),
            ("b", False, None),
        ]

    def test_a_notice_that_reveals_a_bug_in_the_sender_does_not_stop_the_others(self, settings: Settings) -> None:
        for event in ("a", "b"):
            note(settings, notice(event))

        def broken(sent: Notice, attempts: int) -> str:
            if sent.event_id == "a":
                raise KeyError("what \0 ever")
            return "slack"

        assert send_unsent(settings, broken) == 1

        assert rows(settings, "attempts, sent_to, left(last_error, 8)") == [(1, None, "KeyError"), (1, "slack", None)]

    def test_a_message_that_is_always_refused_is_given_up(
        self, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        note(settings, notice("a"))
        receiver = Receiver(a=NotSent("Slack answered 400 msg_too_long", is_about_the_message=True))
        tried = [settings] * (2 * MOST_REFUSALS)

        for each in tried:
            assert send_unsent(each, receiver) == 0

        assert rows(settings, "attempts, sent_to, last_error") == [
            (MOST_REFUSALS, None, "Slack answered 400 msg_too_long")
        ]
        assert [r.getMessage() for r in caplog.records if r.levelname == "ERROR"] == [
            f"Given up, refused {MOST_REFUSALS} times: a Slack answered 400 msg_too_long"
        ]

    def test_a_receiver_that_is_down_is_never_given_up(self, settings: Settings) -> None:
        note(settings, notice("a"))

        def unreadable(sent: Notice, attempts: int) -> str:
            raise ConfigurationError("the webhook's file cannot be read")

        for _ in range(2 * MOST_REFUSALS):
            for receiver in (Receiver(a=NotSent("Slack answered 500 \0")), unreadable):
                with pytest.raises(NotSent):
                    send_unsent(settings, receiver)
        send_unsent(settings, Receiver(a=NotSent("Slack answered 400 msg_too_long", is_about_the_message=True)))

        assert send_unsent(settings, Receiver()) == 1


SENDS_TO_SLACK = """
    from lakehouse.notify import slack
    from lakehouse.notify.outbox import send_unsent

    def send(notice, attempts):
        {before}
        slack.post({webhook!r}, notice.text, notice.blocks)
        {after}
        return "slack"

    print("here", flush=True)
    input()
    send_unsent(settings, send)
    print("done", flush=True)
"""


@pytest.fixture
def senders(settings: Settings, receiving: FakeSlack) -> Iterator[Callable[..., Any]]:
    with other_processes(settings) as run:
        yield lambda before="pass", after="pass": run(
            SENDS_TO_SLACK.format(webhook=receiving.webhook, before=before, after=after)
        )


def begin(sender: Any) -> None:
    sender.stdin.write("\n")
    sender.stdin.flush()


def test_two_senders_at_the_same_time_never_send_the_same_notice(
    settings: Settings, receiving: FakeSlack, senders: Callable[..., Any]
) -> None:
    for number in range(20):
        note(settings, notice(f"event {number}"))
    receiving.slow_seconds = 0.02  # so that the two senders meet
    both = [senders(), senders()]

    for sender in both:
        begin(sender)
    for sender in both:
        assert sender.stdout.readline() == "done\n"

    assert sorted(message["text"] for message in receiving.messages) == sorted(f"text of event {n}" for n in range(20))


def test_a_sender_killed_after_sending_causes_a_duplicate_with_the_same_event_id(
    settings: Settings, receiving: FakeSlack, senders: Callable[..., Any]
) -> None:
    note(settings, notice("a"))
    note(settings, notice("b"))
    sender = senders(after="import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    begin(sender)
    assert sender.wait(timeout=30) == -9
    assert [message["text"] for message in receiving.messages] == ["text of a"]

    second = senders()
    begin(second)
    assert second.stdout.readline() == "done\n"

    assert [message["text"] for message in receiving.messages] == ["text of a", "text of a", "text of b"]


def test_a_sender_killed_before_sending_loses_nothing(
    settings: Settings, receiving: FakeSlack, senders: Callable[..., Any]
) -> None:
    note(settings, notice("a"))
    sender = senders(before="import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    begin(sender)
    assert sender.wait(timeout=30) == -9

    second = senders()
    begin(second)
    assert second.stdout.readline() == "done\n"

    assert [message["text"] for message in receiving.messages] == ["text of a"]


def test_slack_gets_later_what_was_noted_while_it_was_down(settings: Settings, receiving: FakeSlack) -> None:
    def send(sent: Notice, attempts: int) -> str:
        slack.post(receiving.webhook, sent.text, sent.blocks)
        return "slack"

    note(settings, notice("a"))
    receiving.answers = [(503, "", {}), (429, "rate_limited", {"Retry-After": "3"})]
    with pytest.raises(NotSent):
        send_unsent(settings, send)
    note(settings, notice("b"))
    with pytest.raises(NotSent) as failure:
        send_unsent(settings, send)
    assert failure.value.retry_after == 3

    assert send_unsent(settings, send) == 2

    assert [message["text"] for message in receiving.messages] == ["text of a", "text of b"]
    assert rows(settings, "attempts") == [(3,), (1,)]
