"""A run's report or a workspace's status -> text for people: records, marts, figures, and how to query them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lakehouse.cli.shared import as_called_here, command, password_command
from lakehouse.text import printable

if TYPE_CHECKING:
    from lakehouse.lakehouse import Lakehouse
    from lakehouse.pipeline.run import RunReport
    from lakehouse.pipeline.status import Status

NOTHING_LANDED = "Nothing has been landed yet: `lakehouse run PATH`, or `lakehouse run --demo`"
MOST_REASONS = 3


def print_report(
    console: Console, lakehouse: Lakehouse, report: RunReport, page: tuple[str, str] | None = None
) -> None:
    """Print what a finished run did. `page`: a line about the report with the figures, as what and where."""
    from lakehouse.pipeline import summary

    console.print()
    if not _print_records(console, lakehouse):
        console.print(as_called_here(NOTHING_LANDED), soft_wrap=True)
        return
    _print_marts(console, lakehouse)
    for figure in summary.figures(lakehouse):
        console.print(rows_table(figure.title, figure.columns, figure.rows))
        console.print()
    _print_reasons(console, lakehouse, report)
    _print_what_next(console, lakehouse, page)
    _print_time(console, report)


def _print_records(console: Console, lakehouse: Lakehouse) -> bool:
    """Print the records per table and stage; return False if there are none."""
    from lakehouse.pipeline import summary
    from lakehouse.warehouse.counts import STAGES

    records = summary.records_per_table(lakehouse)
    if not records:
        return False
    headers = ["records in file" if stage == "records" else stage for stage in STAGES]
    rows = [(name, *(counts[stage] for stage in STAGES)) for name, counts in records]
    rows.append(("total", *(sum(counts[stage] for _, counts in records) for stage in STAGES)))
    table = rows_table(f"{lakehouse.contract.title}: every record, stage by stage", ("table", *headers), rows)
    table.rows[-2].end_section = True
    console.print(table)
    console.print("  records in file = rejected + bronze", style="dim")
    console.print("  bronze = duplicates + superseded + quarantined + silver;  silver = raw", style="dim")
    console.print()
    return True


def _print_marts(console: Console, lakehouse: Lakehouse) -> None:
    from lakehouse.pipeline import summary

    marts = summary.rows_per_mart(lakehouse)
    if marts:
        console.print(rows_table("Marts", ("table", "rows"), marts))
        console.print()


def _print_reasons(console: Console, lakehouse: Lakehouse, report: RunReport) -> None:
    """Print why most of this run's bad records are bad, each reason with an example."""
    from lakehouse.pipeline import summary

    found = summary.commonest_reasons(lakehouse, report.results, MOST_REASONS)
    if found:
        rows = [(table, each.text, each.records, each.example, each.row) for table, each in found]
        console.print(rows_table("Why records are bad", ("table", "reason", "records", "for example", "row"), rows))
        console.print()


def _print_what_next(console: Console, lakehouse: Lakehouse, page: tuple[str, str] | None) -> None:
    from lakehouse import warehouse
    from lakehouse.pipeline import summary

    records = summary.records_per_table(lakehouse)
    stopped = sum(counts["rejected"] + counts["quarantined"] for _, counts in records)
    lines = [page] if page else []
    if stopped:
        lines.append((f"{stopped:,} bad records", f"{command()} quarantine"))
    warned = summary.warnings(lakehouse, [name for name, _ in records])
    if warned:
        lines.append((f"{sum(rows for *_, rows in warned):,} suspicious values", f"{command()} status --warnings"))
    lines.append(
        ("ask the marts", as_called_here('`lakehouse sql "select * from marts.fct_orders limit 5"`').strip("`"))
    )
    lines.append(("psql, Power BI", warehouse.uri(lakehouse.settings, "bi_reader")))
    lines.append(("password of bi_reader", password_command(lakehouse.settings, "bi_reader")))
    for what, how in lines:
        console.print(f"  {what:<36} [cyan]{how}[/cyan]", soft_wrap=True)
    console.print()


def _print_time(console: Console, report: RunReport) -> None:
    from lakehouse.pipeline.runs import seconds_per_step

    if not report.did_something:
        console.print(f"Nothing new: everything landed is in the marts ({report.seconds:.1f} s).", style="green")
        return
    print_warnings(console, report.marts.warnings)
    parts = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in seconds_per_step(report).items())
    console.print(f"Done in {report.seconds:.1f} s; working time: {parts}.", style="green")


def print_warnings(console: Console, warnings: Sequence[tuple[str, int]]) -> None:
    """List the dbt tests that warn. Such tests do not stop a build."""
    if warnings:
        console.print(rows_table("dbt tests that warn", ("test", "rows against it"), warnings))
        console.print()


def print_status(console: Console, status: Status) -> None:
    """Print the status for people."""
    from lakehouse.warehouse.counts import STAGES

    console.print(f"Workspace [bold]{status.workspace}[/bold], source [bold]{status.source}[/bold]\n")
    if status.without_landing:
        days = len({day for _, day in status.without_landing})
        console.print(
            f"The warehouse holds tables of {days} batches that are no longer in landing. Land them again, or "
            f"remove the workspace: `{command()} clean --workspace {status.workspace}`\n",
            style="yellow",
        )
    if not status.batches:
        console.print(as_called_here(NOTHING_LANDED), soft_wrap=True)
        return
    console.print(rows_table("Batches", status.BATCH_COLUMNS, status.batch_rows()))
    console.print()
    if status.records:
        rows = [(table, *(counts[stage] for stage in STAGES)) for table, counts in status.records]
        console.print(rows_table("Records", ("table", *STAGES), rows))
        console.print()
    waiting = [(u.batch_date, u.table, u.step, u.why) for u in status.pending]
    if status.marts_pending:
        waiting.append((None, "all", "marts", status.marts_pending))  # type: ignore[arg-type]
    if waiting:
        console.print(rows_table("Pending", ("batch_date", "table", "from step", "why"), waiting))
        if status.marts_pending or not all(unit.is_held for unit in status.pending):
            console.print(f"\n  {command()} run  [dim]processes it[/dim]")
        # Several batches may wait for the same one.
        held = (f"{unit.table} --batch-date {unit.held_batch}" for unit in status.pending if unit.is_held)
        for of_batch in dict.fromkeys(held):
            console.print(f"\n  {command()} quarantine --counts --table {of_batch}  [dim]shows why it is held[/dim]")
            console.print(f"  {command()} accept {of_batch}  [dim]lets it be loaded as it is[/dim]")
    else:
        console.print("Everything landed is in the marts.", style="green")
    if status.ends_open:
        day, table = status.ends_open[-1]
        console.print(
            f"{len(status.ends_open)} files do not end with a newline, so their last records may be cut off; the last "
            f"one is {table} of {day}.",
            style="dim",
        )
    if status.last_run:
        run = status.last_run
        console.print(
            f"Last run: {run.status}, {run.finished_at:%Y-%m-%d %H:%M:%S} UTC, "
            f"{run.rows_loaded:,} rows loaded in {run.seconds:.1f} s.",
            style="red" if run.status == "failed" else None,
        )
        if error := run.summary.get("error"):
            console.print(error, style="red", markup=False)


def rows_table(title: str | None, columns: tuple[str, ...], rows: Any) -> Table:
    """Format rows for people: numbers right-aligned with separators, a dot for zero, nothing for null.

    Text is shown with escapes for what cannot be seen: a value of the data must not control the terminal.
    """
    table = Table(title=title, title_style="bold", title_justify="left", box=None, padding=(0, 2), header_style="dim")
    numeric = [all(isinstance(row[i], int | float | Decimal | None) for row in rows) for i in range(len(columns))]
    for name, is_number in zip(columns, numeric, strict=True):
        table.add_column(Text(printable(name)), justify="right" if is_number and rows else "left")
    for row in rows:
        # Not a str, in which rich would read [words in brackets] as its markup.
        table.add_row(*(Text(printable(_cell(value))) for value in row))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | str | date):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}" if value else "·"
    return f"{value:,}" if isinstance(value, float | Decimal) else str(value)
