"""The command `lakehouse`: words in, steps called, results shown. No rule about data lives here.

steps.py      run, land, bronze, silver, load, marts
inspect.py    status, quarantine, sql
sources.py    generate, replay
service.py    start, stop, doctor, maintain, clean, docs
progress.py   what a run shows while it runs
report.py     what it shows at its end
"""

from __future__ import annotations

import os
import sys

import click
import typer

from lakehouse.cli import inspect, service, sources, steps
from lakehouse.cli.shared import error_console
from lakehouse.errors import LakehouseError

app = typer.Typer(
    name="lakehouse",
    help="Daily CSV exports of a web shop -> lake, warehouse, star schema.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (steps, inspect, sources, service):
    commands.register(app)


def main() -> None:
    """Run the command line. Exit code 0: done; 1: an error that was explained; 2: wrong words; 130: interrupted."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except LakehouseError as error:
        if os.environ.get("LAKEHOUSE_DEBUG"):
            raise
        error_console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        error_console.print("Interrupted. What was finished stays; run the command again to go on.", style="yellow")
        sys.exit(130)
    except BrokenPipeError:
        # The reader of the pipe (head, less) has had enough; nothing may be written at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
