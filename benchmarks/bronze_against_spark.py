"""Bronze, all checks included, against a warm Spark that reads the same CSV as strings into Delta."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

from benchmarks import wide_table
from benchmarks.figures import Bench, Figure, Outcome, alternating, median_ratio, shown, timed
from lakehouse.bronze import step as bronze
from lakehouse.contract.odcs import read_contract
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import step as landing
from lakehouse.spark.session import spark_session

DAY = date(2018, 1, 1)
ROWS, QUICK_ROWS = 2_000_000, 300_000
REPETITIONS, QUICK_REPETITIONS = 5, 2
WHY = "the parser uses one core, Spark's reader all of them"


def measure(bench: Bench) -> Outcome:
    """Run both ways in turn, each into an empty place, after Spark has done the same work once."""
    rows = QUICK_ROWS if bench.quick else ROWS
    folder = bench.sandbox.folder("bronze")
    settings = bench.sandbox.settings(
        "bronze", source=wide_table.SOURCE, contracts_dir=wide_table.write_contract(folder / "contracts")
    )
    contract = read_contract(settings.contracts_dir, settings.source)
    table = contract.table(wide_table.TABLE)
    csv = folder / "parcels.csv"
    wide_table.write_csv(csv, rows)
    bench.note("landing the file")
    seconds_to_land = timed(lambda: landing.land(Lakehouse(settings, contract), [csv], DAY))
    (landed,) = landing.land(Lakehouse(settings, contract), [csv], DAY)
    lake, delta = Path(settings.layer_url("bronze")), folder / "delta"

    def bronzes() -> float:
        shutil.rmtree(lake, ignore_errors=True)
        result = bronze.run(Lakehouse(settings, contract), table, landed.manifest)
        assert result.counts == {"records": rows, "rejected": 0, "bronze": rows}
        return result.seconds

    with spark_session(settings) as spark:
        schema = ", ".join(f"{name} string" for name in table.column_names)

        def sparks() -> float:
            shutil.rmtree(delta, ignore_errors=True)
            records = spark.read.schema(schema).csv(str(csv), header=True)
            return timed(lambda: records.write.format("delta").save(str(delta)))

        bench.note("warming Spark up")
        sparks()
        bench.note("measuring")
        seconds = alternating(QUICK_REPETITIONS if bench.quick else REPETITIONS, {"bronze": bronzes, "spark": sparks})
        assert spark.read.format("delta").load(str(delta)).count() == rows
    ratio = median_ratio(seconds["spark"], seconds["bronze"])
    whole = median_ratio(seconds["spark"], [seconds_to_land + one for one in seconds["bronze"]])
    outcome = Outcome(f"{rows:,} rows x 10 columns, {csv.stat().st_size / 1e6:,.0f} MB of CSV")
    outcome.figures = [
        Figure(
            "bronze against warm Spark, CSV as strings into Delta",
            f"{ratio:.1f} times as fast: {shown(seconds['bronze'])} against {shown(seconds['spark'])}",
            "≥ 3.0 times",
            ratio >= 3.0,
            WHY,
        ),
        Figure(
            "the same including landing, which checks quotes and takes the SHA-256 in one pass",
            f"{whole:.1f} times as fast: landing takes {seconds_to_land:.2f} s",
        ),
    ]
    shutil.rmtree(folder)
    return outcome
