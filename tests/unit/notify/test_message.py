"""Messages are complete, escaped, and never longer than Slack accepts."""

from __future__ import annotations

import json

import pytest

from lakehouse.notify.block_kit import escaped
from lakehouse.notify.message import LINES, Message, Part, duration, shortened
from stack.fake_slack import faults, readable


def message(**changes: object) -> Message:
    given: dict[str, object] = {
        "symbol": "❌",
        "title": "lake 2018-01-05 failed",
        "event_id": "lake/daily/0/ended",
        "facts": (("Rows in", "1,240"), ("Loaded", "1,234")),
        "parts": (Part("First failed: load", ("ValueError: a < b & c",), is_code=True), Part("Why", ("one", "two"))),
        "links": (("The run", "http://127.0.0.1:8080/dags/lake"),),
    }
    return Message(**{**given, **changes})  # type: ignore[arg-type]


def test_the_text_says_everything() -> None:
    assert message().text() == (
        "❌ lake 2018-01-05 failed\n"
        "Rows in: 1,240\n"
        "Loaded: 1,234\n"
        "First failed: load:\n"
        "  ValueError: a < b & c\n"
        "Why:\n"
        "  one\n"
        "  two\n"
        "The run: http://127.0.0.1:8080/dags/lake\n"
        "Event: lake/daily/0/ended"
    )


def test_the_blocks_say_the_same() -> None:
    blocks = message().blocks()

    assert faults(blocks) == []
    said = json.dumps(blocks, ensure_ascii=False)
    for word in ("❌ lake 2018-01-05 failed", "1,240", "1,234", "First failed: load", "• one", "lake/daily/0/ended"):
        assert word in said
    assert "ValueError: a &lt; b &amp; c" in said
    assert "<http://127.0.0.1:8080/dags/lake|The run>" in said


LONG = "x" * 10_000
MANY = tuple(f"line {number} " + "<" * 400 for number in range(500))


@pytest.mark.parametrize(
    "changes",
    [
        {"title": LONG},
        {"event_id": LONG},
        {"facts": tuple((f"name {number}", LONG) for number in range(30))},
        {"facts": ((LONG, "<&>" * 3000),)},
        {"facts": (), "parts": (), "links": ()},
        {"parts": (Part("Failed", MANY),)},
        {"parts": (Part("Failed", MANY),) * 60},
        {"parts": (Part(LONG, MANY, is_code=True),)},
        {"parts": (Part("Failed", ("&" * 10_000,), is_code=True),)},
        {"parts": (Part("Failed", ("",)),)},
        {"links": ((LONG, "http://127.0.0.1/" + LONG), ("b", "http://b"), ("c", "http://c"))},
    ],
    ids=[
        "title",
        "event",
        "many facts",
        "a long fact",
        "nothing",
        "many lines",
        "many parts",
        "code",
        "escaped",
        "empty",
        "links",
    ],
)
def test_slack_accepts_every_message(changes: dict[str, object]) -> None:
    assert faults(message(**changes).blocks()) == []


def test_an_errors_text_cannot_end_its_code_block_or_make_links() -> None:
    blocks = message(parts=(Part("First failed", ("``` <http://evil|click> <!channel>",), is_code=True),)).blocks()

    text = blocks[2]["text"]["text"]
    assert text == "*First failed*\n```''' &lt;http://evil|click&gt; &lt;!channel&gt;```"


def test_characters_that_cannot_be_seen_or_kept_are_escaped() -> None:
    odd = message(parts=(Part("First failed", ("a\0b \ud800 c",)),))

    assert r"a\x00b \ud800 c" in odd.text()
    sent = json.dumps(odd.blocks(), ensure_ascii=False)
    assert "\\u0000" not in sent
    assert sent.encode()  # with an unpaired surrogate, it raises


@pytest.mark.parametrize("limit", range(1, 12))
def test_a_cut_never_goes_through_an_entity(limit: int) -> None:
    cut = escaped("a&b<c", limit)

    assert len(cut) <= limit
    assert cut.removesuffix("…") in ("", "a", "a&amp;", "a&amp;b")


def test_of_many_lines_the_last_says_how_many_are_missing() -> None:
    assert shortened(("a\n b", *map(str, range(LINES + 4))))[0] == "a b"
    assert shortened(tuple(map(str, range(LINES + 4))))[-1] == "and 4 more"
    assert len(shortened(tuple(map(str, range(LINES))))) == LINES


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (192, "3 min 12 s"), (3720, "1 h 02 min")]
)
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_fake_shows_a_message_as_plain_text() -> None:
    arrived = {"text": "x", "blocks": message().blocks()}

    assert readable(arrived) == (
        "❌ lake 2018-01-05 failed\n"
        "Rows in: 1,240   Loaded: 1,234\n"
        "First failed: load\n"
        "ValueError: a < b & c\n"
        "Why\n"
        "• one\n"
        "• two\n"
        "The run: http://127.0.0.1:8080/dags/lake\n"
        "Event lake/daily/0/ended"
    )
    assert readable({"text": "a &lt; b"}) == "a < b"
