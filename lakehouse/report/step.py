"""marts -> the report: one HTML file with its figures, charts and scripts, which a browser opens from the disk.

The file is written again when the marts, the counts of the files, or what the report is made from have changed. It is
written beside its place and then moved there, so that a reader always gets a whole one.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from psycopg2.extensions import cursor as Cursor

from lakehouse.errors import ReportError
from lakehouse.lakehouse import Lakehouse
from lakehouse.marts import step as marts
from lakehouse.report import drawing
from lakehouse.report.calendar import Calendar, calendar_of
from lakehouse.report.cubes import PERIOD, Cube, Members, Query, counted_dimension, cubes, days_sql, queries, read_rows
from lakehouse.report.insights import FILE as FINDINGS
from lakehouse.report.insights import Answered, Period, answer, period_of, read_insights
from lakehouse.report.measures import Measures, read_measures
from lakehouse.report.pages import Pages, read_pages
from lakehouse.settings import Settings

FILE = "report.html"
CONNECTIONS = 2  # two cores keep two queries busy
# The queries run beside one another: workers of their own would only take the cores from the others.
_ONE_CORE = "set max_parallel_workers_per_gather = 0"
_FINGERPRINT = re.compile(rb'<meta name="fingerprint" content="([0-9a-f]+)">')
_HEAD_BYTES = 4096  # of a report, within which its fingerprint stands
# The scripts are one when they are in the page, in this order.
_SCRIPTS = ("page_figures.js", "page_charts.js", "page.js")


@dataclass(frozen=True)
class ReportResult:
    """What a step did. `done`: whether the file was written; otherwise it was up to date."""

    path: Path
    done: bool
    seconds: float
    size: int


@dataclass(frozen=True)
class _Definition:
    """What the files of report/ say."""

    measures: Measures
    pages: Pages


def place(settings: Settings) -> Path:
    """Where a workspace's report lies."""
    return settings.workspace_dir / FILE


def has_report(settings: Settings) -> bool:
    """Whether report/ has measures and pages for the source. Raises ReportError if they cannot be used."""
    return _definition(settings) is not None


def is_due(lakehouse: Lakehouse, path: Path) -> bool:
    """Whether the file is absent, or was made from other marts, files or code. False if the source has no report."""
    definition = _definition(lakehouse.settings)
    return definition is not None and _fingerprint_of(path) != _fingerprint(lakehouse)


def run(lakehouse: Lakehouse, path: Path | None = None) -> ReportResult | None:
    """Write the report if it is due; None if the source has none.

    Raises ReportError if a file of report/ cannot be used, if there are no complete marts, or if the report cannot be
    written; SetupError if a package is missing; and WarehouseError.
    """
    begin = time.monotonic()
    definition = _definition(lakehouse.settings)
    if definition is None:
        return None
    if marts.last_built(lakehouse) is None:
        raise ReportError(
            "The marts are not built, or not completely: there is nothing to report. Run `lakehouse run`."
        )
    path = path or place(lakehouse.settings)
    if _fingerprint_of(path) == _fingerprint(lakehouse):
        return ReportResult(path, False, time.monotonic() - begin, path.stat().st_size)
    html = _rendered(lakehouse, definition)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(html)
        part.replace(path)
    except OSError as error:
        raise ReportError(f"{path} cannot be written: {error.strerror}.\nName another place: --output PATH") from error
    return ReportResult(path, True, time.monotonic() - begin, len(html))


def rendered(lakehouse: Lakehouse) -> bytes:
    """The report itself, for a reader that is no file. The source has one. Raises what `run` raises."""
    definition = _definition(lakehouse.settings)
    assert definition is not None, "the source has a report"
    return _rendered(lakehouse, definition)


def _rendered(lakehouse: Lakehouse, definition: _Definition) -> bytes:
    with lakehouse.lock("publish", shared=True):  # no build changes the marts between two queries
        fingerprint = _fingerprint(lakehouse)
        content, figures = _content(lakehouse, definition)
    return _page(lakehouse.settings, fingerprint, content, figures)


def read_calendar(cursor: Cursor, measures: Measures, pages: Pages) -> Calendar:
    """The months of the marts, and which of them are whole. `cursor` is one of bi_reader."""
    cursor.execute(days_sql(measures, pages))
    return calendar_of({str(month): days for month, days in cursor.fetchall()}, pages.calendar.full_from)


def _definition(settings: Settings) -> _Definition | None:
    measures = read_measures(settings.report_dir, settings.source)
    pages = read_pages(settings.report_dir, measures) if measures else None
    return _Definition(measures, pages) if measures and pages else None


def _fingerprint_of(path: Path) -> str | None:
    """The fingerprint in a report; None if there is no report."""
    try:
        with path.open("rb") as file:
            found = _FINGERPRINT.search(file.read(_HEAD_BYTES))
    except FileNotFoundError:
        return None
    return found[1].decode() if found else None


def _fingerprint(lakehouse: Lakehouse) -> str:
    """Changes with the marts, the counts of the files, report/, this package, and the packages that it draws with."""
    digest = hashlib.sha256(repr(sorted(drawing.versions().items())).encode())
    for folder in (lakehouse.settings.report_dir, Path(__file__).parent):
        for file in sorted(
            path for path in folder.rglob("*") if path.suffix in (".yml", ".sql", ".html", ".css", ".js", ".py")
        ):
            digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    digest.update(repr(_marts_state(lakehouse)).encode())
    return digest.hexdigest()[:24]


def _marts_state(lakehouse: Lakehouse) -> tuple[Any, ...]:
    source = lakehouse.contract.source
    state = lakehouse.one(
        "select load_id, project_hash, status, finished_at from ops.marts_state where source = %s", source
    )
    counted = lakehouse.one(
        "select count(*), max(loaded_at), sum(loaded) from marts.data_quality where source = %s",
        source,
        role="transformer",
    )
    return (state, counted)


def _content(lakehouse: Lakehouse, definition: _Definition) -> tuple[dict[str, Any], list[Cube]]:
    """What the page knows beside its figures, and the figures."""
    measures, pages = definition.measures, definition.pages
    with lakehouse.cursor("bi_reader") as cursor:
        calendar = read_calendar(cursor, measures, pages)
        batches = _batches(cursor, lakehouse.contract.source)
    members = Members(measures)
    asked = queries(measures, pages, calendar)
    with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="report") as pool:
        drawn = pool.submit(drawing.specifications, lakehouse.settings, pages, measures)
        insights = pool.submit(_insights, lakehouse, period_of(calendar))
        answers = list(pool.map(lambda query: _answer(lakehouse, query), asked))
        specifications = drawn.result()
    split = [read_rows(query, rows, members) for query, rows in zip(asked, answers, strict=True)]
    figures = [cube for query, rows in zip(asked, split, strict=True) for cube in cubes(query, rows, members)]
    for month in calendar.months:
        members.add(pages.calendar.dimension, month, None)
    content = {
        "title": pages.title,
        "source": lakehouse.contract.source,
        "workspace": lakehouse.settings.workspace_name,
        "measures": {
            measure.name: _described({**asdict(measure), "counts": counted_dimension(measures, measure)})
            for measure in measures.measures
        },
        "dimensions": {
            dimension.name: {
                "label": dimension.label,
                "description": dimension.description,
                "sql": dimension.sql,
                "members": [None if value is None else dimension.shown(value) for value in members.of(dimension.name)],
                "values": members.of(dimension.name),
            }
            for dimension in measures.dimensions
        }
        | {PERIOD: {"label": "Period", "values": members.of(PERIOD)}},
        "relations": {
            relation.name: {"grain": relation.grain, "sql": relation.sql, "dimensions": relation.dimensions}
            for relation in measures.relations
        },
        "calendar": _calendar(calendar, pages.calendar.dimension),
        "smallSample": pages.small_sample,
        "filters": [each.model_dump() for each in pages.filters],
        "pages": [page.model_dump(exclude_none=True) for page in pages.pages],
        "specifications": specifications,
        "batches": batches,
        "insights": insights.result(),
    }
    return content, figures


def _insights(lakehouse: Lakehouse, period: Period | None) -> dict[str, Any] | None:
    """The findings with their figures filled in; None if report/ has none for the source."""
    folder = lakehouse.settings.report_dir
    if not (folder / FINDINGS).is_file():
        return None
    found = read_insights(folder)
    if found.source != lakehouse.contract.source:
        return None
    with lakehouse.cursor("bi_reader") as cursor:
        cursor.execute(_ONE_CORE)
        # The questions that led to no finding take as long as the others: docs/insights.md has their answers.
        found = found.model_copy(update={"not_found": ()})
        answers = answer(cursor, found, folder, period)
    return {
        "period": answers.period.text if answers.period else None,
        "method": answers.method,
        "findings": [_finding(each) for each in answers.findings],
        "notShown": [asdict(each) for each in answers.not_shown],
    }


def _finding(answered: Answered) -> dict[str, Any]:
    table = answered.table
    return {
        "name": answered.name,
        "texts": dict(answered.texts),
        "sql": answered.sql,
        "table": {
            "title": table.title,
            "columns": table.columns,
            "rows": [
                [value if isinstance(value, int | float | str | None) else str(value) for value in row]
                for row in table.rows
            ],
        }
        if table
        else None,
    }


def _answer(lakehouse: Lakehouse, query: Query) -> list[tuple[Any, ...]]:
    with lakehouse.cursor("bi_reader") as cursor:
        cursor.execute(_ONE_CORE)
        cursor.execute(query.sql)
        return cursor.fetchall()


def _described(measure: dict[str, Any]) -> dict[str, Any]:
    """A measure as the page needs it."""
    return {
        key: value for key, value in measure.items() if key not in ("dax", "table") and value not in (None, (), False)
    }


def _calendar(calendar: Calendar, dimension: str) -> dict[str, Any]:
    numbers = {months: number for number, months in enumerate(calendar.sets)}
    return {
        "dimension": dimension,
        "months": calendar.months,
        "full": calendar.full,
        "periods": [
            {
                "id": period.id,
                "kind": period.kind,
                "months": period.months,
                "set": numbers.get(period.months),
                "comparable": {"months": period.comparable, "set": numbers.get(period.comparable)},
                "before": {"months": period.before, "set": numbers.get(period.before)},
            }
            for period in calendar.periods
        ],
        "sets": {months[0]: numbers[months] for months in calendar.sets if len(months) == 1},
    }


def _batches(cursor: Cursor, source: str) -> dict[str, Any]:
    """What the figures rest on: per table of the source its batches and records, and when the last one was loaded."""
    cursor.execute(
        "select table_name, count(*), min(batch_date), max(batch_date), max(loaded_at), sum(records)::bigint, "
        "sum(rejected)::bigint, sum(quarantined)::bigint, sum(loaded)::bigint, "
        "sum(case when is_held then 1 else 0 end) from marts.data_quality "
        "where source = %s group by table_name order by table_name",
        (source,),
    )
    names = ("table", "batches", "first", "last", "loadedAt", "records", "rejected", "quarantined", "loaded", "held")
    tables = [dict(zip(names, map(_plain, row), strict=True)) for row in cursor.fetchall()]
    cursor.execute("select count(distinct batch_date) from marts.data_quality where source = %s", (source,))
    (batches,) = cursor.fetchone() or (0,)
    return {"count": batches, "tables": tables}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return value if isinstance(value, int | str | None) else str(value)


def _page(settings: Settings, fingerprint: str, content: dict[str, Any], figures: list[Cube]) -> bytes:
    """The template with style, scripts and data in it, and a policy that allows these scripts and nothing else."""
    html, css = ((settings.report_dir / name).read_text(encoding="utf-8") for name in ("page.html", "page.css"))
    js = "\n".join((settings.report_dir / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    vega = drawing.scripts(settings).replace("</script", "<\\/script")
    blocks = []
    for number, cube in enumerate(figures):
        head = {**asdict(cube.shape), "rows": len(cube.columns[0]) if cube.columns else 0, "block": f"cube-{number}"}
        content.setdefault("cubes", []).append(head)
        blocks.append(f'<script type="text/plain" id="cube-{number}">{_packed(cube.columns)}</script>')
    data = json.dumps(content, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
    allowed = " ".join(f"'sha256-{_sha256(script)}'" for script in (vega, js))
    replaced = {
        "title": content["title"],
        "fingerprint": fingerprint,
        "policy": f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'",
        "style": css,
        "data": data,
        "cubes": "\n".join(blocks),
        "vega": vega,
        "script": js,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: str(replaced[match[1]]), html).encode()


def _packed(columns: Any) -> str:
    """JSON, compressed, in base64. The same figures give the same text."""
    content = json.dumps(columns, separators=(",", ":")).encode()
    return base64.b64encode(gzip.compress(content, 6, mtime=0)).decode()


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
