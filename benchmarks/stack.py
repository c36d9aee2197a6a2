"""The stack in Docker -> its build, its start, its memory, and the real archive's run on it beside `embedded`.

    python -m benchmarks.stack           what `make bench-stack` runs; replaces its section of results.md
    python -m benchmarks.stack --cold    builds without any cache first (it removes Docker's build cache)

Works in a compose project of its own, on free ports, and removes it.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import load_on_stack
from benchmarks.__main__ import ARCHIVE, RESULTS, say
from benchmarks.command import lakehouse
from benchmarks.figures import Figure, Outcome, Table, timed
from benchmarks.results import with_section
from benchmarks.sandbox import environment_of_stack, free_port, sandbox
from lakehouse.settings import PROJECT_DIR

TITLE = "The stack in Docker"
PROJECT = "lakehouse-bench"
HEALTHY_GOAL, MEMORY_GOAL = 90, 8192
ENVIRONMENT = environment_of_stack(PROJECT, POSTGRES_PORT=str(free_port()), AIRFLOW_PORT=str(free_port()))
UNITS = {"B": 1 / 1024**2, "KiB": 1 / 1024, "MiB": 1.0, "GiB": 1024.0}


@dataclass
class Peaks:
    """The most memory of each service, in MB, and of all at one time."""

    services: dict[str, float] = field(default_factory=dict)
    together: float = 0.0

    def add(self, sample: dict[str, float]) -> None:
        for name, size in sample.items():
            self.services[name] = max(size, self.services.get(name, 0.0))
        self.together = max(self.together, sum(sample.values()))


def main() -> int:
    """Measure; 1 if the archive is not here or the stack does not start."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stack")
    parser.add_argument(
        "--cold",
        action="store_true",
        help="build without any cache first: Docker's build cache is emptied, of all projects",
    )
    parser.add_argument("--archive", type=Path, default=ARCHIVE)
    options = parser.parse_args()
    if not options.archive.is_file():
        say(f"the real archive is not at {options.archive} (--archive)")
        return 1
    outcome = measure(options.archive, cold=options.cold)
    text = with_section(RESULTS.read_text(encoding="utf-8"), TITLE, outcome)
    RESULTS.write_text(text, encoding="utf-8")
    sys.stdout.write(text[text.index(f"## {TITLE}") :])
    return 0


def measure(archive: Path, *, cold: bool) -> Outcome:
    """Once each: the stack is too large to take turns with."""
    outcome = Outcome("The real archive, from empty volumes; `embedded` in the same session, one after the other")
    if cold:
        say("building from nothing")
        run("docker", "builder", "prune", "--all", "--force")
        outcome.figures.append(Figure("images from nothing", f"{timed(lambda: run('stack/images')):.0f} s"))
    say("building what has not changed")
    outcome.figures.append(Figure("images when nothing has changed", f"{timed(lambda: run('stack/images')):.0f} s"))
    with removed_afterwards():
        say("starting")
        healthy = timed(lambda: run("stack/up"))
        outcome.figures.append(
            Figure("`make up` to healthy, images built", f"{healthy:.0f} s", "≤ 90 s", healthy <= HEALTHY_GOAL)
        )
        idle = sampled()
        say("the archive on the stack")
        peaks = Peaks()
        with watched(peaks):
            begin = time.monotonic()
            said = run("stack/run", str(archive))
            seconds = time.monotonic() - begin
        outcome.figures.append(
            Figure(
                "peak memory of all services together",
                f"{peaks.together:,.0f} MB",
                "≤ 8,192 MB",
                peaks.together <= MEMORY_GOAL,
            )
        )
        on_stack = steps(said)
        say("the load, against psql")
        loads = load_on_stack.measure(run)
    say("the archive on `embedded`")
    with sandbox() as place:
        lakehouse(place, "olist", "start")
        ran = lakehouse(place, "olist", "run", str(archive))
    outcome.figures += [
        Figure(
            "the archive's run, beside `embedded`",
            f"{seconds / ran.seconds:.2f}: {seconds:.0f} s, {ran.seconds:.0f} s",
        ),
        *loads,
    ]
    beside = steps(ran.output)
    outcome.tables = [
        Table(
            "Working seconds of each step, two tables side by side",
            ("step", "stack", "embedded"),
            [(step, on_stack[step], beside.get(step, "")) for step in on_stack],
        ),
        Table(
            "Memory of each service (MB)",
            ("service", "idle", "peak"),
            [
                (name, f"{idle.get(name, 0):,.0f}", f"{size:,.0f}")
                for name, size in sorted(peaks.services.items(), key=lambda item: -item[1])
            ],
        ),
        Table("Images (layers that two share count in both)", ("image", "MB"), sizes()),
    ]
    return outcome


def steps(said: str) -> dict[str, str]:
    return dict(re.findall(r"(\w+) ([\d.]+) s", said.rpartition("working time:")[2]))


def sizes() -> list[tuple[str, str]]:
    images = sorted(set(run("docker", "compose", "--profile", "*", "config", "--images").split()))
    found = [json.loads(run("docker", "image", "inspect", "--format", "{{json .Size}}", image)) for image in images]
    return [(image, f"{size / 1e6:,.0f}") for image, size in zip(images, found, strict=True)]


def sampled() -> dict[str, float]:
    """MB of each service now; what all runs of `cli` hold counts as one."""
    found: dict[str, float] = {}
    for line in run("docker", "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}").splitlines():
        match = re.fullmatch(rf"{PROJECT}-(.+?)(?:-run-\w+|-\d+) ([\d.]+)(\w+) / .*", line)
        if match:
            name, size, unit = match.groups()
            found[name] = found.get(name, 0.0) + float(size) * UNITS[unit]
    return found


@contextmanager
def watched(peaks: Peaks) -> Iterator[None]:
    """Samples until it is left; docker takes two seconds for each."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            peaks.add(sampled())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def removed_afterwards() -> Iterator[None]:
    def remove() -> None:
        run("docker", "compose", "--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "5")

    remove()
    try:
        yield
    finally:
        remove()


def run(*command: str) -> str:
    """What it says on both streams; its failure ends the benchmark."""
    done = subprocess.run(
        command,
        cwd=PROJECT_DIR,
        env=ENVIRONMENT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
