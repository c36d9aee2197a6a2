"""A text and its Block Kit blocks -> one message through an incoming webhook of Slack.

The webhook's address is a secret: no message of this module contains it. Airflow's SlackWebhookHook would need the
address in the environment, where all tasks see it, and this module's tests would need Airflow.
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

# Length of the text that notifications show in place of the blocks. Slack advises 4,000 and cuts at 40,000.
TEXT_CHARACTERS = 4000

# Slack usually answers within a second; the limit keeps one slow request from delaying the other messages.
TIMEOUT_SECONDS = 10
# After a timeout, wait this long before trying again.
UNANSWERED_SECONDS = 300
# Slack's answers to a message that it will never accept.
ABOUT_THE_MESSAGE = {"invalid_blocks", "invalid_blocks_format", "invalid_payload", "no_text", "msg_too_long"}


def post(webhook: str, text: str, blocks: list[dict[str, Any]], timeout: float = TIMEOUT_SECONDS) -> None:
    """Send one message. If Slack refuses the blocks, send only the text.

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
    said = f"Slack answered {status} {answer}".strip()
    if status == 429:
        raise NotSent(f"{said}: too many messages.", retry_after=_seconds(headers.get("Retry-After")))
    if status == 400 and answer in ABOUT_THE_MESSAGE:
        raise NotSent(f"{said}: it does not accept this message.", is_about_the_message=True)
    if 400 <= status < 500:
        raise NotSent(
            f"{said}: it does not (or no longer) accept messages through this webhook. Make a new one at "
            "https://api.slack.com/apps, put its address into secrets/slack_webhook, then: make up"
        )
    if status >= 500:
        raise NotSent(f"{said}: it is out of order for the moment.")
    raise NotSent(f"{said}, where it should say ok. Is the address in secrets/slack_webhook Slack's?")


def _answer(webhook: str, payload: dict[str, Any], timeout: float) -> tuple[int, str, Any]:
    """Slack's status, the first characters of its answer, and its headers."""
    try:
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            webhook, json.dumps(payload).encode(), {"Content-Type": "application/json; charset=utf-8"}
        )
        with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310
            return response.status, _beginning(response), response.headers
    except urllib.error.HTTPError as error:
        answer = ""
        with error, suppress(OSError, http.client.HTTPException):  # the status says enough
            answer = _beginning(error)
        return error.code, answer, error.headers
    except TimeoutError:  # Slack may have accepted the message: each further attempt can duplicate it
        raise NotSent(f"Slack did not answer within {timeout:g} s.", retry_after=UNANSWERED_SECONDS) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        # Use only an error's reason, if it has one: the error's text can contain the address.
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        raise NotSent(f"Slack cannot be reached: {reason}.") from None


def _beginning(response: Any) -> str:
    answer: bytes = response.read(200)
    return answer.decode(errors="replace").strip()


def _seconds(retry_after: str | None) -> float:
    """The header's seconds; a minute if it is missing or not a number."""
    return float(retry_after) if retry_after and retry_after.isdecimal() else 60.0
