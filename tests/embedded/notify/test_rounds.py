"""A round of the notifier, while Airflow goes on: what ends between two of its questions is reported once, too."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from lakehouse import warehouse
from lakehouse.notify.events import EndedBackfill, EndedRun
from lakehouse.settings import Settings
from lakehouse_airflow import ended_runs

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
DAYS = (date(2018, 1, 1), date(2018, 1, 2))
BACKFILL = SimpleNamespace(id=1)


@dataclass
class Airflow:
    """A backfill of two days. `ended`: its runs so far; `after_runs`: what ends right after a round has asked."""

    begun_at: datetime
    ended: list[EndedRun] = field(default_factory=list)
    after_runs: list[EndedRun] = field(default_factory=list)

    def ended_since(self, *_: object) -> list[EndedRun]:
        found = list(self.ended)
        self.ended += self.after_runs
        self.after_runs = []
        return found

    def backfills(self, _: object) -> dict[str, list[Any]]:
        return {"backfill/two": [BACKFILL]}

    def describe(self, _: object, run: EndedRun, unreported: list[Any]) -> EndedRun:
        return replace(run, belongs_to_backfill=BACKFILL in unreported)

    def ended_backfill(self, *_: object) -> EndedBackfill | None:
        if len(self.ended) < len(DAYS):
            return None
        return EndedBackfill("two", DAYS, tuple(self.ended), self.begun_at, self.begun_at, "http://backfill")


def stub(monkeypatch: pytest.MonkeyPatch, name: str, **attributes: Any) -> None:
    module = ModuleType(name)
    vars(module).update(attributes)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    """Airflow is not installed here: only its base class, a decorator and a session are asked for."""
    stub(monkeypatch, "airflow.listeners", hookimpl=lambda function: function)
    stub(monkeypatch, "airflow.plugins_manager", AirflowPlugin=object)
    stub(monkeypatch, "airflow.utils.session", create_session=lambda **_: nullcontext())
    fake = Airflow(datetime.now(UTC))
    monkeypatch.setattr(ended_runs, "event_id", lambda run: run.event_id)
    for name in ("ended_since", "backfills", "describe", "ended_backfill"):
        monkeypatch.setattr(ended_runs, name, getattr(fake, name))
    return fake


def run(day: date) -> EndedRun:
    now = datetime.now(UTC)
    return EndedRun("lake", f"of {day}", 0, True, now - timedelta(seconds=3), now, "http://run", day)


def sent(settings: Settings) -> list[str]:
    with warehouse.cursor(settings) as cursor:
        cursor.execute("select event_id from ops.notices where not is_silent order by notice_id")
        return [event for (event,) in cursor.fetchall()]


def test_a_run_that_ends_while_a_round_works_is_part_of_its_backfills_summary(
    settings: Settings, airflow: Airflow
) -> None:
    from plugins.notifier import note_what_ended

    airflow.ended, airflow.after_runs = [run(DAYS[0])], [run(DAYS[1])]

    for _ in range(3):
        assert note_what_ended(settings, LONG_AGO)

    assert sent(settings) == ["backfill/two"]


def test_a_run_of_a_backfill_that_is_cleared_after_the_summary_is_reported(
    settings: Settings, airflow: Airflow
) -> None:
    from plugins.notifier import note_what_ended

    airflow.ended = [run(DAYS[0]), run(DAYS[1])]
    note_what_ended(settings, LONG_AGO)
    airflow.ended[1] = replace(airflow.ended[1], clear_number=1)

    note_what_ended(settings, LONG_AGO)

    assert sent(settings) == ["backfill/two", f"lake/of {DAYS[1]}/1/ended"]


def test_a_run_of_which_no_message_can_be_made_is_noted_without_details_and_stops_nothing(
    settings: Settings, airflow: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plugins.notifier import note_what_ended

    odd, other = run(DAYS[0]), run(DAYS[1])
    airflow.ended = [odd, other]

    def describe(_: object, run: EndedRun, unreported: list[Any]) -> EndedRun:
        if run is odd:
            raise ValueError("A string literal cannot contain NUL \0")
        return replace(run, belongs_to_backfill=True)

    monkeypatch.setattr(ended_runs, "describe", describe)
    monkeypatch.setattr(ended_runs, "url_of", lambda run: "http://run")
    monkeypatch.setattr(ended_runs, "batch_date", lambda run: DAYS[0])
    airflow.ended[0] = SimpleNamespace(  # type: ignore[call-overload]
        event_id=odd.event_id, dag_id="lake", state="failed", end_date=odd.ended_at, ended_at=odd.ended_at
    )
    odd = airflow.ended[0]

    assert note_what_ended(settings, LONG_AGO)
    assert note_what_ended(settings, LONG_AGO)

    assert sent(settings) == [odd.event_id, "backfill/two"]
    with warehouse.cursor(settings) as cursor:
        cursor.execute("select text, kind from ops.notices where event_id = %s", (odd.event_id,))
        assert cursor.fetchone() == (
            f"❌ lake {DAYS[0]} failed\nDetails: not known: A string literal cannot contain NUL \\x00\nThe run: http://run\n"
            f"Event: {odd.event_id}",
            "failed",
        )
