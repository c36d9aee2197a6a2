"""report: marts -> the page with the figures; `run` writes it, too, at its end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.shared import Workspace, as_called_here, console, error_console, open_workspace

if TYPE_CHECKING:
    from lakehouse.lakehouse import Lakehouse
    from lakehouse.steps import Observer

TO_STDOUT = Path("-")


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel="Looking at it")(report)


def report(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="PATH", help="Where to write it (default: the workspace's folder; -: stdout)."
        ),
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    workspace: Workspace = None,
) -> None:
    """Write the report, one HTML file that any browser opens without a network. Nothing is written if it is up to date.

    Examples:

        lakehouse report --open

        lakehouse report --output /srv/www/shop.html
    """
    from lakehouse import warehouse
    from lakehouse.report import step

    if open_it and output == TO_STDOUT:
        raise typer.BadParameter("--open needs a file, not stdout")
    lakehouse = open_workspace(workspace)
    if not step.has_report(lakehouse.settings):
        console.print(without_report(lakehouse), soft_wrap=True)
        return
    warehouse.prepare(lakehouse.settings)
    if output == TO_STDOUT:
        sys.stdout.buffer.write(step.rendered(lakehouse))
        return
    written = step.run(lakehouse, output)
    assert written is not None, "the source has a report"
    what = f"{written.size / 1e6:.1f} MB in {written.seconds:.1f} s" if written.done else "up to date"
    console.print(f"{shown(written.path)}  ({what})", soft_wrap=True, markup=False)
    if open_it:
        typer.launch(written.path.absolute().as_uri())


def write_at_the_end(lakehouse: Lakehouse, observer: Observer) -> tuple[str, str] | None:
    """Write the report of a run; return a line for its summary: what, and where. None if the run has no marts yet.

    The data of the run are complete at this point. So a report that cannot be written is an error of its own: it is
    printed in red, with the command that tries again, and the run ends as it would without a report.
    """
    from lakehouse.errors import LakehouseError
    from lakehouse.marts import step as marts
    from lakehouse.report import step
    from lakehouse.settings import Target

    if marts.last_built(lakehouse) is None:
        return None
    try:
        if not step.has_report(lakehouse.settings):
            return "no report", without_report(lakehouse)
        if lakehouse.settings.target is Target.DOCKER:
            return "the report", "/report of Airflow, which the DAG `marts` writes; or: make report TARGET=docker"
        observer.note("Writing the report")
        written = step.run(lakehouse)
    except LakehouseError as error:
        text = f"{error}\nThe report was not written; the data of this run are complete. Try again: `lakehouse report`"
        error_console.print(as_called_here(text), style="red", markup=False, highlight=False, soft_wrap=True)
        return None
    assert written is not None, "the source has a report"
    return "the report, in a browser", shown(written.path)


def without_report(lakehouse: Lakehouse) -> str:
    """A sentence for a source that has no report."""
    return f"{lakehouse.settings.report_dir.name}/ has no measures of the source {lakehouse.contract.source}"


def shown(path: Path) -> str:
    """A path as people can copy it into this shell."""
    whole = path.absolute()
    return str(whole.relative_to(Path.cwd()) if whole.is_relative_to(Path.cwd()) else whole)
