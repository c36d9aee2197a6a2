"""Text from a delivery -> text that is safe in a terminal, a log, a page and a message."""

from __future__ import annotations

QUOTED_CHARACTERS = 80


def printable(text: str) -> str:
    """The text with each character that cannot be seen (control, format, surrogate, odd space) as its escape."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def quoted(text: str) -> str:
    """The text as messages show it: one line of at most 80 characters, each of which can be seen."""
    shown = printable(text)
    return shown if len(shown) <= QUOTED_CHARACTERS else f"{shown[: QUOTED_CHARACTERS - 1]}…"
