"""generate, replay: data to run the pipeline on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.shared import console
from lakehouse.replay import Period


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for command in (generate, replay):
        app.command(rich_help_panel="Data to run it on")(command)


def replay(
    archive: Annotated[
        Path, typer.Argument(exists=True, help="The published archive: the zip, or a folder of its CSVs.")
    ],
    directory: Annotated[Path, typer.Argument(help="Where to write the batches; must be absent or empty.")],
    by: Annotated[Period, typer.Option("--by", help="How much one batch holds.")] = "month",
) -> None:
    """Cut the real archive into the batches that the shop would have sent, day by day.

    Examples:

        lakehouse replay brazilian-ecommerce.zip batches --by month

        lakehouse run batches
    """
    from lakehouse.replay import replay as cut

    done = cut(archive, directory, by)
    records = sum(done.records.values())
    console.print(f"{len(done.batches)} batches, {done.batches[0]} to {done.batches[-1]}, {records:,} records.")
