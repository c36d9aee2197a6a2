"""The file that Spark in this process writes to instead of standard error, and what its last session wrote there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from lakehouse.settings import Settings

START = "--- Spark starts"
# What is read of the file. An error's stack traces take a few kilobytes each.
LAST_BYTES = 256 * 1024


def log_file(settings: Settings) -> Path:
    """The file. It grows with each session of the workspace."""
    return settings.workspace_dir / "logs" / "spark.log"


@contextmanager
def opened(settings: Settings) -> Iterator[BinaryIO]:
    """The file, to append a new session's output."""
    file = log_file(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as sink:
        moment = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
        sink.write(f"{START} for process {os.getpid()}, {moment}\n".encode())
        sink.flush()
        yield sink


def last_session(settings: Settings) -> str:
    """What was written since the last start; empty if there is no file."""
    try:
        with log_file(settings).open("rb") as log:
            log.seek(-min(LAST_BYTES, log.seek(0, os.SEEK_END)), os.SEEK_END)
            return log.read().decode(errors="replace").rpartition(START)[2]
    except FileNotFoundError:
        return ""
