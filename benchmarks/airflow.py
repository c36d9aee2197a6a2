"""Days through the stack's Airflow -> seconds from the drop folder to the marts, Airflow's own share of them, memory.

    python -m benchmarks.airflow         what `make bench-airflow` runs; replaces its section of results.md

Uses its own compose project, on free ports, and removes it. Times come from Airflow's own record of runs and tasks.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.__main__ import say, write_section
from benchmarks.airflow_api import Api
from benchmarks.figures import Figure, Outcome, Table, shown
from benchmarks.own_stack import OwnStack, Peaks, deliver, stack_with_drop_folder
from lakehouse.sample_data.synthetic import ORDERS_PER_DAY, generate

TITLE = "A day through Airflow"
HISTORY_ORDERS, ORDERS_A_DAY, FIRST_DAY = 100_000, 500, date(2018, 1, 1)
# How many days of each kind.
COLD, WARM, AT_ONCE, EMPTY = 1, 3, 3, 3
DAY_GOAL_SECONDS, OWN_GOAL_SECONDS, EMPTY_GOAL_SECONDS = 90, 20, 15
IDLE_GOAL_MB, PEAK_GOAL_MB = 1229, 2048
SERVICES = "airflow-"
RUN_SECONDS = 600
Interval = tuple[float, float]


@dataclass(frozen=True)
class Day:
    """One batch: when it was dropped, the runs of `lake` and `marts` that followed, and the tasks of both."""

    dropped: float
    lake: Interval
    marts: Interval
    tasks: dict[str, list[Interval]]

    @property
    def whole(self) -> float:
        """Seconds from the drop folder to the end of `marts`."""
        return self.marts[1] - self.dropped

    @property
    def own(self) -> float:
        """Seconds in which a run was due or running and no task was."""
        return self.marts[1] - self.lake[0] - covered(each for of_task in self.tasks.values() for each in of_task)


class Airflow:
    """The benchmark's questions to Airflow."""

    def __init__(self, stack: OwnStack) -> None:
        self.api = Api(stack.run("docker", "compose", "port", "airflow-api-server", "8080").strip())
        self.api.log_in("airflow", "airflow")

    def tasks(self, run: dict[str, Any]) -> dict[str, list[Interval]]:
        """Without the tasks of single models, which only show what the task `build` does."""
        tasks: dict[str, list[Interval]] = {}
        for task in self.api.tasks(run):
            if task["start_date"] and not task["task_id"].startswith("models."):
                tasks.setdefault(f"{run['dag_id']}: {task['task_id']}", []).append(interval(task, "start_date"))
        return tasks

    def ended(self, dag: str, since: float, conf: dict[str, str] | None = None) -> dict[str, Any]:
        """The run of a DAG that was due since then, once all of them have succeeded."""
        begin = time.monotonic()
        while True:
            found = [run for run in self.api.runs(dag) if due(run) >= since and (conf is None or run["conf"] == conf)]
            if found and all(run["state"] == "success" for run in found):
                return found[0]
            if any(run["state"] == "failed" for run in found) or time.monotonic() - begin > RUN_SECONDS:
                sys.exit(f"{dag} did not succeed: {found}")
            time.sleep(0.5)


def main() -> int:
    """Measure, and write the section of results.md."""
    with stack_with_drop_folder("lakehouse-bench-airflow") as (stack, folder):
        outcome = measure(stack, folder, folder / "drop")
    write_section(TITLE, outcome)
    return 0


def measure(stack: OwnStack, folder: Path, drop: Path) -> Outcome:
    """Load a history first, so that the days meet tables of the usual size."""
    source = folder / "batches"
    days = COLD + WARM + AT_ONCE
    generate(
        source,
        scale=ORDERS_A_DAY / ORDERS_PER_DAY,
        days=days,
        start=FIRST_DAY,
        history_orders=HISTORY_ORDERS,
        history_batches=1,
    )
    history, *batches = sorted(path for path in source.iterdir() if path.is_dir())
    stack.run("stack/up")
    airflow = Airflow(stack)
    airflow.ended("lake", since=0)  # its own first run
    idle = stack.memory(SERVICES)
    say("the history")
    stack.run("stack/run", str(history))
    say("a day, Spark cold")
    stack.run("docker", "compose", "restart", "spark-connect")
    stack.run("stack/up")
    cold = [bring(airflow, batches[0], drop=drop)]
    say(f"{WARM} days, Spark warm")
    warm = [bring(airflow, batch, drop=drop) for batch in batches[COLD : COLD + WARM]]
    say(f"{EMPTY} empty days")
    empty = [empty_day(airflow, FIRST_DAY - timedelta(days=400 + number)) for number in range(EMPTY)]
    say(f"{AT_ONCE} days at the same time")
    with stack.watched(SERVICES) as peaks:
        bring(airflow, *batches[-AT_ONCE:], drop=drop)
    return Outcome(
        f"Days of {ORDERS_A_DAY} orders after a history of {HISTORY_ORDERS:,}; Airflow's own record",
        figures(cold, warm, empty, idle, peaks),
        [
            where_it_goes({"Spark cold": cold, "Spark warm": warm}),
            in_tasks(warm),
            Table(
                f"Memory of each service (MB), idle and with {AT_ONCE} days at the same time",
                ("service", "idle", "peak"),
                [(name, f"{idle[name]:,.0f}", f"{size:,.0f}") for name, size in sorted(peaks.services.items())],
            ),
        ],
    )


def bring(airflow: Airflow, *batches: Path, drop: Path) -> Day:
    """Drop the batches together and wait for their marts; the last one is reported."""
    deliver(batches, drop)
    dropped = time.time()
    lake = [airflow.ended("lake", dropped - 1, {"batch_date": batch.name}) for batch in batches][-1]
    marts = airflow.ended("marts", due(lake))
    return Day(dropped, interval(lake), interval(marts), airflow.tasks(lake) | airflow.tasks(marts))


def empty_day(airflow: Airflow, day: date) -> float:
    """Seconds from the trigger to the end of a run that finds no batch."""
    now = time.time()
    airflow.api.begin("lake", batch_date=f"{day}")
    begin, end = interval(airflow.ended("lake", now - 1, {"batch_date": f"{day}"}))
    return end - begin


def figures(cold: list[Day], warm: list[Day], empty: list[float], idle: dict[str, float], peaks: Peaks) -> list[Figure]:
    def seconds(what: str, found: list[float], goal: int) -> Figure:
        return Figure(what, shown(found), f"≤ {goal} s", statistics.median(found) <= goal)

    def megabytes(what: str, found: float, goal: int) -> Figure:
        return Figure(what, f"{found:,.0f} MB", f"≤ {goal:,} MB", found <= goal)

    return [
        seconds("a day, from the drop folder to the marts, Spark cold", [day.whole for day in cold], DAY_GOAL_SECONDS),
        seconds("the same, Spark warm", [day.whole for day in warm], DAY_GOAL_SECONDS),
        seconds("Airflow's own share: seconds in no task", [day.own for day in cold + warm], OWN_GOAL_SECONDS),
        seconds("an empty day", empty, EMPTY_GOAL_SECONDS),
        megabytes("memory of all Airflow services, idle", sum(idle.values()), IDLE_GOAL_MB),
        megabytes(f"its peak, {AT_ONCE} days at the same time", peaks.together, PEAK_GOAL_MB),
    ]


def where_it_goes(of: dict[str, list[Day]]) -> Table:
    parts: list[tuple[str, Callable[[Day], float]]] = [
        ("detected (a batch is complete after five quiet seconds)", lambda day: day.lake[0] - day.dropped),
        ("`lake`", lambda day: day.lake[1] - day.lake[0]),
        ("until `marts` is due", lambda day: day.marts[0] - day.lake[1]),
        ("`marts`", lambda day: day.marts[1] - day.marts[0]),
        ("of all these, no task running", lambda day: day.own),
    ]
    rows = [
        (what, *(f"{statistics.median(part(day) for day in days):.1f}" for days in of.values())) for what, part in parts
    ]
    return Table("Where the seconds go (median)", ("", *of), rows)


def in_tasks(days: list[Day]) -> Table:
    """What a task costs besides its work: `bronze` of a few hundred rows takes hardly longer than its process alone."""
    rows = []
    for name in days[0].tasks:
        found = [end - begin for day in days for begin, end in day.tasks.get(name, [])]
        rows.append((name, f"{len(found) / len(days):.0f}", f"{statistics.median(found):.1f}", f"{max(found):.1f}"))
    return Table("Tasks of a day, Spark warm (seconds)", ("task", "how many", "median", "longest"), rows)


def covered(intervals: Iterable[Interval]) -> float:
    """Seconds that at least one of the intervals covers."""
    total, reached = 0.0, 0.0
    for begin, end in sorted(intervals):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def interval(found: dict[str, Any], begin: str = "queued_at") -> Interval:
    return moment(found[begin]), moment(found["end_date"])


def due(run: dict[str, Any]) -> float:
    return moment(run["queued_at"])


def moment(text: str) -> float:
    return datetime.fromisoformat(text).astimezone(UTC).timestamp()


if __name__ == "__main__":
    sys.exit(main())
