"""Landed batches -> marts: the steps in order. This list is an overview of the whole project:

    landing.land        a delivery arrives         files        -> landing
    bronze.run          as sent, strict            landing      -> bronze
    silver.run          typed, unique              bronze       -> silver, quarantine
    load.run            published                  silver       -> raw_<source>
    marts.run           star schema                raw_<source> -> marts
    reconcile           every record counted       all of them

Two tables are processed at the same time; the batches of one table, one after another. A table that fails does not stop
the others, but then no marts are built. A table that is held (load/held.py) stops nothing. A later run does only what
is not yet done.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date
from itertools import groupby, product
from typing import TYPE_CHECKING

from lakehouse import warehouse
from lakehouse.bronze import step as bronze
from lakehouse.contract.model import TableContract
from lakehouse.errors import LakehouseError
from lakehouse.lake.conformance import ensure_conformance
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing.manifest import Manifest, read_manifest, read_manifests
from lakehouse.load import rebuild as load_rebuild
from lakehouse.load import step as load
from lakehouse.load.held import explained
from lakehouse.marts import step as marts
from lakehouse.marts.step import MartsResult
from lakehouse.pipeline import reconcile
from lakehouse.pipeline.pending import pending_steps
from lakehouse.settings import LAYERS
from lakehouse.silver import rebuild as silver_rebuild
from lakehouse.silver import step as silver
from lakehouse.spark.background import SparkWhenNeeded
from lakehouse.spark.watch import executors_watched
from lakehouse.steps import STEP_NAMES, Observer, Pending, StepName, StepResult

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Two cores keep two tables busy: while one waits for the store or the warehouse, the other computes.
PARALLEL_TABLES = 2
# Bytes of CSV below which compiling by the JVM's second compiler (C2) costs more than it saves.
SHORT_RUN_BYTES = 256 * 1024 * 1024

RUN: dict[StepName, Callable[[Lakehouse, TableContract, Manifest, SparkWhenNeeded], StepResult]] = {
    "bronze": lambda lakehouse, table, manifest, _: bronze.run(lakehouse, table, manifest),
    "silver": lambda lakehouse, table, manifest, spark: silver.run(lakehouse, table, manifest, spark.session()),
    "load": lambda lakehouse, table, manifest, spark: load.run(lakehouse, table, manifest, spark.session()),
}


@dataclass(frozen=True)
class RunReport:
    """What a run did. When there was nothing new, `results` is empty and `marts.done` is false."""

    results: tuple[StepResult, ...]
    marts: MartsResult
    seconds: float

    @property
    def has_held(self) -> bool:
        """Whether a table of a batch was not loaded because too many of its records are bad."""
        return any(result.is_held for result in self.results)

    @property
    def did_something(self) -> bool:
        """Whether anything was written."""
        return self.marts.done or any(result.done for result in self.results)


def run(
    lakehouse: Lakehouse,
    observer: Observer,
    *,
    full_refresh: bool = False,
    spark: SparkSession | None = None,
) -> RunReport:
    """Process everything landed through all steps, build the marts once, and count every record.

    Without `spark`, a session is started if a step needs one, and closed at the end.

    Raises the LakehouseError of the table that failed (if several failed, one error with all texts), MartsError, or
    ReconciliationError.
    """
    begin = time.monotonic()
    warehouse.prepare(lakehouse.settings)
    load.ensure_tables(lakehouse)
    results = run_lake(lakehouse, observer, spark)
    reconcile.tables(lakehouse, results)
    built = marts.run(
        lakehouse,
        full_refresh=full_refresh,
        log=lambda node: observer.model(node.name, node.rows_written, node.seconds),
    )
    if reconcile.facts_are_due(lakehouse):
        reconcile.facts(lakehouse)
    return RunReport(tuple(results), built, time.monotonic() - begin)


def run_lake(lakehouse: Lakehouse, observer: Observer, spark: SparkSession | None = None) -> list[StepResult]:
    """Process every pending table and batch from landing to raw_<source>; return the results."""
    return _run_units(lakehouse, observer, pending_now(lakehouse), STEP_NAMES, spark)


def run_step(
    lakehouse: Lakehouse,
    step: StepName,
    observer: Observer,
    *,
    table: str | None = None,
    batch_date: date | None = None,
) -> list[StepResult]:
    """Run one step for every table and batch where it is the next one due. Loaded records are not counted here.

    Of a table with new types, all batches are taken, whatever `batch_date` says: they change together or not at all.
    The results of the load say which tables are held, also those that were held before.
    """
    pending = pending_now(lakehouse, table=table, batch_date=batch_date)
    if batch_date is not None:
        for name in {unit.table for unit in pending}:
            if _has_new_types(lakehouse, lakehouse.contract.table(name)):
                others = [unit for unit in pending_now(lakehouse, table=name) if unit.batch_date != batch_date]
                pending = sorted([*pending, *others], key=lambda unit: (unit.table, unit.batch_date))
    return _run_units(lakehouse, observer, [unit for unit in pending if unit.step == step], (step,))


def pending_now(lakehouse: Lakehouse, *, table: str | None = None, batch_date: date | None = None) -> list[Pending]:
    """The steps still to run for everything landed, or only for one table or batch."""
    if batch_date is None:
        return pending_steps(lakehouse, read_manifests(lakehouse), table)
    manifest = read_manifest(lakehouse, batch_date)
    return pending_steps(lakehouse, [manifest] if manifest else [], table)


def stop_if_held(lakehouse: Lakehouse, *, table: str | None = None, batch_date: date | None = None) -> None:
    """Raise BatchHeld, which explains what is held of everything landed, or only of one table or batch."""
    units = [unit for unit in pending_now(lakehouse, table=table, batch_date=batch_date) if unit.is_held]
    if units:
        raise explained(lakehouse, units)


def _run_units(
    lakehouse: Lakehouse,
    observer: Observer,
    units: list[Pending],
    steps: tuple[StepName, ...],
    session: SparkSession | None = None,
) -> list[StepResult]:
    held = _hold(lakehouse, [unit for unit in units if unit.is_held])
    units = [unit for unit in units if not unit.is_held]
    observer.planned(units)
    if not units:
        return held
    # Each step writes only to the layer named after it, and its store user has no write access to any other. The load
    # step writes to no layer.
    ensure_conformance(lakehouse.settings, *(layer for layer in LAYERS if layer in steps))
    needs_spark = steps != ("bronze",)
    with (
        SparkWhenNeeded(
            lakehouse.settings, session, short_run=sum(unit.size for unit in units) < SHORT_RUN_BYTES
        ) as spark,
        executors_watched(lakehouse.settings, observer.note) if needs_spark else nullcontext(),
        ThreadPoolExecutor(PARALLEL_TABLES, thread_name_prefix="table") as pool,
    ):
        if needs_spark:
            spark.prepare()
        by_table = [[*of_table] for _, of_table in groupby(units, key=lambda unit: unit.table)]
        # The largest table first, so that the longest work does not start last.
        by_table.sort(key=lambda of_table: -sum(unit.size for unit in of_table))
        if len(by_table) == 1:  # in this thread: an orchestrator's time limit interrupts no other
            return held + _run_table(lakehouse, by_table[0], steps, spark, observer)
        futures = [pool.submit(_run_table, lakehouse, of_one, steps, spark, observer) for of_one in by_table]
        return held + _collect(futures)


def _hold(lakehouse: Lakehouse, units: list[Pending]) -> list[StepResult]:
    """Leave these batches as they are, and see to it that their counts are noted."""
    for name, of_table in groupby(units, key=lambda unit: unit.table):
        with lakehouse.lock_table(name):
            for unit in of_table:
                load.hold(lakehouse, lakehouse.contract.table(name), unit.batch_date)
    return [StepResult("load", unit.table, unit.batch_date, False, {}, 0.0, {}, is_held=True) for unit in units]


def _run_table(
    lakehouse: Lakehouse,
    units: list[Pending],
    steps: tuple[StepName, ...],
    spark: SparkWhenNeeded,
    observer: Observer,
) -> list[StepResult]:
    table = lakehouse.contract.table(units[0].table)
    results: list[StepResult] = []
    with lakehouse.lock_table(table.name):
        # Batch by batch, so that each is soon in the warehouse. But a new type changes all batches of a table together.
        step_by_step = len(units) > 1 and _has_new_types(lakehouse, table)
        in_turn = [steps] if not step_by_step else [(step,) for step in steps]
        for these, unit in product(in_turn, units):
            # Read again under the lock: a batch may have been delivered again while this run waited for another run.
            manifest = read_manifest(lakehouse, unit.batch_date)
            assert manifest is not None, "a landed batch is never removed"
            for step in these:
                observer.started(step, table.name, unit.batch_date)
                result = RUN[step](lakehouse, table, manifest, spark)
                results.append(result)
                observer.finished(result)
    return results


def _has_new_types(lakehouse: Lakehouse, table: TableContract) -> bool:
    """Whether the contract has types that the table in silver or in the warehouse does not have yet."""
    return silver_rebuild.is_due(lakehouse.silver, table) or load_rebuild.is_due(lakehouse, table)


def _collect(futures: list[Future[list[StepResult]]]) -> list[StepResult]:
    """The results of all tables. If tables failed, raises one error with all their texts."""
    results: list[StepResult] = []
    errors: list[LakehouseError] = []
    for future in as_completed(futures):
        try:
            results += future.result()
        except LakehouseError as error:
            errors.append(error)
    if len(errors) > 1:
        raise LakehouseError("\n\n".join(map(str, errors))) from ExceptionGroup("tables that failed", errors)
    if errors:
        raise errors[0]
    return results
