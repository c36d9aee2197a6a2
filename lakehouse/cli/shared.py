"""What all commands share: options, consoles, and the settings of the workspace that a command works on.

The modules of this package import what they need inside their functions, so that `lakehouse --help` does not wait for
pyarrow, nor `status` for Spark. A test lists what each command may import.
"""

from __future__ import annotations

import shutil
import sys
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from lakehouse.lakehouse import Lakehouse
    from lakehouse.settings import Role, Settings

# A pipe has no screen width, so nothing is wrapped or cut.
PIPE_WIDTH = 240


def _console(*, stderr: bool = False) -> Console:
    on_screen = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, highlight=False, width=None if on_screen else PIPE_WIDTH)


# Results go to stdout, so that they can be piped; progress and errors go to stderr.
console = _console()
error_console = _console(stderr=True)


def command() -> str:
    """How people call the command: the setting `called_as`, else `lakehouse` if .venv is activated, else its path."""
    from lakehouse.settings import Settings

    if name := Settings.command_name():
        return name
    script = Path(sys.executable).parent / "lakehouse"
    found = shutil.which("lakehouse")
    if found is not None and script.exists() and script.samefile(found):
        return "lakehouse"
    is_below = script.is_relative_to(Path.cwd())
    return str(script.relative_to(Path.cwd()) if is_below else script)


def as_called_here(text: str) -> str:
    """Replace `lakehouse …` in a text with the command that works in this shell."""
    return text.replace("`lakehouse ", f"`{command()} ")


class Format(StrEnum):
    """The formats in which a command can print rows."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


Workspace = Annotated[
    str | None, typer.Option("--workspace", help="Act on this workspace (default: that of the last run).")
]
Table = Annotated[str | None, typer.Option("--table", help="Only this table.")]
BatchDate = Annotated[
    datetime | None, typer.Option("--batch-date", formats=["%Y-%m-%d"], help="The day the batch is for.")
]
ReplaceToday = Annotated[
    bool, typer.Option("--replace", help="Let files without a date replace other content of today's batch.")
]
Output = Annotated[Format, typer.Option("--format", help="How to print the rows.")]


def day_of(moment: datetime | None) -> date | None:
    """The day of a moment: typer has no type for dates."""
    return moment.date() if moment else None


def warn(line: str) -> None:
    """Print a warning, which stays on the screen above the progress display."""
    error_console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)


def open_workspace(workspace: str | None = None, *, otherwise: str | None = None) -> Lakehouse:
    """Open a workspace's lakehouse, with the contract of its source.

    `otherwise`: the workspace to use when neither an option nor a setting names one (default: the last used one).
    """
    from lakehouse.lakehouse import Lakehouse
    from lakehouse.workspaces import load_settings

    return Lakehouse.open(load_settings(workspace=workspace, otherwise=otherwise))


def password_command(settings: Settings, role: Role) -> str:
    """The shell command that prints the password of a role."""
    from lakehouse.settings import PROJECT_DIR, Target

    if settings.target is Target.DOCKER:
        return "make credentials"
    file = settings.password_file(role)
    return f"cat {file.relative_to(PROJECT_DIR) if file.is_relative_to(PROJECT_DIR) else file}"
