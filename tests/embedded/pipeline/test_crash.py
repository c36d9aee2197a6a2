"""A pipeline that is killed at any point and started again ends where an undisturbed run ends."""

from __future__ import annotations

import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.sandbox import free_port
from lakehouse.contract.model import Contract
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import step as landing
from lakehouse.pipeline.run import RunReport, pending_now
from lakehouse.sample_data.synthetic import Truth
from lakehouse.settings import PROJECT_DIR, Settings
from tests.embedded.spark.connect_server import connect_server
from tests.support.lake import all_rows, data_quality, days_of, differences, environment_of, query

Run = Callable[..., RunReport]
CopyOf = Callable[[Settings], Settings]

# The command line, which kills itself with SIGKILL at the n-th call of a function: before the call, after it, as soon
# as the function has made a file appear in a folder, or as soon as it copies into the warehouse.
COMMAND = """
import itertools, os, signal, sys, threading
from importlib import import_module
from pathlib import Path

module, name, when, call, folder, preparation, *words = sys.argv[1:]
exec(preparation)
owner = import_module(module)
*parents, name = name.split(".")
for parent in parents:
    owner = getattr(owner, parent)
original, calls, held = getattr(owner, name), itertools.count(1), []

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def die_when_a_file_appears():
    there = set(Path(folder).rglob("*.parquet"))
    while set(Path(folder).rglob("*.parquet")) == there:
        pass
    die()

def die_when_a_copy_waits(watcher):
    # The staging tables are locked: a task that copies has begun and waits.
    waits = "select exists (select from pg_stat_activity where wait_event_type = 'Lock' and query ilike '%copy%stdin%')"
    while True:
        watcher.execute(waits)
        if watcher.fetchone()[0]:
            die()

def hold_up_copies(settings):
    from lakehouse.warehouse.connections import open_connection
    held.extend(open_connection(settings, "loader", settings.database_name) for _ in range(2))
    held[1].autocommit = True
    holder, watcher = (connection.cursor() for connection in held)
    holder.execute("select format('lock table %I.%I in share mode', schemaname, tablename) from pg_tables "
                   "where tablename like E'\\\\_staging\\\\_%'")
    for (statement,) in holder.fetchall():
        holder.execute(statement)
    threading.Thread(target=die_when_a_copy_waits, args=(watcher,), daemon=True).start()

def killing(*arguments, **options):
    is_the_one = next(calls) == int(call)
    if is_the_one and when == "before":
        die()
    if is_the_one and when == "while it copies":
        hold_up_copies(arguments[0].settings)
    if is_the_one and when == "while it writes":
        threading.Thread(target=die_when_a_file_appears, daemon=True).start()
    result = original(*arguments, **options)
    if is_the_one:
        die()
    return result

setattr(owner, name, killing)
from lakehouse.cli import main
sys.argv = ["lakehouse", *words]
main()
"""


@dataclass(frozen=True)
class Point:
    """Where a command is killed: at which call of a function, after a statement that prepares it.

    `with_spark`: Spark runs in the command and dies with it. Other commands use a server and start no JVM.
    """

    what: str
    module: str
    name: str
    when: str
    call: int = 1
    preparation: str = ""
    with_spark: bool = False


# Each point is reached by the run that continues after the kill before it.
POINTS = (
    Point("between the files and the manifests of a delivery", "lakehouse.landing.step", "_update", "before"),
    Point("between landing and bronze", "lakehouse.bronze.step", "run", "before"),
    Point("in the middle of bronze's stream", "lakehouse.bronze.step", "_Batch._with_lineage", "before", 2),
    Point("between bronze's commit and its ledger", "lakehouse.lake.ledger", "record", "before"),
    Point("between bronze and silver", "lakehouse.silver.step", "run", "before"),
    Point(
        "between silver's quarantine and its rows",
        "lakehouse.silver.partition",
        "SilverPartition.write_silver",
        "before",
    ),
    Point(
        "between silver's commit and its ledger", "lakehouse.silver.partition", "SilverPartition.write_silver", "after"
    ),
    Point(
        "while Spark writes a large batch of silver",
        "lakehouse.silver.partition",
        "SilverPartition._write_by_spark",
        "while it writes",
        preparation="import lakehouse.silver.step; lakehouse.silver.step.SMALL_ROWS = -1",
        with_spark=True,
    ),
    Point("between silver and load", "lakehouse.load.step", "run", "before"),
    Point("with an empty staging table", "lakehouse.load.raw_tables", "create_staging", "after"),
    Point("while Spark's tasks copy", "lakehouse.load.step", "copy_rows", "while it copies", with_spark=True),
    Point("between copy and publication", "lakehouse.load.publication", "Publication.replace_batch", "before"),
    Point("in the publishing transaction", "lakehouse.load.publication", "Publication.replace_batch", "after", 2),
    Point("between load and reconciliation", "lakehouse.pipeline.reconcile", "tables", "before"),
    Point("between reconciliation and marts", "lakehouse.marts.step", "run", "before"),
    Point("in the middle of dbt", "lakehouse.marts.dbt", "Node", "after", 14),
    Point("between dbt and the watermark", "lakehouse.marts.step", "_mark_complete", "before"),
    Point("between the marts and their reconciliation", "lakehouse.pipeline.reconcile", "facts", "before"),
)


@pytest.fixture(scope="module")
def server_of_spark(server: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a command that uses a Spark Connect server."""
    token = secrets.token_hex(16)
    with connect_server(server, free_port(), tmp_path_factory.mktemp("connect"), token) as address:
        yield {"LAKEHOUSE_SPARK_REMOTE": address, "LAKEHOUSE_SPARK_TOKEN": token}


def kill(settings: Settings, point: Point, *words: str, **environment: str) -> None:
    """Run a command in a separate process, which dies at the point."""
    where = [point.module, point.name, point.when, str(point.call), settings.layer_url("silver"), point.preparation]
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *where, *words, "--workspace", settings.workspace_name],
        env=environment_of(settings, **environment),
        cwd=PROJECT_DIR,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, f"{point.what}: was not reached: {done.stdout} {done.stderr}"


def half_published(settings: Settings, contract: Contract) -> list[str]:
    """Tables and batches whose rows differ from those in the load log, as a reader sees them."""
    found = []
    for table in contract.tables:
        rows = query(
            settings,
            f"select coalesce(seen.day, log.batch_date), seen.rows, log.rows from "
            f"(select _batch_date as day, count(*) as rows from raw_olist.{table.name} group by 1) as seen "
            f"full join (select batch_date, rows from ops.load_log where is_current and rows > 0 "
            f"and table_name = '{table.name}') as log on seen.day = log.batch_date "
            f"where seen.rows is distinct from log.rows",
            "loader",
        )
        found += [f"{table.name} {row}" for row in rows]
    return found


def outcome(settings: Settings) -> dict[str, list[tuple[object, ...]]]:
    """The marts, the raw tables and what is noted about them, without times."""
    counted = "source, table_name, batch_date, records, rejected, bronze, duplicates, superseded, quarantined, silver, "
    return {
        **all_rows(settings),
        "data_quality": data_quality(settings),
        **{f"raw {name}": rows for name, rows in all_rows(settings, "raw_olist").items()},
        "loads": query(
            settings,
            "select table_name, batch_date, fingerprint, rows from ops.load_log where is_current order by 1, 2",
            "loader",
        ),
        "reconciliation": query(
            settings, f"select {counted} raw, holds from ops.reconciliation order by 2, 3", "loader"
        ),
        "facts": query(settings, "select mart, holds from ops.mart_reconciliation order by 1", "loader"),
        "state": query(settings, "select source, project_hash, status from ops.marts_state", "loader"),
    }


@pytest.mark.long
def test_a_pipeline_killed_at_every_point_in_turn_ends_the_same(
    shop: tuple[Path, Truth],
    first_day: Settings,
    copy_of: CopyOf,
    run: Run,
    contract: Contract,
    server_of_spark: dict[str, str],
    tmp_path: Path,
) -> None:
    second = days_of(shop[0])[1]
    batch = tmp_path / second.name
    batch.mkdir()
    for table in ("orders", "customers", "order_items"):
        shutil.copy(second / f"olist_{table}_dataset.csv", batch)
    # The kills hit the second batch. The first one is history, and must not change either.
    settings, undisturbed = copy_of(first_day), copy_of(first_day)

    for point in POINTS:
        kill(settings, point, "run", str(batch), **({} if point.with_spark else server_of_spark))
        assert half_published(settings, contract) == [], point.what
    run(settings, batch)

    run(undisturbed, batch)
    assert pending_now(Lakehouse(settings, contract)) == []
    assert differences(outcome(settings), outcome(undisturbed)) == {}


@pytest.mark.parametrize("nodes", [3, 20])
def test_a_full_refresh_killed_in_dbt_is_completed(nodes: int, first_day: Settings, copy_of: CopyOf, run: Run) -> None:
    settings = copy_of(first_day)

    kill(settings, Point("within dbt", "lakehouse.marts.dbt", "Node", "after", nodes), "marts", "--full-refresh")
    run(settings)

    assert differences(outcome(settings), outcome(first_day)) == {}


def test_a_correction_that_is_killed_and_then_withdrawn_leaves_nothing(
    shop: tuple[Path, Truth], first_day: Settings, copy_of: CopyOf, run: Run, contract: Contract, tmp_path: Path
) -> None:
    first = days_of(shop[0])[0]
    settings = copy_of(first_day)
    corrected = tmp_path / first.name
    corrected.mkdir()
    lines = (first / "olist_orders_dataset.csv").read_bytes().split(b"\n")
    (corrected / "olist_orders_dataset.csv").write_bytes(b"\n".join([lines[0], *lines[5:]]))

    # Bronze and silver hold the correction, but silver's ledger does not say so yet; the warehouse has the first rows.
    point = Point("after silver", "lakehouse.silver.partition", "SilverPartition.write_silver", "after")
    kill(settings, point, "run", str(corrected))
    landing.land(Lakehouse(settings, contract), [first])
    run(settings)

    assert differences(outcome(settings), outcome(first_day)) == {}
    silver = query_silver(settings)
    assert silver == query_silver(first_day)


def query_silver(settings: Settings) -> list[tuple[object, ...]]:
    """Keys of the orders in silver."""
    from deltalake import DeltaTable

    table = DeltaTable(f"{settings.layer_url('silver')}/olist/orders").to_pyarrow_table(columns=["order_id", "_row"])
    return sorted((row["order_id"], row["_row"]) for row in table.to_pylist())
