"""The stack in Docker -> its build, its start, its memory, and the real archive's run on it beside `embedded`.

    python -m benchmarks.stack           what `make bench-stack` runs; replaces its section of results.md
    python -m benchmarks.stack --cold    builds without any cache first (it removes Docker's build cache)

Works in a compose project of its own, on free ports, and removes it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.__main__ import ARCHIVE, RESULTS, say
from benchmarks.command import lakehouse
from benchmarks.figures import Figure, Outcome, Table, timed
from benchmarks.results import with_section
from benchmarks.sandbox import free_port, sandbox
from lakehouse.settings import PROJECT_DIR

TITLE = "The stack in Docker"
PROJECT = "lakehouse-bench"
HEALTHY_GOAL, MEMORY_GOAL = 90, 8192
UNITS = {"B": 1 / 1024**2, "KiB": 1 / 1024, "MiB": 1.0, "GiB": 1024.0}
# The rows of the largest raw table, copied into an equal table with the same indexes by the server's own psql.
COPY = """
set -eu
export PGPASSWORD=$(cat /run/secrets/loader_password)
psql="psql --host 127.0.0.1 --username loader --dbname lakehouse_main --quiet --no-psqlrc --set ON_ERROR_STOP=1"
$psql --command "\\copy raw_olist.geolocation to '/tmp/rows.txt'"
$psql --command "drop table if exists ops.copied" --command "create table ops.copied (like raw_olist.geolocation)"
begin=$(date +%s%N)
$psql --command "\\copy ops.copied from '/tmp/rows.txt'"
for columns in $($psql --tuples-only --no-align --command "
    select replace(substring(indexdef from '\\((.*)\\)$'), ' ', '') from pg_indexes
    where schemaname = 'raw_olist' and tablename = 'geolocation'"); do
    $psql --command "create index on ops.copied ($columns)"
done
end=$(date +%s%N)
$psql --command "drop table ops.copied"
rm /tmp/rows.txt
echo $(((end - begin) / 1000000))
"""


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
    parser.add_argument("--cold", action="store_true", help="build without any cache first")
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
        loaded = phase_of_geolocation(said)
        copied = int(run("docker", "compose", "exec", "--no-TTY", "postgres", "bash", "-c", COPY).split()[-1]) / 1000
    say("the archive on `embedded`")
    with sandbox() as place:
        lakehouse(place, "olist", "start")
        ran = lakehouse(place, "olist", "run", str(archive))
    outcome.figures += [
        Figure(
            "the archive's run, beside `embedded`",
            f"{seconds / ran.seconds:.2f}: {seconds:.0f} s, {ran.seconds:.0f} s",
        ),
        Figure(
            "load of geolocation, published and indexed, against `psql \\copy` into the same server",
            f"{copied / loaded:.2f}: {loaded:.1f} s, {copied:.1f} s",
        ),
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


def phase_of_geolocation(said: str) -> float:
    """Seconds of its load, as the progress told them."""
    (seconds,) = re.findall(r"load +geolocation +[\d,]+ rows +([\d.]+) s", said)
    return float(seconds)


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


def environment() -> dict[str, str]:
    """A project of its own: names, ports, settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LAKEHOUSE_", "COMPOSE_"))}
    return {**kept, "COMPOSE_PROJECT_NAME": PROJECT, "COMPOSE_DISABLE_ENV_FILE": "1", **PORTS}


PORTS = {name: str(free_port()) for name in ("POSTGRES_PORT", "AIRFLOW_PORT")}


def run(*command: str) -> str:
    """What it says on both streams; its failure ends the benchmark."""
    done = subprocess.run(
        command,
        cwd=PROJECT_DIR,
        env=environment(),
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
