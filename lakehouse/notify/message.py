"""A message's facts, parts and links -> plain text for the log and Block Kit for Slack, within Slack's limits.

events.py says which messages there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lakehouse.notify.block_kit import (
    BLOCKS,
    FIELD_CHARACTERS,
    HEADER_CHARACTERS,
    SECTION_CHARACTERS,
    SECTION_FIELDS,
    escaped,
    printable,
)

# Show at most this many lines per part; the last line says how many more there are.
LINES = 10
LINE_CHARACTERS = 280


@dataclass(frozen=True)
class Part:
    """Lines under a title; Slack shows them verbatim (`is_code`) or as a list."""

    title: str
    lines: tuple[str, ...]
    is_code: bool = False


@dataclass(frozen=True)
class Message:
    """`facts`: (name, value). `links`: (name, address). `event_id` ends the message."""

    symbol: str
    title: str
    event_id: str
    facts: tuple[tuple[str, str], ...] = ()
    parts: tuple[Part, ...] = ()
    links: tuple[tuple[str, str], ...] = ()

    def text(self) -> str:
        """Plain text for the log and for Slack's notifications."""
        lines = [f"{self.symbol} {self.title}"]
        lines += [f"{name}: {value}" for name, value in self.facts]
        for part in self.parts:
            lines += [f"{part.title}:", *(f"  {line}" for line in shortened(part.lines))]
        lines += [f"{name}: {address}" for name, address in self.links]
        return printable("\n".join([*lines, f"Event: {self.event_id}"]))

    def blocks(self) -> list[dict[str, Any]]:
        """Block Kit for Slack."""
        title = printable(f"{self.symbol} {self.title}")
        if len(title) > HEADER_CHARACTERS:
            title = title[: HEADER_CHARACTERS - 1] + "…"
        blocks: list[dict[str, Any]] = [{"type": "header", "text": {"type": "plain_text", "text": title}}]
        facts = [_mrkdwn(f"*{escaped(n, 100)}*\n{escaped(v, FIELD_CHARACTERS - 110)}") for n, v in self.facts]
        if facts:
            blocks.append({"type": "section", "fields": facts[:SECTION_FIELDS]})
        blocks += [{"type": "section", "text": _mrkdwn(_part(part))} for part in self.parts[: BLOCKS - 4]]
        if self.links:
            links = " · ".join(f"<{escaped(address, 1000)}|{escaped(name, 200)}>" for name, address in self.links[:2])
            blocks.append({"type": "section", "text": _mrkdwn(links)})
        event = _mrkdwn(escaped(f"Event {self.event_id}", FIELD_CHARACTERS))
        blocks.append({"type": "context", "elements": [event]})
        return blocks


def shortened(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The first lines, each made one short line; the last one says how many more there are."""
    kept = tuple(" ".join(line.split())[:LINE_CHARACTERS] for line in lines[:LINES])
    more = len(lines) - LINES
    return (*kept, f"and {more} more") if more > 0 else kept


def duration(seconds: float) -> str:
    """45 s, 3 min 12 s, 1 h 02 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def _part(part: Part) -> str:
    whole = shortened(part.lines)
    # All lines must fit, even though escaping can turn one character into five.
    limit = (SECTION_CHARACTERS - 300) // max(len(whole), 1)
    lines = [escaped(line, limit - 5) for line in whole]
    if part.is_code:
        body = "```" + "\n".join(line.replace("```", "'''") for line in lines) + "```"
    else:
        body = "\n".join(f"• {line}" for line in lines)
    return f"*{escaped(part.title, 200)}*\n{body}"


def _mrkdwn(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": text}
