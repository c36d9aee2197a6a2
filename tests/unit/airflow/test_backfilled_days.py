"""Which days `make backfill` processes: those of the range that have ended and have a batch."""

from __future__ import annotations

import importlib.util
from datetime import date, datetime, timedelta, tzinfo

import pytest

from lakehouse.pipeline import arrivals
from lakehouse.pipeline.arrivals import Arrival
from lakehouse.settings import PROJECT_DIR

specification = importlib.util.spec_from_file_location("backfill", PROJECT_DIR / "airflow" / "bin" / "backfill.py")
assert specification is not None and specification.loader is not None
backfill = importlib.util.module_from_spec(specification)
specification.loader.exec_module(backfill)

TODAY = date(2018, 2, 10)
YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)
LONG_AGO = date(2018, 1, 5)


class Noon(datetime):
    """A datetime whose `now` is noon of TODAY."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Noon:
        return cls(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=tz)


@pytest.fixture(autouse=True)
def landed(monkeypatch: pytest.MonkeyPatch) -> None:
    days = (TOMORROW, YESTERDAY, TODAY, LONG_AGO)
    monkeypatch.setattr(arrivals, "landed", lambda _: [Arrival("landing", day, "") for day in days])
    monkeypatch.setattr(backfill, "datetime", Noon)


def test_landed_days_of_the_range_in_order() -> None:
    assert backfill._landed(LONG_AGO, YESTERDAY) == [LONG_AGO, YESTERDAY]
    assert backfill._landed(LONG_AGO, LONG_AGO) == [LONG_AGO]


def test_a_day_that_has_not_ended_is_left_out_and_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert backfill._landed(YESTERDAY, TOMORROW) == [YESTERDAY]

    assert [line[:20] for line in capsys.readouterr().out.splitlines()] == [
        f"{TODAY}  left out",
        f"{TOMORROW}  left out",
    ]


def test_a_range_without_a_batch_is_refused_and_the_landed_range_named() -> None:
    with pytest.raises(SystemExit, match=f"Landed are 4 batches from {LONG_AGO} to {TOMORROW}"):
        backfill._landed(date(2019, 1, 1), date(2019, 2, 1))


def test_a_backfill_for_each_sequence_of_days_with_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "DAYS_AT_ONCE", 3)
    days = [LONG_AGO + timedelta(days=number) for number in (0, 1, 2, 3, 5, 7, 8)]

    sequences = backfill._sequences(days)

    assert sequences == [days[:3], days[3:4], days[4:5], days[5:]]
    assert backfill._sequences([]) == []


def test_a_run_that_was_ended_before_it_began_took_no_time() -> None:
    assert backfill._seconds(None, datetime(2018, 1, 1)) == 0
    assert backfill._seconds(datetime(2018, 1, 1), datetime(2018, 1, 1, 0, 1)) == 60


def test_a_day_with_an_active_run_waits_and_begins_no_backfill(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = [{YESTERDAY}, {YESTERDAY}, set()]
    begun: list[list[date]] = []
    monkeypatch.setattr(backfill, "SECONDS_BETWEEN_QUESTIONS", 0)
    monkeypatch.setattr(backfill, "_active", lambda _: looks.pop(0))
    monkeypatch.setattr(backfill, "_begin", lambda days, _: begun.append(days) or len(begun))
    monkeypatch.setattr(backfill, "_ended", lambda number: iter([(day, "success", 1.0) for day in begun[number - 1]]))

    ended = [day for day, _, _ in backfill._backfilled([LONG_AGO, YESTERDAY], {})]

    assert ended == [LONG_AGO, YESTERDAY]
    assert begun == [[LONG_AGO], [YESTERDAY]]
    assert capsys.readouterr().out == f"{YESTERDAY}  waits for its own run, which is active\n"
