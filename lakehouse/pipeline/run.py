"""Landed batches -> marts: the steps in their order. The table of contents of this package.

    landing.land        a delivery arrives         files        -> landing
    bronze.run          as sent, strict            landing      -> bronze
    silver.run          typed, unique              bronze       -> silver, quarantine
    load.run            published                  silver       -> raw_<source>
    marts.run           star schema                raw_<source> -> marts
    reconcile           every record counted       all of them

Tables go through the lake side by side, the batches of one table one after another. A table that fails does not stop
the others, but no marts are built. Run again, only what is not done is done.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, Protocol

from lakehouse import warehouse
from lakehouse.bronze import step as bronze
from lakehouse.contract.model import Contract
from lakehouse.errors import LakehouseError
from lakehouse.lake.conformance import ensure_conformance
from lakehouse.lake.ledger import StepResult
from lakehouse.landing.manifest import read_manifest, read_manifests
from lakehouse.load import step as load
from lakehouse.marts import step as marts
from lakehouse.marts.step import MartsResult
from lakehouse.pipeline import reconcile
from lakehouse.pipeline.pending import STEPS, Pending, Step, pending_steps
from lakehouse.settings import LAYERS, Settings
from lakehouse.silver import step as silver

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Two cores keep two tables busy: while one waits for the store or the warehouse, the other computes.
TABLES_AT_ONCE = 2
# What a run of so many bytes of CSV gains from the JVM's second compiler is less than what compiling costs.
BRIEF_BYTES = 256 * 1024 * 1024


class Observer(Protocol):
    """Who wants to see a run while it runs; called from several threads."""

    def planned(self, pending: list[Pending]) -> None:
        """What is going to be done."""

    def started(self, step: str, table: str, batch_date: date) -> None:
        """A step begins with one table of one batch."""

    def finished(self, result: StepResult) -> None:
        """It is through."""

    def model(self, name: str, rows: int | None, seconds: float) -> None:
        """dbt is through with a model or test."""

    def note(self, text: str) -> None:
        """Something to say that belongs to no table."""


@dataclass(frozen=True)
class RunReport:
    """What a run did. `results` and `marts` are empty and not done when there was nothing new."""

    results: tuple[StepResult, ...]
    marts: MartsResult
    seconds: float

    @property
    def did_something(self) -> bool:
        """Whether anything was written."""
        return self.marts.done or any(result.done for result in self.results)


def run(
    settings: Settings,
    contract: Contract,
    observer: Observer,
    *,
    full_refresh: bool = False,
    spark: SparkSession | None = None,
) -> RunReport:
    """Take everything landed through all steps, build the marts once, and count every record.

    Without `spark` a session is started if a step needs one, and closed at the end.

    Raises the LakehouseError of the table that failed (one with all their texts if several did), MartsError, or
    ReconciliationError.
    """
    begin = time.monotonic()
    warehouse.prepare(settings)
    load.ensure_tables(settings, contract)
    results = run_lake(settings, contract, observer, spark)
    reconcile.tables(settings, contract, results)
    built = marts.run(
        settings,
        contract,
        full_refresh=full_refresh,
        log=lambda node: observer.model(node.name, node.rows_written, node.seconds),
    )
    if reconcile.facts_are_due(settings, contract):
        reconcile.facts(settings, contract)
    return RunReport(tuple(results), built, time.monotonic() - begin)


def run_lake(
    settings: Settings, contract: Contract, observer: Observer, spark: SparkSession | None = None
) -> list[StepResult]:
    """Bring every pending table and batch from landing to raw_<source>; the results of what was done."""
    return _run_units(settings, contract, observer, pending_now(settings, contract), STEPS, spark)


def run_step(
    settings: Settings,
    contract: Contract,
    step: Step,
    observer: Observer,
    *,
    table: str | None = None,
    batch_date: date | None = None,
) -> list[StepResult]:
    """Do one step where it is the next one due. The records of what was loaded are not counted yet."""
    pending = pending_now(settings, contract, table=table, batch_date=batch_date)
    return _run_units(settings, contract, observer, [unit for unit in pending if unit.step == step], (step,))


def pending_now(
    settings: Settings, contract: Contract, *, table: str | None = None, batch_date: date | None = None
) -> list[Pending]:
    """What is still to be done of everything landed, or of one table, one batch."""
    if table is not None:
        contract = replace(contract, tables=(contract.table(table),))
    if batch_date is None:
        return pending_steps(settings, contract, read_manifests(settings))
    manifest = read_manifest(settings, batch_date)
    return pending_steps(settings, contract, [manifest] if manifest else [])


def _run_units(
    settings: Settings,
    contract: Contract,
    observer: Observer,
    units: list[Pending],
    steps: tuple[Step, ...],
    session: SparkSession | None = None,
) -> list[StepResult]:
    observer.planned(units)
    if not units:
        return []
    # A step writes the layer of its name, and its user no other; the load writes none.
    ensure_conformance(settings, *(layer for layer in LAYERS if layer in steps))
    with (
        SparkWhenNeeded(settings, session, brief=sum(unit.size for unit in units) < BRIEF_BYTES) as spark,
        ThreadPoolExecutor(TABLES_AT_ONCE, thread_name_prefix="table") as pool,
    ):
        if steps != ("bronze",):
            spark.prepare()
        by_table = [[*of_table] for _, of_table in groupby(units, key=lambda unit: unit.table)]
        # The largest table first: what runs longest must not start last.
        by_table.sort(key=lambda of_table: -sum(unit.size for unit in of_table))
        if len(by_table) == 1:  # in this thread: a time limit that an orchestrator sets ends no other
            return _run_table(settings, contract, by_table[0], steps, spark, observer)
        return _collect([pool.submit(_run_table, settings, contract, u, steps, spark, observer) for u in by_table])


def _run_table(
    settings: Settings,
    contract: Contract,
    units: list[Pending],
    steps: tuple[Step, ...],
    spark: SparkWhenNeeded,
    observer: Observer,
) -> list[StepResult]:
    table = contract.table(units[0].table)
    results: list[StepResult] = []
    with warehouse.lock(settings, f"{contract.source}.{table.name}"):
        for unit in units:
            # Read again under the lock: a redelivery may have come while this run waited for another one.
            manifest = read_manifest(settings, unit.batch_date)
            assert manifest is not None, "a landed batch is never removed"
            for step in steps:
                observer.started(step, table.name, unit.batch_date)
                if step == "bronze":
                    result = bronze.run(settings, contract, table, manifest)
                elif step == "silver":
                    result = silver.run(settings, contract, table, manifest, spark.session())
                else:
                    result = load.run(settings, contract, table, manifest, spark.session())
                results.append(result)
                observer.finished(result)
    return results


def _collect(futures: list[Future[list[StepResult]]]) -> list[StepResult]:
    """All tables' results; the errors of all tables in one when some failed."""
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


class SparkWhenNeeded:
    """A Spark session that starts in the background and is waited for by the first step that needs it.

    One that was given is used, and left open. `brief`: see spark_session.
    """

    def __init__(self, settings: Settings, given: SparkSession | None = None, *, brief: bool = False) -> None:
        self._settings = settings
        self._given = given
        self._brief = brief
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="spark")
        self._open = ExitStack()
        self._starting: Future[SparkSession] | None = None

    def __enter__(self) -> SparkWhenNeeded:
        return self

    def __exit__(self, *exception: object) -> None:
        self._starter.shutdown(wait=True)
        self._open.close()

    def prepare(self) -> None:
        """Begin to start; returns at once."""
        if self._given is None and self._starting is None:
            self._starting = self._starter.submit(self._start)

    def session(self) -> SparkSession:
        """The session, once it is there."""
        if self._given is not None:
            return self._given
        self.prepare()
        assert self._starting is not None
        return self._starting.result()

    def _start(self) -> SparkSession:
        from lakehouse.spark.session import spark_session  # pyspark takes half a second to import

        return self._open.enter_context(spark_session(self._settings, brief=self._brief))
