"""`lakehouse run` on the real archive, after set-up -> seconds, peak memory, where both go; bronze's bounded memory."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from benchmarks import wide_table
from benchmarks.command import lakehouse
from benchmarks.figures import Bench, Figure, Outcome, Skipped, Table
from benchmarks.memory import PeakMemory
from lakehouse.settings import PROJECT_DIR

STREAMED = "the file is streamed, but the records of a partition's Parquet file are held until it is closed"
SIZES, QUICK_SIZES = (2_000_000, 8_000_000), (200_000, 800_000)
BRONZE = """
import sys
from datetime import date
from pathlib import Path
from lakehouse.bronze import step as bronze
from lakehouse.landing import step as landing
from lakehouse.lakehouse import Lakehouse
from lakehouse.settings import Settings

settings = Settings.load(source=sys.argv[2], contracts_dir=Path(sys.argv[3]), workspace=sys.argv[4])
house = Lakehouse.open(settings)
(landed,) = landing.land(house, [Path(sys.argv[1])], date(2018, 1, 1))
bronze.run(house, house.contract.tables[0], landed.manifest)
"""


def measure(bench: Bench) -> Outcome:
    """Measure once: a second run would have nothing to do."""
    if bench.archive is None:
        raise Skipped("the real archive is not here (--archive)")
    lakehouse(bench.sandbox, "olist", "start")
    bench.note("running the archive")
    ran = lakehouse(bench.sandbox, "olist", "run", str(bench.archive))
    outcome = Outcome("1,550,922 records in nine files, from an empty lake and an empty warehouse")
    outcome.figures = [
        Figure(
            "whole command", f"{ran.seconds:.0f} s", "≤ 180 s", ran.seconds <= 180, "the table below says where it went"
        ),
        Figure(
            "peak memory, everything together",
            f"{ran.peak:,.0f} MB",
            "≤ 4,096 MB",
            ran.peak <= 4096,
            "see the memory of each program",
        ),
    ]
    held = [(program, f"{size:,.0f}") for program, size in ran.at_peak.items()]
    steps = re.findall(r"(\w+) ([\d.]+) s", ran.output.rpartition("working time:")[2])
    outcome.tables = [
        Table("Working seconds of each step, two tables side by side", ("step", "seconds"), steps),
        Table("Memory of each program at the peak", ("program", "MB"), held),
    ]
    outcome.figures.append(_bounded_bronze(bench))
    return outcome


def _bounded_bronze(bench: Bench) -> Figure:
    """Peak memory of landing and bronze for a file and for one four times as large."""
    folder = bench.sandbox.folder("bounded")
    contracts = wide_table.write_contract(folder / "contracts")
    peaks = []
    for rows in QUICK_SIZES if bench.quick else SIZES:
        bench.note(f"landing and bronze of {rows:,} rows")
        csv = folder / f"{rows}" / "parcels.csv"
        csv.parent.mkdir()
        wide_table.write_csv(csv, rows)
        peaks.append(_peak_of_bronze(bench, csv, contracts, f"bounded_{rows}"))
    ratio = peaks[1] / peaks[0]
    value = f"{peaks[0]:,.0f} MB, {peaks[1]:,.0f} MB for 4 times the file: {ratio:.2f}"
    return Figure("bronze's peak memory whatever the file size", value, "≤ 1.25", ratio <= 1.25, STREAMED)


def _peak_of_bronze(bench: Bench, csv: Path, contracts: Path, workspace: str) -> float:
    command = [sys.executable, "-c", BRONZE, str(csv), wide_table.SOURCE, str(contracts), workspace]
    process = subprocess.Popen(command, env=bench.sandbox.environment(), cwd=PROJECT_DIR)
    with PeakMemory(process.pid) as memory:
        code = process.wait()
    assert code == 0
    return memory.peak
