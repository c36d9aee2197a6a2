"""Outcomes -> a page in Markdown: every figure with its goal, met or not, and where the time goes."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import psutil

from benchmarks.figures import Outcome


def as_markdown(outcomes: Mapping[str, Outcome | str], *, quick: bool) -> str:
    """The page. A text in place of an outcome says why there is none."""
    memory = psutil.virtual_memory().total / 1e9
    machine = f"{os.cpu_count()} cores, {memory:.0f} GB, {platform.system()} {platform.machine()}"
    lines = ["# Results", ""]
    lines += ["Written by `make bench`; how each is measured: [README.md](README.md). Ratios hold inside one run.", ""]
    when = f"{datetime.now(UTC):%Y-%m-%d}, {machine}, Python {platform.python_version()}"
    lines += [f"{when}{', quick: smaller sizes, not to be quoted' if quick else ''}.", ""]
    for title, outcome in outcomes.items():
        lines += [f"## {title}", ""]
        if isinstance(outcome, str):
            lines += [outcome, ""]
            continue
        lines += [outcome.sizes, ""]
        rows = [(figure.what, figure.value, figure.goal, figure.verdict) for figure in outcome.figures]
        lines += [*_table(("what", "measured", "goal", ""), rows), ""]
        for table in outcome.tables:
            lines += [f"{table.title}:", "", *_table(table.columns, table.rows), ""]
    return "\n".join(lines)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [" | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) for row in (columns, *rows)]
    return [f"| {cells[0]} |", f"|{' --- |' * len(columns)}", *(f"| {row} |" for row in cells[1:])]
