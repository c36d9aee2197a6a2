"""What Slack allows in one message of Block Kit, and text as it wants it there."""

from __future__ import annotations

# Slack refuses a message with more: https://docs.slack.dev/reference/block-kit/blocks
BLOCKS = 50
HEADER_CHARACTERS = 150
SECTION_CHARACTERS = 3000
SECTION_FIELDS = 10
FIELD_CHARACTERS = 2000


def escaped(text: str, limit: int) -> str:
    """Text as Slack wants it in mrkdwn, with an ellipsis where it is cut."""
    whole = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if len(whole) <= limit:
        return whole
    cut = whole[: limit - 1]
    if cut.rfind("&") > cut.rfind(";"):  # never through an entity
        cut = cut[: cut.rfind("&")]
    return cut + "…"


def printable(text: str) -> str:
    """Without what neither JSON nor Postgres can carry: NUL, and halves of characters."""
    return text.replace("\0", "").encode(errors="replace").decode()
