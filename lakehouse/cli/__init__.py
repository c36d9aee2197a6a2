"""The command `lakehouse`: arguments -> calls of the steps -> printed results. It contains no rules about data.

steps.py      run, land, bronze, silver, load, marts
inspect.py    status, quarantine, sql
measure.py    measure
report.py     report
sources.py    generate, replay
service.py    start, stop, doctor, maintain, clean
clean.py      what `clean` removes
doctor.py     what `doctor` checks
progress.py   what a run shows while it runs
results.py    what a run shows at its end
shared.py     what all commands share
"""

from __future__ import annotations

import sys

import typer

from lakehouse.cli import inspect, measure, report, service, sources, steps
from lakehouse.cli.shared import as_called_here, error_console
from lakehouse.errors import LakehouseError

WRONG_WORDS, INTERRUPTED = 2, 130

app = typer.Typer(
    name="lakehouse",
    help="Daily CSV exports of a web shop -> lake, warehouse, star schema.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (steps, inspect, measure, report, sources, service):
    commands.register(app)


def main() -> None:
    """Run the command line. Exit code 0: success; 1: an explained error; 2: wrong usage; 130: interrupted."""
    if any(argument.partition("=")[0] == "--state" for argument in sys.argv[1:]):
        error_console.print("`--state` is called `--workspace` now.", style="red", highlight=False)
        sys.exit(WRONG_WORDS)
    try:
        app()
    except LakehouseError as error:
        from lakehouse.settings import Settings

        if Settings.debug_enabled():
            raise
        error_console.print(as_called_here(str(error)), style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            error_console.print("Interrupted. What was finished stays; run the command again to go on.", style="yellow")
        raise
