"""What every command has: its options, the consoles, the settings of the state it acts on."""

from __future__ import annotations

import shutil
import sys
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lakehouse.lakehouse import Lakehouse
from lakehouse.settings import Settings

# In a pipe nothing is wrapped or cut to the width of a screen that is not there.
PIPE_WIDTH = 240


def _console(*, stderr: bool = False) -> Console:
    on_screen = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, highlight=False, width=None if on_screen else PIPE_WIDTH)


# Results go to stdout, so that they can be piped; progress and errors go to stderr.
console = _console()
error_console = _console(stderr=True)


def command() -> str:
    """How people call it: `lakehouse` where .venv is activated, else its path, or what the setting `called_as` says."""
    if told := Settings.command_as_told():
        return told
    script = Path(sys.executable).parent / "lakehouse"
    found = shutil.which("lakehouse")
    if found is not None and script.exists() and script.samefile(found):
        return "lakehouse"
    is_below = script.is_relative_to(Path.cwd())
    return str(script.relative_to(Path.cwd()) if is_below else script)


def as_called_here(text: str) -> str:
    """A text that names commands as `lakehouse …`, with what this shell finds."""
    return text.replace("`lakehouse ", f"`{command()} ")


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


State = Annotated[str | None, typer.Option("--state", help="Act on this state (default: that of the last run).")]
Table = Annotated[str | None, typer.Option("--table", help="Only this table.")]
BatchDate = Annotated[
    datetime | None, typer.Option("--batch-date", formats=["%Y-%m-%d"], help="The day the batch is for.")
]
Output = Annotated[Format, typer.Option("--format", help="How to print the rows.")]


def day_of(moment: datetime | None) -> date | None:
    """typer knows moments only."""
    return moment.date() if moment else None


def warn(line: str) -> None:
    """Something to know that is no error; it stays on the screen above what shows the progress."""
    error_console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)


def open_state(state: str | None = None, *, otherwise: str | None = None) -> Lakehouse:
    """The lakehouse of a state, with the contract of its source.

    `otherwise`: the state that is meant when neither an option nor a setting names one; unset: that of the last run.
    """
    return Lakehouse.open(Settings.load(state=state, otherwise=otherwise))


def remember_state(settings: Settings) -> None:
    """Commands without `--state` act on this one from now on."""
    settings.home.mkdir(parents=True, exist_ok=True)
    last = settings.home / "last_state"
    part = last.with_suffix(".part")
    part.write_text(settings.state_name + "\n")
    part.replace(last)
