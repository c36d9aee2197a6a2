"""Text in Graphviz's language -> an SVG that is readable on a light and on a dark page, and names its source's hash.

The drawing uses only the colours of LIGHT. The SVG's style sheet replaces them where the reader's system is dark. The
fonts are those that every system has in the same widths (Helvetica, Arial, Liberation Sans).
"""

from __future__ import annotations

import hashlib
import re
import subprocess

from lakehouse.errors import LakehouseError

FONT = "Helvetica,Arial,Liberation Sans,sans-serif"

# What a colour is for -> the colour on a light and on a dark page. No two may be equal on the light page.
LIGHT = {
    "paper": "#ffffff",
    "card": "#fcfdfe",
    "band": "#f1f5f9",
    "line": "#cbd5e1",
    "ink": "#1e293b",
    "muted": "#64748b",
    "edge": "#94a3b8",
    "key": "#b45309",
    "fact": "#0f766e",
    "dimension": "#3b5b92",
    "store": "#155e75",
    "aside": "#9f4a3f",
    "on_colour": "#fffffe",
}
DARK = {
    "paper": "#0d1117",
    "card": "#161b22",
    "band": "#1f2733",
    "line": "#374151",
    "ink": "#e6edf3",
    "muted": "#9aa7b6",
    "edge": "#6b7a8d",
    "key": "#f0b060",
    "fact": "#147d74",
    "dimension": "#42639c",
    "store": "#1a6f88",
    "aside": "#b8604f",
    "on_colour": "#fdfefe",
}
# Beside each diagram's own text, a change of the colours is a change of the picture.
DARK_STYLE = (
    "@media (prefers-color-scheme: dark) {\n"
    + "".join(
        f'[fill="{LIGHT[use]}"] {{fill: {DARK[use]}}}\n[stroke="{LIGHT[use]}"] {{stroke: {DARK[use]}}}\n'
        for use in LIGHT
    )
    + "}"
)
_HASH = re.compile(r"<!-- sha256 of the source: ([0-9a-f]{64}) -->")


def source_hash(dot: str) -> str:
    """What an SVG drawn from this text carries."""
    return hashlib.sha256(f"{dot}\n{DARK_STYLE}".encode()).hexdigest()


def hash_in(svg: str) -> str | None:
    """The hash that an SVG carries, or None."""
    found = _HASH.search(svg)
    return found[1] if found else None


def draw(dot: str, title: str) -> str:
    """The SVG. Raises LakehouseError without Graphviz, or if it cannot read the text."""
    try:
        done = subprocess.run(["dot", "-Tsvg"], input=dot, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise LakehouseError("Graphviz draws the diagrams: install the package graphviz, which has `dot`.") from None
    if done.returncode:
        raise LakehouseError(f"Graphviz cannot draw {title}:\n{done.stderr.strip()}")
    svg = done.stdout[done.stdout.index("<svg") :]
    svg = re.sub(r"<!--.*?-->\n?", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<title>.*?</title>\n?", "", svg, flags=re.DOTALL)  # a browser would show them as tool tips
    head, rest = svg.split(">", 1)
    # Scales to the width of its place.
    head = head.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
    style = f"<!-- sha256 of the source: {source_hash(dot)} -->\n<style>\n{DARK_STYLE}\n</style>"
    return f"{head}>\n<title>{title}</title>\n{style}{rest}"
