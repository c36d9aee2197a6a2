"""What one day costs: each step of a batch of 500 orders, with 16 times the history behind it."""

from __future__ import annotations

import shutil
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from benchmarks.figures import Bench, Figure, Outcome, Table
from lakehouse import warehouse
from lakehouse.bronze import step as bronze
from lakehouse.contract.model import Contract
from lakehouse.contract.odcs import read_contract
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import step as landing
from lakehouse.landing.manifest import read_manifest
from lakehouse.load import step as load
from lakehouse.marts import step as marts
from lakehouse.marts.dbt import Node
from lakehouse.pipeline import reconcile
from lakehouse.pipeline import run as pipeline
from lakehouse.sample_data.synthetic import ORDERS_PER_DAY, generate
from lakehouse.settings import Settings
from lakehouse.silver import step as silver
from lakehouse.spark.session import spark_session
from lakehouse.steps import Pending, StepResult

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Done = TypeVar("Done")

ORDERS_OF_A_DAY = 500
START = date(2018, 1, 1)
# The larger history has this many times the batches, too: partitions, files and log entries grow like the rows.
SMALL, LARGE, BATCHES = 100_000, 1_600_000, 5
QUICK_SMALL, QUICK_LARGE, QUICK_BATCHES = 2_000, 32_000, 1
DAYS, QUICK_DAYS = 6, 3
STEPS = ("land", "pending", "bronze", "silver", "load", "reconcile tables", "marts", "reconcile facts")
BUILD = "marts, dbt's start included"
WHY = {
    "marts": "see the models below",
    "pending": "it compares the fingerprints of every landed batch, 16 times as many: under half a millisecond each",
    "reconcile facts": "four pairs of counts by index, hundredths of a second",
}


@dataclass
class _Shop:
    """A history, and the seconds of each step of the days after it."""

    settings: Settings
    contract: Contract
    source: Path
    orders: int
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    models: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    full_refresh: float = 0.0
    seconds_to_build: float = 0.0


def measure(bench: Bench) -> Outcome:
    """Run both histories through the pipeline, then their days in turn, in one process with one warm Spark."""
    small, large = (QUICK_SMALL, QUICK_LARGE) if bench.quick else (SMALL, LARGE)
    days = QUICK_DAYS if bench.quick else DAYS
    batches = QUICK_BATCHES if bench.quick else BATCHES
    shops = [_shop(bench, "small", small, batches, days), _shop(bench, "large", large, batches * large // small, days)]
    for shop in shops:
        bench.note(f"processing {shop.orders:,} orders of history")
        _bring_history(shop)
    with spark_session(shops[0].settings) as spark:
        for day in range(days):
            for shop in shops:
                bench.note(f"day {day + 1} of {days} after {shop.orders:,} orders")
                # The first day warms up: Spark compiles its plans, and the server's cache fills.
                _one_day(shop, START + timedelta(days=day), spark, counts=day > 0)
    for shop in shops:
        warehouse.drop_database(shop.settings)
        shutil.rmtree(shop.source)
        shutil.rmtree(shop.settings.workspace_dir)
    return _outcome(shops[0], shops[1], days - 1)


def _shop(bench: Bench, name: str, orders: int, batches: int, days: int) -> _Shop:
    bench.note(f"generating {orders:,} orders in {batches} batches")
    settings = bench.sandbox.settings(f"daily_{name}")
    source = bench.sandbox.folder(f"daily_{name}")
    generate(
        source / "deliveries",
        days=days,
        start=START,
        scale=ORDERS_OF_A_DAY / ORDERS_PER_DAY,
        history_orders=orders,
        history_batches=batches,
    )
    return _Shop(settings, read_contract(settings.contracts_dir, settings.source), source, orders)


def _bring_history(shop: _Shop) -> None:
    past = [path for path in sorted((shop.source / "deliveries").iterdir()) if path.name < START.isoformat()]
    history = shop.source / "history"
    history.mkdir()
    for path in past:
        if path.is_dir():
            path.rename(history / path.name)
    begin = time.monotonic()
    landing.land(Lakehouse(shop.settings, shop.contract), [history])
    shutil.rmtree(history)
    models: list[float] = []
    report = pipeline.run(Lakehouse(shop.settings, shop.contract), _Quiet(lambda name, seconds: models.append(seconds)))
    assert report.marts.full_refresh, "the first build makes everything"
    shop.full_refresh = sum(models)
    shop.seconds_to_build = time.monotonic() - begin


def _one_day(shop: _Shop, day: date, spark: SparkSession, *, counts: bool) -> None:
    """Run the steps as pipeline/run.py does, one table after the other; `counts`: whether their seconds are kept."""
    settings, contract = shop.settings, shop.contract
    seconds: dict[str, float] = defaultdict(float)
    models: dict[str, float] = defaultdict(float)

    def clock(step: str, work: Callable[[], Done]) -> Done:
        begin = time.perf_counter()
        done = work()
        seconds[step] += time.perf_counter() - begin
        return done

    lakehouse = Lakehouse(settings, contract)
    clock("land", lambda: landing.land(lakehouse, [shop.source / "deliveries" / day.isoformat()]))
    clock("pending", lambda: pipeline.pending_now(lakehouse))
    manifest = read_manifest(lakehouse, day)
    assert manifest is not None
    results: list[StepResult] = []
    for table in (contract.table(name) for name in contract_order(contract) if name in manifest.tables):
        with warehouse.lock(settings, f"{contract.source}.{table.name}"):
            clock("bronze", partial(bronze.run, lakehouse, table, manifest))
            clock("silver", partial(silver.run, lakehouse, table, manifest, spark))
            results.append(clock("load", partial(load.run, lakehouse, table, manifest, spark)))
    assert results and all(result.done for result in results)
    clock("reconcile tables", lambda: reconcile.tables(lakehouse, results))

    def log(node: Node) -> None:
        models[node.name] += node.seconds

    built = clock(BUILD, lambda: marts.run(lakehouse, log=log))
    assert built.done and not built.full_refresh
    seconds["marts"] = sum(models.values())
    clock("reconcile facts", lambda: reconcile.facts(lakehouse))
    if counts:
        for step, value in seconds.items():
            shop.seconds[step].append(value)
        for name, value in models.items():
            shop.models[name].append(value)


def contract_order(contract: Contract) -> list[str]:
    """Names of the tables, in the contract's order."""
    return [table.name for table in contract.tables]


def _outcome(small: _Shop, large: _Shop, days: int) -> Outcome:
    outcome = Outcome(
        f"batches of {ORDERS_OF_A_DAY} orders, median of {days}, after {large.orders:,} and {small.orders:,} orders"
    )
    for step in (*STEPS, BUILD):
        before, after = (statistics.median(shop.seconds[step]) for shop in (small, large))
        growth = after / before
        judged = step != BUILD
        outcome.figures.append(
            Figure(
                f"a day's {step}" if judged else f"({step})",
                f"{growth:.2f} times: {after:.2f} s against {before:.2f} s",
                "≤ 1.5 times" if judged else "",
                growth <= 1.5 if judged else None,
                WHY.get(step, ""),
            )
        )
    control = large.full_refresh / small.full_refresh
    outcome.figures.append(
        Figure(
            "control: a full refresh of the marts",
            f"{control:.1f} times: {large.full_refresh:.1f} s against {small.full_refresh:.1f} s",
            "≥ 8 times",
            control >= 8,
        )
    )
    growths = {
        name: statistics.median(seconds) - statistics.median(small.models[name])
        for name, seconds in large.models.items()
        if name in small.models
    }
    rows = [
        (name, f"{statistics.median(small.models[name]):.3f}", f"{statistics.median(large.models[name]):.3f}")
        for name in sorted(growths, key=lambda name: -growths[name])[:10]
    ]
    outcome.tables = [
        Table("Models and tests that grow most (seconds)", ("name", "small history", "large history"), rows),
        Table(
            "Processing the history through all steps (seconds)",
            ("orders", "seconds", "of which dbt's models and tests"),
            [(f"{s.orders:,}", f"{s.seconds_to_build:.0f}", f"{s.full_refresh:.0f}") for s in (small, large)],
        ),
    ]
    return outcome


class _Quiet:
    """A pipeline's observer that only passes on the models."""

    def __init__(self, on_model: Callable[[str, float], None]) -> None:
        self._on_model = on_model

    def planned(self, pending: list[Pending]) -> None:
        pass

    def started(self, step: str, table: str, batch_date: date) -> None:
        pass

    def finished(self, result: StepResult) -> None:
        pass

    def model(self, name: str, rows: int | None, seconds: float) -> None:
        self._on_model(name, seconds)

    def note(self, text: str) -> None:
        pass
