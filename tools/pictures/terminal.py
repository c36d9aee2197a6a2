"""A command and its output -> an SVG that looks like a terminal, with a caption below."""

from __future__ import annotations

import io
import re
from html import escape

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from tools.pictures.album import keep_text, taken

WIDEST = 140  # characters; longer lines are folded
_THEME = TerminalTheme(
    (22, 27, 34),
    (214, 222, 232),
    [(72, 79, 88), (255, 123, 114), (126, 231, 135), (240, 176, 96), (121, 192, 255), (210, 168, 255), (118, 227, 234),
     (214, 222, 232)],
)  # fmt: skip
# Rich's own format loads a font from the network. Each text carries its width, so any fixed-width font fits.
_FORMAT = """<svg viewBox="0 0 {width} {full_height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>%(title)s</title>
<style>
text {{font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", "DejaVu Sans Mono", monospace;
font-size: {char_height}px; line-height: {line_height}px}}
.caption {{font-family: Helvetica, Arial, "Liberation Sans", sans-serif; font-size: 16px}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
<text class="caption" x="14" y="{caption_y}" fill="#64748b">%(caption)s</text>
</svg>
"""


def keep_terminal(name: str, shows: str, command: str, output: str) -> None:
    """The picture of a command with the lines that it printed; colours in the output are kept."""
    when = taken()
    keep_text(name, shows, when, terminal_svg(name, command, output, f"{shows} · {when}"))


def terminal_svg(name: str, command: str, output: str, caption: str) -> str:
    """The same SVG for the same texts."""
    lines = [Text.from_ansi(line.rstrip()) for line in output.strip("\n").splitlines()]
    width = min(WIDEST, max(len(command) + 2, *(line.cell_len for line in lines)))
    console = Console(
        record=True, width=width, file=io.StringIO(), force_terminal=True, highlight=False, legacy_windows=False
    )
    console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
    for line in lines:
        console.print(line, overflow="fold")
    words = {"title": escape(command), "caption": escape(caption)}
    with_words = _FORMAT % {key: text.replace("{", "{{").replace("}", "}}") for key, text in words.items()}
    # What only this format needs is put in when rich has computed the height.
    svg = console.export_svg(
        title="",
        theme=_THEME,
        unique_id=name,
        code_format=with_words.replace("{full_height}", "FULL_HEIGHT").replace("{caption_y}", "CAPTION_Y"),
    )
    size = re.search(r'viewBox="0 0 [\d.]+ FULL_HEIGHT"', svg)
    frame = re.search(r'<rect [^>]*height="([\d.]+)" rx="8"', svg)
    if size is None or frame is None:
        raise AssertionError("rich draws its frame in another way now: adapt terminal.py")
    height = float(frame[1]) + 2
    return svg.replace("FULL_HEIGHT", f"{height + 30:g}").replace("CAPTION_Y", f"{height + 20:g}")
