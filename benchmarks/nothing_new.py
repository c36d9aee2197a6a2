"""A run with nothing new -> how long it takes to find that out, and whether it wrote anything or started a JVM."""

from __future__ import annotations

from pathlib import Path

from benchmarks.command import lakehouse
from benchmarks.figures import Bench, Figure, Outcome, shown
from lakehouse import warehouse
from lakehouse.sample_data.synthetic import generate
from lakehouse.settings import Settings

WHY = "the time is the import of pyarrow, delta-rs and typer, and reading what was delivered"
REPETITIONS, QUICK_REPETITIONS = 5, 2


def measure(bench: Bench) -> Outcome:
    """Run the real archive, or a generated shop if it is not available: once, then several times again."""
    workspace = "nothing_new"
    source = bench.archive if bench.archive and not bench.quick else bench.sandbox.folder("shop") / "batches"
    if source != bench.archive:
        generate(source, days=3)
    bench.note("the first run")
    lakehouse(bench.sandbox, workspace, "run", str(source))
    settings = bench.sandbox.settings(workspace)
    before = _written(settings)
    bench.note("again, with nothing new")
    runs = [
        lakehouse(bench.sandbox, workspace, "run", str(source))
        for _ in range(QUICK_REPETITIONS if bench.quick else REPETITIONS)
    ]
    seconds = [run.seconds for run in runs]
    programs = set().union(*(run.programs for run in runs))
    unchanged = _written(settings) == before
    outcome = Outcome("the real archive" if source == bench.archive else "three generated days")
    outcome.figures = [
        Figure(
            "whole command, with landing's comparison of all bytes", shown(seconds), "≤ 5 s", max(seconds) <= 5, WHY
        ),
        Figure("rows and Delta versions written", "none" if unchanged else "some", "none", unchanged),
        Figure("Spark started", "yes" if "java" in programs else "no", "no", "java" not in programs),
        Figure("peak memory", f"{max(run.peak for run in runs):,.0f} MB"),
    ]
    return outcome


def _written(settings: Settings) -> tuple[object, ...]:
    """Every file of the lake with its time, and the number of rows ever inserted, updated or deleted in each table."""
    lake = Path(settings.layer_url("landing")).parent
    files = sorted((str(path), path.stat().st_mtime_ns) for path in lake.rglob("*") if path.is_file())
    found: list[object] = []
    for role in ("loader", "transformer"):
        with warehouse.cursor(settings, role) as cursor:
            cursor.execute(
                "select schemaname, relname, n_tup_ins + n_tup_upd + n_tup_del from pg_stat_user_tables order by 1, 2"
            )
            found += cursor.fetchall()
            cursor.execute("select max(load_id) from ops.load_log")
            found += cursor.fetchall()
    return (files, found)
