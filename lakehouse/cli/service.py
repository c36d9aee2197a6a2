"""start, stop, doctor, maintain, clean: the commands that maintain an installation."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.inspect import print_rows
from lakehouse.cli.results import print_warnings
from lakehouse.cli.shared import Format, Output, Workspace, console, error_console, open_workspace, password_command

if TYPE_CHECKING:
    from lakehouse.settings import Settings

NAMED = 20  # `clean` names at most this many of the files that stay


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for command in (start, stop, doctor, maintain, clean):
        app.command(rich_help_panel="Keeping it in order")(command)


def start(workspace: Workspace = None) -> None:
    """Fetch the jars, start the embedded warehouse, prepare the workspace's database; other commands do it as needed.

    Example:

        lakehouse start
    """
    from lakehouse import warehouse
    from lakehouse.spark.jars import ensure_jars
    from lakehouse.workspaces import load_settings

    settings = load_settings(workspace=workspace)
    ensure_jars(settings)
    warehouse.prepare(settings)
    console.print(f"Ready: {warehouse.uri(settings, 'bi_reader')}", soft_wrap=True)
    console.print(f"Password of bi_reader: {password_command(settings, 'bi_reader')}", soft_wrap=True)


def stop() -> None:
    """Stop the embedded warehouse; its data stays.

    Example:

        lakehouse stop
    """
    from lakehouse.warehouse.embedded import server as embedded_postgres

    settings = _embedded_only("stop")
    console.print("Stopped." if embedded_postgres.stop(settings) else "It was not running.")


def doctor(output: Output = Format.TABLE, workspace: Workspace = None) -> None:
    """Check this machine, the locked versions, the store and the warehouse; every fault comes with its remedy.

    Example:

        lakehouse doctor
    """
    from lakehouse.cli.doctor import checks
    from lakehouse.workspaces import load_settings

    looked = checks(load_settings(workspace=workspace))
    if output is Format.TABLE:
        for check in looked:
            mark = "[green]ok[/green]  " if check.passed else "[red]fix[/red] "
            console.print(f"{mark}  {check.name:<10} ", end="", highlight=False)
            console.print(check.finding, markup=False, soft_wrap=True)
            if not check.passed:
                console.print(f"{'':<18}{check.remedy}", style="yellow", markup=False, soft_wrap=True)
    else:
        rows = [(check.name, check.passed, check.finding, check.remedy) for check in looked]
        print_rows(("check", "passed", "finding", "remedy"), rows, output)
    if not all(check.passed for check in looked):
        raise typer.Exit(1)


def maintain(workspace: Workspace = None) -> None:
    """Compact the lake, remove old files, analyse the warehouse, drop leftovers, run every dbt test in full.

    Old files of Delta tables are kept for LAKEHOUSE_VACUUM_RETENTION_HOURS (default 168, a week).

    Example:

        lakehouse maintain
    """
    from lakehouse.cli.progress import watching
    from lakehouse.pipeline.maintain import maintain as put_right

    lakehouse = open_workspace(workspace)
    with watching(error_console) as observer:
        done = put_right(lakehouse, observer.note)
    console.print(f"Lake: {done.files_merged} files merged, {done.files_removed} old ones removed.")
    console.print(
        f"Warehouse: {done.tables_analysed} tables analysed, {len(done.leftovers)} leftovers dropped, "
        f"{done.changed_keys_removed} used keys removed."
    )
    console.print(f"dbt: {done.tests} tests passed, {len(done.warnings)} with a warning.")
    print_warnings(console, done.warnings)


def clean(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    workspace: Annotated[
        str | None, typer.Option("--workspace", help="Remove only this workspace (default: everything).")
    ] = None,
) -> None:
    """Remove a workspace, or everything this project made on this machine: lakes, warehouse, jars, passwords.

    Other files in LAKEHOUSE_HOME stay, and are listed.

    Examples:

        lakehouse clean --workspace demo

        lakehouse clean --yes
    """
    from lakehouse.cli.clean import remove_everything, remove_workspace
    from lakehouse.workspaces import load_settings

    settings = _embedded_only("clean")
    if not yes and sys.stdin.isatty():
        what = (
            f"the workspace {workspace}"
            if workspace
            else f"every workspace in {settings.home} and the embedded warehouse"
        )
        typer.confirm(f"Remove {what}?", abort=True)
    elif not yes:
        raise typer.BadParameter("this is no terminal to ask on: add --yes")
    if workspace is not None:
        settings = load_settings(workspace=workspace)
        folder, left = settings.workspace_dir, remove_workspace(settings)
        console.print(f"The workspace {workspace} is gone.")
    else:
        folder, left = settings.home, remove_everything(settings)
        console.print("Everything is gone.")
    if left:
        names = ", ".join(path.name for path in left[:NAMED]) + (", …" if len(left) > NAMED else "")
        console.print(f"Left in {folder}, as lakehouse did not make it: {names}", markup=False, soft_wrap=True)


def _embedded_only(command: str) -> Settings:
    from lakehouse.settings import Target
    from lakehouse.workspaces import load_settings

    settings = load_settings()
    if settings.target is not Target.EMBEDDED:
        raise typer.BadParameter(f"{command} is about the embedded warehouse; this target is {settings.target}")
    return settings
