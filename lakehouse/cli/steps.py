"""run, land, bronze, silver, load, marts: the commands that run all steps or one of them."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.shared import (
    BatchDate,
    ReplaceToday,
    Table,
    Workspace,
    as_called_here,
    console,
    day_of,
    error_console,
    open_workspace,
    warn,
)

if TYPE_CHECKING:
    from lakehouse.settings import Settings
    from lakehouse.steps import Observer, StepName

Paths = Annotated[list[Path] | None, typer.Argument(help="Folders, CSV files (also .csv.gz) or a zip of them.")]
FullRefresh = Annotated[bool, typer.Option("--full-refresh", help="Build every mart from scratch.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for command in (run, land, bronze, silver, load, accept, marts):
        app.command(rich_help_panel="The pipeline")(command)


def run(
    paths: Paths = None,
    batch_date: BatchDate = None,
    replace: ReplaceToday = False,
    demo: Annotated[
        bool, typer.Option("--demo", help="Generate a small source and run it, in a workspace of its own.")
    ] = False,
    workspace: Workspace = None,
    full_refresh: FullRefresh = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="Do not write the report at the end.")] = False,
) -> None:
    """Land the given files, then run every step that is still due; write the report at the end.

    Examples:

        lakehouse run ~/exports/2018-01-05

        lakehouse run brazilian-ecommerce.zip

        lakehouse run --demo
    """
    from lakehouse.cli.progress import watching
    from lakehouse.cli.report import write_at_the_end
    from lakehouse.cli.results import print_report
    from lakehouse.landing import step as landing
    from lakehouse.pipeline import arrivals, runs
    from lakehouse.pipeline import run as pipeline
    from lakehouse.sample_data import demo as demo_source
    from lakehouse.workspaces import remember

    if demo and paths:
        raise typer.BadParameter("either PATHS or --demo, not both")
    lakehouse = open_workspace(workspace or ("demo" if demo else None), otherwise="main" if paths else None)
    with watching(error_console) as observer:
        _fetch_jars(lakehouse.settings, observer)
        with runs.recorded(lakehouse, "run") as record:
            if demo:
                paths = demo_source.deliveries(lakehouse, observer.note)
            if paths:
                observer.note("Checking the delivery")
                landing.land(lakehouse, paths, day_of(batch_date), log=warn, replace_today=replace)
            remember(lakehouse.settings)
            with arrivals.claimed_by_command(lakehouse):
                report = pipeline.run(lakehouse, observer, full_refresh=full_refresh)
            record(report)
        page = None if no_report else write_at_the_end(lakehouse, observer)
    print_report(console, lakehouse, report, page)
    if report.has_held:
        pipeline.stop_if_held(lakehouse)


def land(
    paths: Paths = None,
    batch_date: BatchDate = None,
    replace: ReplaceToday = False,
    remove: Annotated[str | None, typer.Option("--remove", help="Withdraw this table from the batch.")] = None,
    workspace: Workspace = None,
) -> None:
    """Check a delivery as a whole, then accept it or refuse it with all its faults.

    Examples:

        lakehouse land ~/exports/2018-01-05

        lakehouse land orders.csv --batch-date 2018-01-05

        lakehouse land --remove orders --batch-date 2018-01-05
    """
    from lakehouse.landing import step as landing
    from lakehouse.workspaces import remember

    lakehouse = open_workspace(workspace, otherwise="main" if paths else None)
    day = day_of(batch_date)
    if remove is not None:
        if day is None or paths:
            raise typer.BadParameter("--remove TABLE goes with --batch-date, and without PATHS")
        landing.remove(lakehouse, day, remove)
        text = f"{remove} is withdrawn from batch {day}; `lakehouse run` updates everything downstream."
        console.print(as_called_here(text), soft_wrap=True)
        return
    if not paths:
        raise typer.BadParameter("say what to land: folders, CSV files or a zip")
    for landed in landing.land(lakehouse, paths, day, log=warn, replace_today=replace):
        changed = ", ".join(landed.changed) or "nothing new"
        console.print(f"{landed.manifest.batch_date}  {changed}", soft_wrap=True)
    remember(lakehouse.settings)


def bronze(table: Table = None, batch_date: BatchDate = None, workspace: Workspace = None) -> None:
    """Landing -> bronze, for every table and batch where it is due.

    Example:

        lakehouse bronze --table orders
    """
    _one_step("bronze", table, day_of(batch_date), workspace)


def silver(table: Table = None, batch_date: BatchDate = None, workspace: Workspace = None) -> None:
    """Bronze -> silver and quarantine, for every table and batch where it is due.

    Example:

        lakehouse silver --batch-date 2018-01-05
    """
    _one_step("silver", table, day_of(batch_date), workspace)


def load(table: Table = None, batch_date: BatchDate = None, workspace: Workspace = None) -> None:
    """Silver -> warehouse, for every table and batch where it is due; then every record is counted.

    Example:

        lakehouse load
    """
    _one_step("load", table, day_of(batch_date), workspace)


def accept(
    table: Annotated[str, typer.Argument(help="The held table.")],
    batch_date: BatchDate = None,
    workspace: Workspace = None,
) -> None:
    """Let a held table of a batch be loaded as it is: without its bad records, however many they are.

    A later delivery of the batch is judged again.

    Example:

        lakehouse accept orders --batch-date 2018-01-05
    """
    from lakehouse import warehouse
    from lakehouse.load import held

    day = day_of(batch_date)
    if day is None:
        raise typer.BadParameter("say which batch: --batch-date")
    lakehouse = open_workspace(workspace)
    of_contract = lakehouse.contract.table(table)
    warehouse.prepare(lakehouse.settings)
    accepted = held.accept(lakehouse, of_contract, day)
    text = f"{table} of {day} is accepted, though {accepted}; `lakehouse run` loads the others."
    console.print(as_called_here(text), soft_wrap=True)


def marts(workspace: Workspace = None, full_refresh: FullRefresh = False) -> None:
    """Warehouse -> star schema, if anything was loaded since the last build.

    Example:

        lakehouse marts --full-refresh
    """
    from lakehouse import warehouse
    from lakehouse.cli.progress import watching
    from lakehouse.marts import step as build
    from lakehouse.pipeline import reconcile

    lakehouse = open_workspace(workspace)
    warehouse.prepare(lakehouse.settings)
    with watching(error_console) as observer:
        built = build.run(
            lakehouse,
            full_refresh=full_refresh,
            log=lambda node: observer.model(node.name, node.rows_written, node.seconds),
        )
        if reconcile.facts_are_due(lakehouse):
            reconcile.facts(lakehouse)
    console.print(f"{len(built.models)} models built in {built.seconds:.1f} s." if built.done else "Nothing new.")


def _one_step(step: StepName, table: str | None, batch_date: date | None, workspace: str | None) -> None:
    from lakehouse import warehouse
    from lakehouse.cli.progress import watching
    from lakehouse.load import step as loading
    from lakehouse.pipeline import reconcile
    from lakehouse.pipeline import run as pipeline

    lakehouse = open_workspace(workspace)
    if table is not None:
        lakehouse.contract.table(table)
    warehouse.prepare(lakehouse.settings)
    loading.ensure_tables(lakehouse)
    with watching(error_console) as observer:
        if step != "bronze":
            _fetch_jars(lakehouse.settings, observer)
        results = pipeline.run_step(lakehouse, step, observer, table=table, batch_date=batch_date)
        if step == "load":
            reconcile.tables(lakehouse, results)
    done = [result for result in results if result.done]
    console.print(f"{step}: {len(done)} tables done." if done else f"{step}: nothing to do.")
    if step == "silver" or any(result.is_held for result in results):
        pipeline.stop_if_held(lakehouse, table=table, batch_date=batch_date)


def _fetch_jars(settings: Settings, observer: Observer) -> None:
    from lakehouse.spark.jars import ensure_jars, needed_parts

    if needed_parts(settings):
        observer.note("Looking for the jars of Spark (the first time they are fetched)")
        ensure_jars(settings)
