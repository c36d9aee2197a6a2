"""A benchmark's own compose project: its commands, the memory of its services, and deliveries to it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.sandbox import environment_of_stack, free_port
from lakehouse.settings import PROJECT_DIR

UNITS = {"B": 1 / 1024**2, "KiB": 1 / 1024, "MiB": 1.0, "GiB": 1024.0}


@dataclass
class Peaks:
    """The most memory of each service, and of all of them at one time, in MB."""

    services: dict[str, float] = field(default_factory=dict)
    together: float = 0.0

    def add(self, sample: dict[str, float]) -> None:
        for name, size in sample.items():
            self.services[name] = max(size, self.services.get(name, 0.0))
        self.together = max(self.together, sum(sample.values()))


class OwnStack:
    """The project `name`, with only the given settings of docs/stack.md. Use it in `with`: nothing of it exists before
    or afterwards."""

    def __init__(self, name: str, **settings: str) -> None:
        self._name = name
        self._environment = environment_of_stack(name, **settings)

    def __enter__(self) -> OwnStack:
        self._remove()
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def run(self, *command: str) -> str:
        """Run a command; return its output on both streams. A failure ends the benchmark."""
        done = subprocess.run(
            command,
            cwd=PROJECT_DIR,
            env=self._environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)} failed:\n{done.stdout}")
        return done.stdout

    def memory(self, services: str = "") -> dict[str, float]:
        """Current MB of each service whose name starts with `services`; all runs of `cli` count as one."""
        found: dict[str, float] = {}
        for line in self.run("docker", "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}").splitlines():
            match = re.fullmatch(rf"{self._name}-({services}.*?)(?:-run-\w+|-\d+) ([\d.]+)(\w+) / .*", line)
            if match:
                name, size, unit = match.groups()
                found[name] = found.get(name, 0.0) + float(size) * UNITS[unit]
        return found

    @contextmanager
    def watched(self, services: str = "", *, every: float = 0) -> Iterator[Peaks]:
        """Sample until the block ends; docker takes two seconds per sample. `every`: seconds between two samples."""
        peaks, stop = Peaks(), threading.Event()

        def watch() -> None:
            while not stop.is_set():
                peaks.add(self.memory(services))
                stop.wait(every)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield peaks
        finally:
            stop.set()
            thread.join()

    def _remove(self) -> None:
        self.run("docker", "compose", "--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "5")


@contextmanager
def stack_with_drop_folder(name: str) -> Iterator[tuple[OwnStack, Path]]:
    """A stack on free ports, and a temporary folder; `drop` in it is the stack's drop folder."""
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)  # the containers run as other users
        (folder / "drop").mkdir()
        ports = {"POSTGRES_PORT": str(free_port()), "AIRFLOW_PORT": str(free_port())}
        with OwnStack(name, DROP_DIR=str(folder / "drop"), **ports) as stack:
            yield stack, folder


def deliver(batches: Iterable[Path], drop: Path) -> None:
    """Drop the batches as a careful sender does: under a hidden name until each is complete."""
    for batch in batches:
        hidden = drop / f".{batch.name}"
        shutil.copytree(batch, hidden)
        hidden.rename(drop / batch.name)
