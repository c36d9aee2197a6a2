"""The command `lakehouse`, run as users run it -> its output, seconds, peak memory and the programs that it started."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.memory import PeakMemory
from benchmarks.sandbox import Sandbox
from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_DIR
from lakehouse.warehouse.embedded import server as embedded_postgres


@dataclass(frozen=True)
class Ran:
    """A command that succeeded. `peak`: MB of the command, its children and the warehouse's server together."""

    seconds: float
    peak: float
    at_peak: dict[str, float]
    programs: set[str]
    output: str


def lakehouse(place: Sandbox, workspace: str, *words: str) -> Ran:
    """Run the command. Raises LakehouseError with its output when it fails."""
    command = [str(Path(sys.executable).parent / "lakehouse"), *words, "--workspace", workspace]
    server = embedded_postgres.status(place.settings(workspace))
    begin = time.monotonic()
    process = subprocess.Popen(
        command,
        env=place.environment(),
        cwd=PROJECT_DIR,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    with PeakMemory(process.pid, *([server.pid] if server else [])) as memory:
        output, _ = process.communicate()
    seconds = time.monotonic() - begin
    if process.returncode != 0:
        raise LakehouseError(f"lakehouse {' '.join(words)} failed:\n{output}")
    return Ran(seconds, memory.peak, memory.at_peak, memory.programs, output)
