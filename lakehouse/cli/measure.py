"""measure: a figure of the report, split and filtered as asked."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakehouse.cli.inspect import print_rows
from lakehouse.cli.shared import Format, Output, Workspace, console

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from lakehouse.report.measures import Dimension, Measure, Measures
    from lakehouse.settings import Settings

Row = tuple[Any, ...]
LISTED_VALUES = 30  # at most, in a message


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel="Looking at it")(measure)


def measure(
    name: Annotated[str | None, typer.Argument(help="A measure, in any case; without it, all are listed.")] = None,
    by: Annotated[
        list[str] | None, typer.Option("--by", metavar="DIMENSION", help="Split the figure by this; repeatable.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where", metavar="DIMENSION=VALUE", help="Keep only this value; repeatable, also for one dimension."
        ),
    ] = None,
    show_sql: Annotated[bool, typer.Option("--sql", help="Print the query in place of its answer.")] = False,
    output: Output = Format.TABLE,
    workspace: Workspace = None,
) -> None:
    """Show a figure of the report with its definition, or list all measures (docs/measures.md describes them).

    Examples:

        lakehouse measure

        lakehouse measure "late share" --by month --where customer_state=RJ

        lakehouse measure revenue --by product_category --format csv > revenue.csv
    """
    from lakehouse import warehouse
    from lakehouse.report.figures import figures_sql
    from lakehouse.workspaces import load_settings

    settings = load_settings(workspace=workspace)
    measures = _measures(settings)
    if name is None:
        if by or where or show_sql:
            raise typer.BadParameter("--by, --where and --sql need the name of a measure")
        _list(measures, output)
        return
    chosen = measures.measure(name)
    split = [measures.dimension(each) for each in by or ()]
    filters = _filters(measures, where or ())
    query = figures_sql(measures, [chosen], split, filters)
    if show_sql:
        sys.stdout.write(f"{query}\n")
        return
    warehouse.prepare(settings)
    _check_values(settings, measures, chosen, filters)
    rows = _answer(settings, query)
    if output is not Format.TABLE:
        print_rows((*(each.name for each in split), chosen.column), rows, output)
        return
    total = rows if not split else _answer(settings, figures_sql(measures, [chosen], (), filters))
    _print_figure(chosen, total[0][0], filters)
    if split:
        console.print(_groups(chosen, split, rows), soft_wrap=not console.is_terminal)


def _measures(settings: Settings) -> Measures:
    from lakehouse.errors import ReportError
    from lakehouse.report.measures import FILE, read_measures

    measures = read_measures(settings.report_dir, settings.source)
    if measures is None:
        raise ReportError(
            f"The source {settings.source} has no measures: {settings.report_dir / FILE} is missing, or is another "
            "source's.\nAsk the marts directly (`lakehouse sql`), or write the file (docs/measures.md)."
        )
    return measures


def _filters(measures: Measures, given: Sequence[str]) -> dict[str, list[str]]:
    """Dimension -> the values to keep."""
    filters: dict[str, list[str]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"{text} is not DIMENSION=VALUE", param_hint="--where")
        filters.setdefault(measures.dimension(name.strip()).name, []).append(value.strip())
    return filters


def _check_values(
    settings: Settings, measures: Measures, chosen: Measure, filters: Mapping[str, Sequence[str]]
) -> None:
    """Refuse a value that no row has, which would make the figure 0 or leave it empty without a word."""
    from difflib import get_close_matches

    from lakehouse.errors import ReportError
    from lakehouse.report.figures import values_sql

    for name, values in filters.items():
        dimension = measures.dimension(name)
        there = [value for (value,) in _answer(settings, values_sql(measures, chosen, dimension)) if value is not None]
        known = {dimension.shown(value).casefold(): dimension.shown(value) for value in there}
        for value in values:
            if value in there or value.casefold() in known:
                continue
            close = [known[each] for each in get_close_matches(value.casefold(), known, n=3, cutoff=0.5)]
            if not close and len(known) <= LISTED_VALUES:
                close = sorted(known.values())
            command = f"`lakehouse measure '{chosen.name}' --by {name}`"
            hint = f"use {', '.join(close)}" if close else f"{command} lists those that are there"
            raise ReportError(f"{chosen.name} has no row with {name} {value!r}: {hint}.")


def _answer(settings: Settings, query: str) -> list[Row]:
    """The rows, read as Power BI reads them. Raises ReportError if the marts lack what the query reads."""
    from psycopg2 import errors

    from lakehouse import warehouse
    from lakehouse.errors import ReportError, WarehouseError

    try:
        with warehouse.cursor(settings, "bi_reader") as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())
    except WarehouseError as error:
        if isinstance(error.__cause__, errors.UndefinedTable | errors.UndefinedColumn):
            lacks = str(error.__cause__).splitlines()[0]
            raise ReportError(
                f"The marts of the workspace {settings.workspace_name} are not built, or are older than the measures "
                f"({lacks}).\nBuild them: `lakehouse marts` after a load, or `lakehouse run`."
            ) from error
        raise


def _list(measures: Measures, output: Format) -> None:
    rows = [
        (each.folder, each.name, each.unit, each.description, " ".join(d.name for d in measures.dimensions_of(each)))
        for folder in measures.folders().values()
        for each in folder
    ]
    if output is not Format.TABLE:
        print_rows(("folder", "measure", "unit", "description", "dimensions"), rows, output)
        return
    from rich.table import Table

    for folder, members in measures.folders().items():
        console.print(folder, style="bold")
        table = Table(box=None, show_header=False, padding=(0, 2))
        table.add_column(no_wrap=True, min_width=max(len(each.name) for each in measures.measures if not each.hidden))
        table.add_column()
        for each in members:
            table.add_row(each.name, each.description.partition(". ")[0].rstrip(".:"))
        console.print(table, soft_wrap=not console.is_terminal)
    console.print("\nSplit and filter by", style="bold")
    console.print(f"  {', '.join(each.name for each in measures.dimensions)}", soft_wrap=not console.is_terminal)


def _print_figure(chosen: Measure, figure: Any, filters: Mapping[str, Sequence[str]]) -> None:
    from rich.text import Text

    from lakehouse.report.figures import as_text
    from lakehouse.text import printable

    text = Text.assemble((chosen.name, "bold"), "  ", (as_text(figure, chosen) or "no figure: no such rows", "bold"))
    kept = [f"{name} {' or '.join(values)}" for name, values in filters.items()]
    text.append(f"  (only {printable('; '.join(kept))})" if kept else "", style="dim")
    text.append(f"\n{chosen.description}", style="dim")
    if chosen.numerator:
        text.append(f"\n{chosen.numerator} / {chosen.denominator}", style="dim")
    console.print(text, soft_wrap=not console.is_terminal)


def _groups(chosen: Measure, split: Sequence[Dimension], rows: Sequence[Row]) -> Table:
    """A row per group, with the figure as its format says."""
    from rich.table import Table
    from rich.text import Text

    from lakehouse.report.figures import as_text
    from lakehouse.text import printable

    table = Table(box=None, padding=(0, 2), header_style="dim")
    for dimension in split:
        table.add_column(dimension.label)
    table.add_column(chosen.name, justify="right")
    for *group, figure in rows:
        shown = ["unknown" if v is None else d.shown(v) for d, v in zip(split, group, strict=True)]
        table.add_row(*(Text(printable(each)) for each in shown), as_text(figure, chosen))
    return table
