"""Outcomes -> a page in Markdown: every figure with its goal, met or not, and where the time goes."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import psutil

from benchmarks.figures import Outcome


def as_markdown(outcomes: Mapping[str, Outcome | str], *, quick: bool) -> str:
    """The page. If a benchmark has no outcome, its text says why."""
    memory = psutil.virtual_memory().total / 1e9
    machine = f"{os.cpu_count()} cores, {memory:.0f} GB, {platform.system()} {platform.machine()}"
    lines = ["# Results", ""]
    how = "[README.md](README.md) says how each figure is measured. Ratios are only valid within one run."
    lines += [f"Written by `make bench`; {how}", ""]
    when = f"{datetime.now(UTC):%Y-%m-%d}, {machine}, Python {platform.python_version()}"
    lines += [f"{when}{', quick: smaller sizes, do not quote' if quick else ''}.", ""]
    for title, outcome in outcomes.items():
        lines += [f"## {title}", "", *_section(outcome)]
    return "\n".join(lines)


def with_section(page: str, title: str, outcome: Outcome) -> str:
    """The page with this section, which replaces one of the same title or is added at the end."""
    section = "\n".join([f"## {title}", "", *_section(outcome)])
    before, _, rest = page.partition(f"## {title}\n")
    after = rest[rest.index("\n## ") + 1 :] if "\n## " in rest else ""
    return "\n".join(part for part in (before.rstrip("\n") + "\n", section, after) if part)


def sections_not_in(page: str, titles: Iterable[str]) -> str:
    """The sections that other benchmarks wrote; they are kept."""
    found = re.split(r"(?m)^(?=## )", page)[1:]
    return "".join(section for section in found if section.partition("\n")[0].removeprefix("## ") not in set(titles))


def _section(outcome: Outcome | str) -> list[str]:
    if isinstance(outcome, str):
        return [outcome, ""]
    rows = [(figure.what, figure.value, figure.goal, figure.verdict) for figure in outcome.figures]
    lines = [outcome.sizes, "", *_table(("what", "measured", "goal", ""), rows), ""]
    for table in outcome.tables:
        lines += [f"{table.title}:", "", *_table(table.columns, table.rows), ""]
    return lines


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [" | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) for row in (columns, *rows)]
    return [f"| {cells[0]} |", f"|{' --- |' * len(columns)}", *(f"| {row} |" for row in cells[1:])]
