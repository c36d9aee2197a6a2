"""The stack in Docker -> its build, its start, its memory, and the real archive's run compared with `embedded`.

    python -m benchmarks.stack           what `make bench-stack` runs; replaces its section of results.md
    python -m benchmarks.stack --cold    builds without any cache first (it removes Docker's build cache)

Uses its own compose project, on free ports, and removes it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from pathlib import Path

from benchmarks import load_on_stack
from benchmarks.__main__ import ARCHIVE, say, write_section
from benchmarks.command import lakehouse
from benchmarks.figures import Figure, Outcome, Table, timed
from benchmarks.own_stack import OwnStack
from benchmarks.sandbox import free_port, sandbox

TITLE = "The stack in Docker"
HEALTHY_GOAL, MEMORY_GOAL = 90, 8192


def main() -> int:
    """Measure; 1 if the archive is not here or the stack does not start."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stack")
    parser.add_argument(
        "--cold",
        action="store_true",
        help="build without any cache first: empties Docker's build cache, for all projects",
    )
    parser.add_argument("--archive", type=Path, default=ARCHIVE)
    options = parser.parse_args()
    if not options.archive.is_file():
        say(f"the real archive is not at {options.archive} (--archive)")
        return 1
    ports = {"POSTGRES_PORT": str(free_port()), "AIRFLOW_PORT": str(free_port())}
    outcome = measure(OwnStack("lakehouse-bench", **ports), options.archive, cold=options.cold)
    write_section(TITLE, outcome)
    return 0


def measure(stack: OwnStack, archive: Path, *, cold: bool) -> Outcome:
    """Measure each once: the stack is too large to take turns."""
    outcome = Outcome("The real archive, from empty volumes; `embedded` in the same session, one after the other")
    if cold:
        say("building from scratch")
        stack.run("docker", "builder", "prune", "--all", "--force")
        outcome.figures.append(Figure("images from scratch", f"{timed(lambda: stack.run('stack/images')):.0f} s"))
    say("building what has not changed")
    outcome.figures.append(
        Figure("images when nothing has changed", f"{timed(lambda: stack.run('stack/images')):.0f} s")
    )
    with stack:
        say("starting")
        healthy = timed(lambda: stack.run("stack/up"))
        outcome.figures.append(
            Figure("`make up` to healthy, images built", f"{healthy:.0f} s", "≤ 90 s", healthy <= HEALTHY_GOAL)
        )
        idle = stack.memory()
        say("the archive on the stack")
        with stack.watched() as peaks:
            begin = time.monotonic()
            said = stack.run("stack/run", str(archive))
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
        loads = load_on_stack.measure(stack.run)
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
        Table("Images (layers that two share count in both)", ("image", "MB"), sizes(stack)),
    ]
    return outcome


def steps(said: str) -> dict[str, str]:
    return dict(re.findall(r"(\w+) ([\d.]+) s", said.rpartition("working time:")[2]))


def sizes(stack: OwnStack) -> list[tuple[str, str]]:
    images = sorted(set(stack.run("docker", "compose", "--profile", "*", "config", "--images").split()))
    found = [
        json.loads(stack.run("docker", "image", "inspect", "--format", "{{json .Size}}", image)) for image in images
    ]
    return [(image, f"{size / 1e6:,.0f}") for image, size in zip(images, found, strict=True)]


if __name__ == "__main__":
    sys.exit(main())
