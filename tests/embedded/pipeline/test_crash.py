"""Killed at any point and started again, the pipeline ends where an undisturbed run ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from outcomes import all_rows, days_of, differences, query

from lakehouse.contract import Contract
from lakehouse.pipeline import RunReport, pending_now
from lakehouse.settings import PROJECT_DIR, Settings
from lakehouse.synthetic import Truth

# A run that kills itself with SIGKILL at the n-th call of a function, before or after the call.
RUN = """
import itertools, os, signal, sys
from importlib import import_module

module, name, when, call = sys.argv[1:5]
owner = import_module(module)
*parents, name = name.split(".")
for parent in parents:
    owner = getattr(owner, parent)
original, calls = getattr(owner, name), itertools.count(1)

def killing(*arguments, **options):
    is_the_one = next(calls) == int(call)
    if is_the_one and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = original(*arguments, **options)
    if is_the_one and when == "after":
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(owner, name, killing)
from lakehouse.cli import main
sys.argv = ["lakehouse", "run", *sys.argv[5:]]
main()
"""

# Each point is reached by the run that goes on where the one before it was killed.
# What is interrupted, module, function, when, at which call.
POINTS = (
    ("between the files and the manifests of a delivery", "lakehouse.landing", "_publish", "before", "1"),
    ("in the middle of bronze's stream", "lakehouse.bronze", "_Batch._with_lineage", "before", "2"),
    ("between bronze's commit and its ledger", "lakehouse.ledger", "record", "before", "2"),
    ("between silver's quarantine and its rows", "lakehouse.silver", "_Batch._write_silver", "before", "1"),
    ("between silver's commit and its ledger", "lakehouse.silver", "_Batch._write_silver", "after", "1"),
    ("with an empty staging table", "lakehouse.raw_tables", "create_staging", "after", "1"),
    ("between copy and publication", "lakehouse.load", "_Publication.publish", "before", "1"),
    ("in the publishing transaction", "lakehouse.load", "_Publication.publish", "after", "2"),
    ("between load and reconciliation", "lakehouse.reconcile", "tables", "before", "1"),
    ("in the middle of dbt", "lakehouse.marts", "_Node", "after", "14"),
    ("between dbt and the watermark", "lakehouse.marts", "_mark_complete", "before", "1"),
    ("between the marts and their reconciliation", "lakehouse.reconcile", "facts", "before", "1"),
)


def killed_run(settings: Settings, module: str, name: str, when: str, call: str, *paths: Path) -> None:
    """A run in a process of its own that does not survive the point; its dbt dies with it."""
    environment = {
        **os.environ,
        "LAKEHOUSE_HOME": str(settings.home),
        "LAKEHOUSE_EMBEDDED_POSTGRES_DIR": str(settings.embedded_postgres_dir),
        "LAKEHOUSE_POSTGRES_PORT": str(settings.postgres_port),
        "LAKEHOUSE_JARS_DIR": str(settings.jars_path),
    }
    arguments = [*map(str, paths), "--state", settings.state_name]
    done = subprocess.run(
        [sys.executable, "-c", RUN, module, name, when, call, *arguments],
        env=environment,
        cwd=PROJECT_DIR,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, f"{name}, call {call}, was not reached: {done.stdout} {done.stderr}"


def half_published(settings: Settings, contract: Contract) -> list[str]:
    """Tables and batches of which a reader sees some rows, but not those that the load log says."""
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


def test_killed_at_every_point_one_after_the_other_the_end_is_the_same(
    shop: tuple[Path, Truth],
    new_state: Callable[..., Settings],
    run: Callable[..., RunReport],
    contract: Contract,
    tmp_path: Path,
) -> None:
    first, second = days_of(shop[0])[:2]
    batch = tmp_path / second.name
    batch.mkdir()
    for table in ("orders", "customers", "order_items"):
        (batch / f"olist_{table}_dataset.csv").write_bytes((second / f"olist_{table}_dataset.csv").read_bytes())
    settings, undisturbed = new_state(), new_state()
    # The second batch is what the kills happen to: the first one is history, and must not suffer either.
    for state in (settings, undisturbed):
        run(state, first)

    for point, *where in POINTS:
        killed_run(settings, *where, batch)
        assert half_published(settings, contract) == [], point
    run(settings, batch)

    run(undisturbed, batch)
    assert pending_now(settings, contract) == []
    assert differences(all_rows(settings), all_rows(undisturbed)) == {}
    raw, expected = all_rows(settings, "raw_olist"), all_rows(undisturbed, "raw_olist")
    assert differences({n: r for n, r in raw.items() if not n.startswith("_staging")}, expected) == {}
    assert query(settings, "select status from ops.marts_state", "loader") == [("complete",)]


@pytest.mark.parametrize("call", ["3", "20"])
def test_a_first_build_killed_within_dbt_is_completed(
    call: str, shop: tuple[Path, Truth], new_state: Callable[..., Settings], run: Callable[..., RunReport]
) -> None:
    settings, undisturbed = new_state(), new_state()
    day = days_of(shop[0])[0]

    killed_run(settings, "lakehouse.marts", "_Node", "after", call, day)
    run(settings)

    run(undisturbed, day)
    assert differences(all_rows(settings), all_rows(undisturbed)) == {}
