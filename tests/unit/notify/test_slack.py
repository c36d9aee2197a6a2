"""The meaning of each answer of a webhook; the server judges as Slack does."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from lakehouse.notify.outbox import NotSent
from lakehouse.notify.slack import post
from stack.fake_slack import FakeSlack, address_in, fake_slack, faults

BLOCKS = [{"type": "header", "text": {"type": "plain_text", "text": "marts succeeded"}}]


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with fake_slack() as server:
        yield server


def test_a_message_arrives(slack: FakeSlack) -> None:
    post(slack.webhook, "marts <succeeded> & more", BLOCKS)

    assert slack.messages == [{"text": "marts &lt;succeeded&gt; &amp; more", "blocks": BLOCKS}]


def test_a_message_whose_blocks_are_refused_arrives_as_text(slack: FakeSlack) -> None:
    post(slack.webhook, "marts succeeded", [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}])

    assert slack.messages == [{"text": "marts succeeded"}]


def test_a_message_that_slack_never_accepts_does_not_block_others(slack: FakeSlack) -> None:
    with pytest.raises(NotSent, match="no_text") as failure:
        post(slack.webhook, "", [])

    assert failure.value.is_about_the_message


@pytest.mark.parametrize(
    ("status", "answer", "reason"),
    [
        (403, "invalid_token", "Make a new one at https://api.slack.com/apps"),
        (404, "no_service", "Make a new one"),
        (410, "channel_is_archived", "Make a new one"),
        (500, "rollup_error", "out of order"),
        (503, "", "out of order"),
        (200, "<html>log in to the hotel's network</html>", "should say ok"),
    ],
)
def test_a_receiver_that_accepts_nothing_blocks_all_messages(
    slack: FakeSlack, status: int, answer: str, reason: str
) -> None:
    slack.answers = [(status, answer, {})]

    with pytest.raises(NotSent, match=reason) as failure:
        post(slack.webhook, "marts succeeded", BLOCKS)

    assert not failure.value.is_about_the_message
    assert slack.messages == []


@pytest.mark.parametrize(("header", "seconds"), [({"Retry-After": "17"}, 17), ({}, 60), ({"Retry-After": "soon"}, 60)])
def test_too_many_messages_wait_as_long_as_slack_says(slack: FakeSlack, header: dict[str, str], seconds: float) -> None:
    slack.answers = [(429, "rate_limited", header)]

    with pytest.raises(NotSent, match="too many") as failure:
        post(slack.webhook, "marts succeeded", BLOCKS)

    assert failure.value.retry_after == seconds


def test_after_a_timeout_slack_is_not_asked_for_a_while(slack: FakeSlack) -> None:
    slack.slow_seconds = 2

    with pytest.raises(NotSent, match="did not answer within") as failure:
        post(slack.webhook, "marts succeeded", BLOCKS, timeout=0.2)

    assert failure.value.retry_after >= 60  # the message may have arrived: every try can add one more


def test_an_unreachable_slack_is_an_error_with_its_reason(slack: FakeSlack) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        unused = f"http://127.0.0.1:{taken.getsockname()[1]}/services/secret"

        with pytest.raises(NotSent, match="cannot be reached") as failure:
            post(unused, "marts succeeded", BLOCKS)

    assert "secret" not in str(failure.value)


@pytest.mark.parametrize(
    "webhook", ["hooks.slack.com/secret", "file:///etc/secret", "http://[secret", "http:// secret"]
)
def test_an_invalid_address_is_reported_without_the_address(webhook: str) -> None:
    with pytest.raises(NotSent) as failure:
        post(webhook, "marts succeeded", BLOCKS)

    assert "secret" not in str(failure.value).replace("secrets/slack_webhook", "")


@pytest.mark.parametrize(
    "blocks",
    [
        [{"type": "divider"}] * 51,
        [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}],
        [{"type": "section"}],
        [{"type": "section", "text": {"type": "mrkdwn", "text": ""}}],
        [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}],
        [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}],
        [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2001}]}],
        [{"type": "context", "elements": []}],
        [{"type": "rich"}],
        "no list",
    ],
)
def test_the_fake_refuses_what_slack_refuses(blocks: object) -> None:
    assert faults(blocks) != []


@pytest.mark.parametrize(
    "network",
    [
        pytest.param({"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}, id="an engine that has run before"),
        pytest.param({"Subnet": "172.17.0.0/16"}, id="an engine that never has"),
    ],
)
def test_the_address_at_which_containers_reach_this_machine(network: dict[str, str]) -> None:
    assert address_in(network) == "172.17.0.1"
