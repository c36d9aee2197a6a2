"""Silver Delta to Postgres, published and indexed, against `psql \\copy` of the same rows and the same two indexes."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
from datetime import date
from pathlib import Path

from psycopg2 import sql

from benchmarks import wide_table
from benchmarks.figures import Bench, Figure, Outcome, Table, alternating, median_ratio, shown, timed
from lakehouse import warehouse
from lakehouse.bronze import step as bronze
from lakehouse.contract.model import Contract, TableContract
from lakehouse.contract.odcs import read_contract
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import step as landing
from lakehouse.load import step as load
from lakehouse.settings import Settings
from lakehouse.silver import step as silver
from lakehouse.spark.session import spark_session
from lakehouse.steps import StepResult
from lakehouse.warehouse.embedded import server as embedded_postgres
from lakehouse.warehouse.embedded.programs import find_programs

DAY = date(2018, 1, 1)
ROWS, QUICK_ROWS = 2_000_000, 300_000
REPETITIONS, QUICK_REPETITIONS = 5, 2
WHY = "Spark's tasks, Python's workers and the server share the cores; psql leaves them all to the server"
RIVAL = "copied"


def measure(bench: Bench) -> Outcome:
    """Run both ways in turn, each into an empty table. psql copies a text file of the same rows."""
    rows = QUICK_ROWS if bench.quick else ROWS
    folder = bench.sandbox.folder("load")
    settings = bench.sandbox.settings(
        "load", source=wide_table.SOURCE, contracts_dir=wide_table.write_contract(folder / "contracts")
    )
    contract = read_contract(settings.contracts_dir, settings.source)
    table = contract.table(wide_table.TABLE)
    csv = folder / "parcels.csv"
    bench.note("processing the rows up to silver")
    wide_table.write_csv(csv, rows)
    (landed,) = landing.land(Lakehouse(settings, contract), [csv], DAY)
    csv.unlink()
    warehouse.prepare(settings)
    bronze.run(Lakehouse(settings, contract), table, landed.manifest)
    results: list[StepResult] = []
    with spark_session(settings) as spark:
        silver.run(Lakehouse(settings, contract), table, landed.manifest, spark)

        def loads() -> float:
            _empty(settings, contract, table)
            with warehouse.lock(settings, f"{contract.source}.{table.name}"):
                results.append(load.run(Lakehouse(settings, contract), table, landed.manifest, spark))
            assert results[-1].counts["raw"] == rows
            return results[-1].seconds

        bench.note("warming up")
        loads()
        rival = _Psql(settings, contract, table, folder / "rows.txt")
        results.clear()
        copies: list[float] = []

        def psqls() -> float:
            copies.append(rival.copy())
            return copies[-1] + rival.index()

        bench.note("measuring")
        repetitions = QUICK_REPETITIONS if bench.quick else REPETITIONS
        seconds = alternating(repetitions, {"load": loads, "psql": psqls})
    share = median_ratio(seconds["psql"], seconds["load"])
    copying = [result.phases["copy"] for result in results]
    copy_share = median_ratio(copies, copying)
    outcome = Outcome(f"{rows:,} rows x 10 columns and 3 of lineage")
    outcome.figures = [
        Figure(
            "load against psql \\copy and two indexes, rows per second",
            f"{share:.2f}: {shown(seconds['load'])} against {shown(seconds['psql'])}",
            "≥ 0.65",
            share >= 0.65,
            WHY,
        ),
        Figure(
            "its copy phase against \\copy alone",
            f"{copy_share:.2f}: {shown(copying)} against {shown(copies)}",
            "≥ 0.70",
            copy_share >= 0.70,
            WHY,
        ),
    ]
    phases = [
        (name, f"{statistics.median(result.phases[name] for result in results):.2f}") for name in results[0].phases
    ]
    outcome.tables = [Table("Where the load's time goes (seconds, medians)", ("phase", "seconds"), phases)]
    _empty(settings, contract, table)
    shutil.rmtree(folder)
    return outcome


def _empty(settings: Settings, contract: Contract, table: TableContract) -> None:
    """Make the warehouse as it was before the first load."""
    with warehouse.cursor(settings) as cursor:
        cursor.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(contract.raw_schema)))
        cursor.execute("delete from ops.load_log where source = %s", (contract.source,))
        cursor.execute("delete from ops.changed_keys where source = %s", (contract.source,))
    load.ensure_tables(Lakehouse(settings, contract))


class _Psql:
    """psql, from the same package as the server, as the role loader."""

    def __init__(self, settings: Settings, contract: Contract, table: TableContract, file: Path) -> None:
        self._settings = settings
        self._psql = find_programs(embedded_postgres.server_dir(settings)).folder / "psql"
        self._file = file
        self._key = ", ".join(table.unique_key)
        self._columns = ", ".join(f"{name} {kind}" for name, kind in table.sql_columns)
        self._run(f"\\copy {contract.raw_schema}.{table.name} to '{file}'")

    def copy(self) -> float:
        """Seconds of \\copy into an equal, empty table."""
        self._run(f"drop table if exists ops.{RIVAL}", f"create table ops.{RIVAL} ({self._columns})")
        return timed(lambda: self._run(f"\\copy ops.{RIVAL} from '{self._file}'"))

    def index(self) -> float:
        """Seconds of making the indexes that a raw table has."""
        statements = [
            f"create index on ops.{RIVAL} ({self._key}, _batch_date)",
            f"create index on ops.{RIVAL} (_batch_date)",
        ]
        return timed(lambda: self._run(*statements))

    def _run(self, *statements: str) -> None:
        words = [str(self._psql), warehouse.uri(self._settings, "loader"), "--no-psqlrc", "--quiet"]
        words += ["--set", "ON_ERROR_STOP=1"]
        for statement in statements:
            words += ["--command", statement]
        options = {"PGPASSWORD": self._settings.password("loader"), "PGOPTIONS": "-c client_min_messages=warning"}
        subprocess.run(words, check=True, env={**os.environ, **options}, stdout=subprocess.DEVNULL)
