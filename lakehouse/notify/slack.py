"""A text and its Block Kit blocks -> one message through an incoming webhook of Slack.

The webhook's address is a secret: no message of this module holds it. Airflow's SlackWebhookHook would want it as a
connection in the environment, where all tasks see it, and needs Airflow where this is tested.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from contextlib import suppress
from typing import Any

from lakehouse.notify.block_kit import escaped
from lakehouse.notify.outbox import NotSent

# Of the text beside the blocks, which notifications show: Slack advises 4,000 and cuts at 40,000.
TEXT_CHARACTERS = 4000

# Slack answers within a second; more than this it must not hold up what else there is to say.
TIMEOUT_SECONDS = 10
# Who hangs once hangs for a while.
UNANSWERED_SECONDS = 300
# What Slack says of a message that it will never take, however often it comes.
ABOUT_THE_MESSAGE = {"invalid_blocks", "invalid_blocks_format", "invalid_payload", "no_text", "msg_too_long"}


def post(webhook: str, text: str, blocks: list[dict[str, Any]], timeout: float = TIMEOUT_SECONDS) -> None:
    """Destination one message. If Slack does not like its blocks, the text goes alone: better plain than not at all.

    Raises NotSent with what to do.
    """
    if not webhook.startswith(("https://", "http://")):
        raise NotSent("The webhook is no http(s) address. Correct the file secrets/slack_webhook.")
    payload = {"text": escaped(text, TEXT_CHARACTERS), "blocks": blocks}
    status, answer, headers = _answer(webhook, payload, timeout)
    if status == 400 and answer in ABOUT_THE_MESSAGE and blocks:
        status, answer, headers = _answer(webhook, {"text": payload["text"]}, timeout)
    if status == 200 and answer == "ok":
        return
    told = f"Slack answered {status} {answer}".strip()
    if status == 429:
        raise NotSent(f"{told}: too many messages.", retry_after=_seconds(headers.get("Retry-After")))
    if status == 400 and answer in ABOUT_THE_MESSAGE:
        raise NotSent(f"{told}: it does not take this message.", is_about_the_message=True)
    if 400 <= status < 500:
        raise NotSent(
            f"{told}: it does not take messages through this webhook (any more). Make a new one at "
            "https://api.slack.com/apps, put its address into secrets/slack_webhook, then: make up"
        )
    if status >= 500:
        raise NotSent(f"{told}: it is out of order for the moment.")
    raise NotSent(f"{told}, where it should say ok. Is the address in secrets/slack_webhook Slack's?")


def _answer(webhook: str, payload: dict[str, Any], timeout: float) -> tuple[int, str, Any]:
    """Status, the answer's first characters, headers."""
    try:
        request = urllib.request.Request(  # noqa: S310 - the scheme was looked at
            webhook, json.dumps(payload).encode(), {"Content-Type": "application/json; charset=utf-8"}
        )
        with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310
            return response.status, _beginning(response), response.headers
    except urllib.error.HTTPError as error:
        answer = ""
        with error, suppress(OSError, http.client.HTTPException):  # the status says enough
            answer = _beginning(error)
        return error.code, answer, error.headers
    except TimeoutError:  # it got the message, and may have taken it: each further try can make it come once more
        raise NotSent(f"Slack did not answer within {timeout:g} s.", retry_after=UNANSWERED_SECONDS) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        # Only the reason of an error that has one: texts of others can hold the address.
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        raise NotSent(f"Slack cannot be reached: {reason}.") from None


def _beginning(response: Any) -> str:
    answer: bytes = response.read(200)
    return answer.decode(errors="replace").strip()


def _seconds(retry_after: str | None) -> float:
    """What the header says; a minute if it says nothing that is understood."""
    return float(retry_after) if retry_after and retry_after.isdecimal() else 60.0
