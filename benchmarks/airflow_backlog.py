"""Many small batches dropped together -> minutes until the marts hold them, Airflow's tasks, and memory.

    python -m benchmarks.airflow_backlog     what `make bench-backlog` runs; replaces its section of results.md

Twice as many batches should take twice as long: with a square in it, they would take four times as long.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from benchmarks.__main__ import say, write_section
from benchmarks.airflow import Airflow
from benchmarks.figures import Figure, Outcome, Table
from benchmarks.own_stack import OwnStack, Peaks, deliver, stack_with_drop_folder
from lakehouse.sample_data.synthetic import ORDERS_PER_DAY, generate

TITLE = "A backlog through Airflow"
# A day of this many orders has 300 to 500 records in six or seven tables.
ORDERS_A_DAY, FIRST_DAY = 54, date(2018, 1, 1)
FEW, MANY = 30, 60
RATIO_GOAL, MINUTES_GOAL, NEEDLESS_GOAL = 2.2, 25, 0.05
SECONDS_BETWEEN_SAMPLES, LONGEST_SECONDS = 15, 7200


@dataclass(frozen=True)
class Backlog:
    """What became of batches that were dropped together. `tasks`: (DAG, state) -> how many, without those of models."""

    batches: int
    seconds: float
    runs: Counter[str]
    tasks: Counter[tuple[str, str]]
    peaks: Peaks

    @property
    def needless(self) -> float:
        """The share of tasks that were skipped or only looked for new batches."""
        idle = sum(count for (dag, state), count in self.tasks.items() if state == "skipped" or dag == "arrivals")
        return idle / self.tasks.total()


def main() -> int:
    """Measure, and write the section of results.md."""
    with stack_with_drop_folder("lakehouse-bench-backlog") as (stack, folder):
        outcome = measure(stack, folder / "batches", folder / "drop")
    write_section(TITLE, outcome)
    return 0


def measure(stack: OwnStack, source: Path, drop: Path) -> Outcome:
    """A first batch makes the tables and warms up Spark; then few batches together, then twice as many."""
    generate(source, scale=ORDERS_A_DAY / ORDERS_PER_DAY, days=1 + FEW + MANY, start=FIRST_DAY)
    batches = sorted(path for path in source.iterdir() if path.is_dir())
    records = sum(len(file.read_bytes().splitlines()) - 1 for batch in batches[1:] for file in batch.iterdir())
    stack.run("stack/up")
    airflow = Airflow(stack)
    airflow.ended("lake", since=0)  # its own first run
    bring(stack, airflow, batches[:1], drop)
    few = bring(stack, airflow, batches[1 : 1 + FEW], drop)
    many = bring(stack, airflow, batches[1 + FEW :], drop)
    return Outcome(
        f"Batches of {records // (FEW + MANY):,} records, dropped together",
        figures(few, many),
        [tasks_of(few, many), memory_of(few, many)],
    )


def bring(stack: OwnStack, airflow: Airflow, batches: list[Path], drop: Path) -> Backlog:
    """Drop the batches and wait until no run is active."""
    say(f"{len(batches)} batches")
    begin = time.time()
    deliver(batches, drop)
    wanted = {batch.name for batch in batches}
    with stack.watched(every=SECONDS_BETWEEN_SAMPLES) as peaks:
        # Airflow makes the run of `marts` a moment after that of `lake` has ended.
        ended: list[float] = []
        while len(ended) < 3:
            if time.time() - begin > LONGEST_SECONDS:
                sys.exit(f"{len(batches)} batches are not through after {LONGEST_SECONDS} s")
            time.sleep(5)
            ended = [*ended, time.time()] if done(airflow, wanted, begin) else []
    seconds = ended[0] - begin
    since = datetime.fromtimestamp(begin, UTC)
    tasks = Counter(
        (task["dag_id"], str(task["state"]))
        for task in airflow.api.tasks_since(since)
        if not task["task_id"].startswith("models.")
    )
    runs = Counter(run["dag_id"] for run in airflow.api.runs_since(since))
    say(f"  {seconds:.0f} s, {dict(runs)}, {dict(tasks)}")
    return Backlog(len(batches), seconds, runs, tasks, peaks)


def done(airflow: Airflow, wanted: set[str], begin: float) -> bool:
    """Whether each batch's run has ended and no run is active."""
    runs = airflow.api.runs_since(datetime.fromtimestamp(begin, UTC))
    if failed := [run["dag_run_id"] for run in runs if run["state"] == "failed"]:
        sys.exit(f"Failed: {failed}")
    ended = {run["conf"].get("batch_date") for run in runs if run["dag_id"] == "lake" and run["state"] == "success"}
    return wanted <= ended and all(run["state"] == "success" for run in runs)


def figures(few: Backlog, many: Backlog) -> list[Figure]:
    ratio, minutes = many.seconds / few.seconds, many.seconds / 60
    return [
        Figure(f"{few.batches} batches", f"{few.seconds / 60:.1f} min"),
        Figure(f"{many.batches} batches", f"{minutes:.1f} min", f"≤ {MINUTES_GOAL} min", minutes <= MINUTES_GOAL),
        Figure("the second by the first", f"{ratio:.2f}", f"≤ {RATIO_GOAL}", ratio <= RATIO_GOAL),
        Figure(
            "tasks that are skipped or only look for batches",
            f"{many.needless:.1%}",
            f"≤ {NEEDLESS_GOAL:.0%}",
            many.needless <= NEEDLESS_GOAL,
        ),
    ]


def tasks_of(*backlogs: Backlog) -> Table:
    rows = []
    for dag in sorted({dag for backlog in backlogs for dag in backlog.runs}):
        cells = []
        for backlog in backlogs:
            states = {state: count for (of_dag, state), count in backlog.tasks.items() if of_dag == dag}
            cells += [str(backlog.runs[dag]), ", ".join(f"{states[state]:,} {state}" for state in sorted(states))]
        rows.append((f"`{dag}`", *cells))
    columns = [column for backlog in backlogs for column in (f"runs, {backlog.batches} batches", "tasks")]
    return Table("Runs and tasks, without those that only show a model", ("", *columns), rows)


def memory_of(few: Backlog, many: Backlog) -> Table:
    rows = [
        (name, f"{few.peaks.services.get(name, 0):,.0f}", f"{size:,.0f}")
        for name, size in sorted(many.peaks.services.items())
    ]
    return Table("Most memory of each service (MB)", ("service", *(f"{each.batches}" for each in (few, many))), rows)


if __name__ == "__main__":
    sys.exit(main())
