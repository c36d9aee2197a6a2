"""The command line in its own process, as people and scripts call it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lakehouse.settings import PROJECT_DIR, Settings
from tests.support.lake import environment_of

LAKEHOUSE = str(Path(sys.executable).parent / "lakehouse")


def command(settings: Settings, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, on the home and warehouse of these settings; `more`: further environment variables."""
    return subprocess.run(
        [LAKEHOUSE, *arguments],
        env=environment_of(settings, **more),
        cwd=PROJECT_DIR,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
