"""Text -> text that Slack accepts in Block Kit. Also the limits of one message."""

from __future__ import annotations

from lakehouse import text as one_line

# Slack refuses a message that exceeds these limits: https://docs.slack.dev/reference/block-kit/blocks
BLOCKS = 50
HEADER_CHARACTERS = 150
SECTION_CHARACTERS = 3000
SECTION_FIELDS = 10
FIELD_CHARACTERS = 2000


def escaped(text: str, limit: int) -> str:
    """Escape text for Slack's mrkdwn and cut it to the limit, with an ellipsis at the end."""
    whole = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if len(whole) <= limit:
        return whole
    cut = whole[: limit - 1]
    if cut.rfind("&") > cut.rfind(";"):  # do not cut through an entity
        cut = cut[: cut.rfind("&")]
    return cut + "…"


def printable(text: str) -> str:
    """The lines with escapes for what cannot be seen. Neither JSON nor Postgres can hold NUL or unpaired surrogates."""
    return "\n".join(map(one_line.printable, text.split("\n")))
