"""Code that runs in a separate process: to be killed beside the test, or to have its own JVM."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lakehouse.settings import PROJECT_DIR, Settings


def output_of(script: Path, settings: Settings, folder: Path, **environment: str) -> dict[str, Any]:
    """Run a script of tests/ with the settings and a folder; return what it prints as JSON."""
    path = os.pathsep.join([str(PROJECT_DIR), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.run(
        [sys.executable, script, settings.model_dump_json(), folder],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    found: dict[str, Any] = json.loads(process.stdout)
    return found


@contextmanager
def other_processes(settings: Settings) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Run code in a process that has `settings` and `warehouse`; return the process once it has printed "here"."""
    started: list[subprocess.Popen[str]] = []
    given = {name: str(value) for name in settings.model_fields_set if (value := getattr(settings, name)) is not None}

    def run(code: str) -> subprocess.Popen[str]:
        program = (
            "from lakehouse import warehouse\nfrom lakehouse.settings import Settings\n"
            f"settings = Settings.load(**{given!r})\n{textwrap.dedent(code)}"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", program], cwd=PROJECT_DIR, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        return process

    try:
        yield run
    finally:
        for process in started:
            process.kill()
            process.communicate()
