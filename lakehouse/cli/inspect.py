"""status, quarantine, sql: the commands that change nothing."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakehouse.cli.results import print_status, rows_table
from lakehouse.cli.shared import (
    BatchDate,
    Format,
    Output,
    Table,
    Workspace,
    console,
    day_of,
    error_console,
    open_workspace,
    warn,
)

if TYPE_CHECKING:
    from lakehouse.settings import Role


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for command in (status, quarantine, sql):
        app.command(rich_help_panel="Looking at it")(command)


def status(
    output: Output = Format.TABLE,
    warnings: Annotated[bool, typer.Option("--warnings", help="Show values kept with a warning, by reason.")] = False,
    workspace: Workspace = None,
) -> None:
    """Show the batches, what is pending and why, the last run and the records of every table.

    Examples:

        lakehouse status

        lakehouse status --format json
    """
    from lakehouse.pipeline.status import read_status

    lakehouse = open_workspace(workspace)
    found = read_status(lakehouse)
    if warnings:
        print_rows(("table", "reason", "rows"), found.warnings, output, "Kept with a warning")
    elif output is Format.JSON:
        sys.stdout.write(json.dumps(found.as_json(), indent=2, default=_plain) + "\n")
    elif output is Format.CSV:
        print_rows(found.BATCH_COLUMNS, found.batch_rows(), output)
    else:
        print_status(console, found)


def quarantine(
    table: Table = None,
    batch_date: BatchDate = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Only reasons that contain this text.")] = None,
    superseded: Annotated[
        bool, typer.Option("--superseded", help="Also show valid rows that a later one replaced.")
    ] = False,
    counts: Annotated[bool, typer.Option("--counts", help="Count the records per table and reason.")] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Show at most this many (tables: 50).")] = None,
    output: Output = Format.TABLE,
    workspace: Workspace = None,
) -> None:
    """Show the bad records (rejected or quarantined) with their reasons; none of them reached the warehouse.

    Examples:

        lakehouse quarantine --counts

        lakehouse quarantine --table orders --reason "not a valid timestamp"

        lakehouse quarantine --format csv > bad_records.csv
    """
    from collections import Counter
    from itertools import islice

    from lakehouse import warehouse
    from lakehouse.lake.bad_records import bad_records
    from lakehouse.landing.manifest import read_manifests
    from lakehouse.pipeline.pending import pending_steps

    lakehouse = open_workspace(workspace)
    warehouse.prepare(lakehouse.settings)
    for unit in pending_steps(lakehouse, read_manifests(lakehouse), table):
        if unit.is_held and day_of(batch_date) in (None, unit.batch_date):
            warn(str(unit))
    tables = [lakehouse.contract.table(table)] if table else lakehouse.contract.tables
    found = bad_records(
        lakehouse.bronze, lakehouse.silver, tables, batch_date=day_of(batch_date), reason=reason, superseded=superseded
    )
    if counts:
        per_reason = Counter((r.stage, r.table, text) for r in found for text in r.reasons)
        counted = [(*key, count) for key, count in sorted(per_reason.items(), key=lambda item: (-item[1], item[0]))]
        print_rows(("stage", "table", "reason", "records"), counted, output, "Bad records")
        return
    if limit is None and output is Format.TABLE:
        limit = 50
    records = list(islice(found, limit + 1 if limit else None))
    columns = ("stage", "table", "batch_date", "file", "row", "reasons", "record")
    shown = records[:limit]
    rows = [(r.stage, r.table, r.batch_date, r.file, r.row, "; ".join(r.reasons), r.record) for r in shown]
    print_rows(columns, rows, output, "Bad records")
    if len(records) > len(shown):
        error_console.print(f"Only the first {limit} are shown: --limit, --format csv or --counts.", style="dim")


def sql(
    query: Annotated[str, typer.Argument(help="One statement.")],
    output: Output = Format.TABLE,
    role: Annotated[str, typer.Option("--role", help="bi_reader, transformer or loader.")] = "bi_reader",
    workspace: Workspace = None,
) -> None:
    """Query the warehouse, by default as Power BI's read-only role.

    Examples:

        lakehouse sql "select order_status, count(*) from marts.fct_orders group by order_status"

        lakehouse sql "select * from marts.dim_product" --format csv > products.csv
    """
    from lakehouse import warehouse
    from lakehouse.workspaces import load_settings

    if role not in ("bi_reader", "transformer", "loader"):
        raise typer.BadParameter("the role is bi_reader, transformer or loader")
    as_role: Role = role  # type: ignore[assignment]
    settings = load_settings(workspace=workspace)
    warehouse.prepare(settings)
    with warehouse.cursor(settings, as_role) as cursor:
        cursor.execute(query)
        if cursor.description is None:
            error_console.print(cursor.statusmessage or "done", style="dim")
            return
        print_rows(tuple(column.name for column in cursor.description), cursor.fetchall(), output)


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]], output: Format, title: str | None = None) -> None:
    """Print rows to stdout: as a table for people, as CSV with a header, or as a JSON list of objects.

    Both keep a numeric exact. In CSV nothing between two commas is null, and `""` is the empty text.
    """
    if output is Format.TABLE:
        console.print(rows_table(title, tuple(columns), list(rows)), soft_wrap=not console.is_terminal)
    elif output is Format.CSV:
        for row in (columns, *rows):
            sys.stdout.write(",".join(map(_csv_field, row)) + "\n")
    else:
        objects = [dict(zip(columns, row, strict=True)) for row in rows]
        sys.stdout.write(f"{_json(objects)}\n")


def _csv_field(value: Any) -> str:
    """As Postgres' COPY writes it. Python's csv writes null and the empty text alike."""
    if value is None:
        return ""
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    if not text or any(special in text for special in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _json(value: Any, indent: str = "\n") -> str:
    """The value as JSON, with decimals as exact numbers, which Python's json would only write as floats."""
    if isinstance(value, Decimal | float):
        return f"{value:f}" if isinstance(value, Decimal) and value.is_finite() else _float(float(value))
    inner = f"{indent}  "
    if isinstance(value, dict):
        items = [f"{json.dumps(name, ensure_ascii=False)}: {_json(each, inner)}" for name, each in value.items()]
        return "{" + inner + f",{inner}".join(items) + indent + "}" if items else "{}"
    if isinstance(value, list | tuple):
        return "[" + inner + f",{inner}".join(_json(each, inner) for each in value) + indent + "]" if value else "[]"
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _float(value: float) -> str:
    """JSON has no word for infinity and for what is no number, so they become text."""
    return json.dumps(value if math.isfinite(value) else str(value))


def _plain(value: Any) -> Any:
    """Convert types that JSON lacks: decimals become numbers; dates and all other types become text."""
    if isinstance(value, Decimal):
        return float(value) if value % 1 else int(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)
