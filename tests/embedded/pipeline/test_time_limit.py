"""An orchestrator's time limit, set by a signal, ends a step immediately: the main thread does the work itself."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lakehouse.bronze import step as bronze
from lakehouse.contract.model import Contract
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import step as landing
from lakehouse.pipeline import run as pipeline
from lakehouse.sample_data.synthetic import Truth
from lakehouse.settings import Settings
from tests.support.lake import Silent, days_of

LIMIT_SECONDS, WORK_SECONDS = 1, 30


class OutOfTime(BaseException):
    """The same as Airflow's AirflowTaskTimeout."""


@pytest.fixture
def alarm() -> Iterator[None]:
    """SIGALRM raises, as under Airflow; the test sets the timer."""

    def ring(*_: Any) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, ring)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_it_ends_a_step_of_one_table(
    settings: Settings, contract: Contract, shop: tuple[Path, Truth], monkeypatch: pytest.MonkeyPatch, alarm: None
) -> None:
    (landed,) = landing.land(Lakehouse(settings, contract), [days_of(shop[0])[0]])
    monkeypatch.setattr(bronze, "run", lambda *_: time.sleep(WORK_SECONDS))
    signal.setitimer(signal.ITIMER_REAL, LIMIT_SECONDS)
    begin = time.monotonic()

    with pytest.raises(OutOfTime):
        pipeline.run_step(
            Lakehouse(settings, contract), "bronze", Silent(), table="orders", batch_date=landed.manifest.batch_date
        )

    assert time.monotonic() - begin < WORK_SECONDS / 2
