"""Code that runs beside the test, in a process that can be killed."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lakehouse.settings import PROJECT_DIR, Settings


@contextmanager
def other_processes(settings: Settings) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Runs code in a process that has `settings` and `warehouse`; returns it once it has printed "here"."""
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
