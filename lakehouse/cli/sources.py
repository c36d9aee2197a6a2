"""generate, replay: data to run the pipeline on."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.shared import console, error_console, open_state


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for command in (generate, replay):
        app.command(rich_help_panel="Data to run it on")(command)
