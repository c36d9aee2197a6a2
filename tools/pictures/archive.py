"""The archive, run on this machine -> the pictures of the run and of its report, and figures.json.

The run has a home and a Postgres of its own, and leaves nothing behind.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser
from psycopg2 import sql

from benchmarks.command import lakehouse
from benchmarks.sandbox import sandbox
from lakehouse import warehouse
from lakehouse.report.step import place as report_of
from lakehouse.settings import Settings
from tools.pictures.album import FOLDER, taken
from tools.pictures.browser import DESKTOP, PHONE, chromium, keep_screenshot, page_of
from tools.pictures.terminal import keep_terminal

FIGURES = FOLDER / "figures.json"
WORKSPACE = "main"
# Of what a run prints, the counts are shown: from the line with the one, to the line with the other.
BEGIN, END = "every record, stage by stage", "Revenue by month"
COUNTS = ("records", "rejected", "duplicates", "superseded", "quarantined", "loaded")
# The report's pages that the README shows: the picture's name, the address in the page, what the picture shows.
_PAGES = (
    ("report-overview", "overview", "The report: Overview"),
    ("report-delivery", "delivery", "The report: Delivery"),
    ("report-sellers", "sellers", "The report: Sellers"),
    ("report-actions", "actions", "The report: Actions"),
)
_ON_PHONE = ("report-phone", "overview", "The report on a phone")


def picture_archive(archive: Path) -> None:
    """Run the archive, and write what it shows."""
    with sandbox() as place:
        output = lakehouse(place, WORKSPACE, "run", str(archive)).output
        write_pictures(place.settings(WORKSPACE), archive.name, output)


def write_pictures(settings: Settings, archive: str, output: str) -> None:
    """The pictures and figures of a run that has ended, with what it printed."""
    counted = output[output.rindex("\n", 0, output.index(BEGIN)) : output.index(END)]
    keep_terminal("run", "A run on the archive: where each record went", f"make run DATA={archive}", counted)
    FIGURES.write_text(json.dumps(figures(settings), indent=2) + "\n", encoding="utf-8")
    with chromium() as browser:
        _picture_report(browser, report_of(settings).as_uri())


def figures(settings: Settings) -> dict[str, Any]:
    """What a run counted: the records of each source table, the rows of each mart."""
    with warehouse.cursor(settings, "bi_reader") as cursor:
        sums = sql.SQL(", ").join(sql.SQL("sum({})").format(sql.Identifier(count)) for count in COUNTS)
        cursor.execute(
            sql.SQL("select table_name, {} from marts.data_quality group by table_name order by table_name").format(
                sums
            )
        )
        sources = {row[0]: dict(zip(COUNTS, map(int, row[1:]), strict=True)) for row in cursor.fetchall()}
        cursor.execute(
            "select table_name from information_schema.tables "
            "where table_schema = 'marts' and table_type = 'BASE TABLE' order by table_name"
        )
        marts = {}
        for (name,) in cursor.fetchall():
            cursor.execute(sql.SQL("select count(*) from marts.{}").format(sql.Identifier(name)))
            row = cursor.fetchone()
            marts[name] = int(row[0]) if row else 0
    return {"taken": taken(), "source_tables": sources, "marts": marts}


def _picture_report(browser: Browser, address: str) -> None:
    with page_of(browser, DESKTOP) as page:
        for name, view, shows in _PAGES:
            page.goto(f"{address}#{view}")
            page.wait_for_function("view => (document.body.dataset.shown || '').startsWith(`#${view} `)", arg=view)
            keep_screenshot(name, shows, page.screenshot())
    name, view, shows = _ON_PHONE
    with page_of(browser, PHONE, 2) as page:
        page.goto(f"{address}#{view}")
        page.wait_for_function("view => (document.body.dataset.shown || '').startsWith(`#${view} `)", arg=view)
        keep_screenshot(name, shows, page.screenshot(), 2)
