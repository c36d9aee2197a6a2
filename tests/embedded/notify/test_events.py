"""The messages about a run that ended: their kind, and the figures that people ask for first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from psycopg2.extras import Json

from lakehouse import warehouse
from lakehouse.notify.events import EndedBackfill, EndedRun, Failure, note_backfill, note_no_executor, note_run
from lakehouse.notify.outbox import Notice
from lakehouse.settings import Settings
from stack.fake_slack import faults

MONDAY = datetime(2018, 1, 8, 6, 0, tzinfo=UTC)
THE_DAY = date(2018, 1, 5)
FAILURE = Failure("load [orders]", "http://127.0.0.1:8080/dags/lake/log", "ValueError: no such file")


def run(run_id: str = "daily", *, hours: int = 0, **changes: Any) -> EndedRun:
    """A run of `lake` that took three minutes."""
    begin = MONDAY + timedelta(hours=hours)
    ended = EndedRun("lake", run_id, 0, True, begin, begin + timedelta(minutes=3), "http://run", THE_DAY)
    if changes.get("succeeded") is False:
        changes = {"failure": FAILURE, **changes}
    return replace(ended, **changes)


def marts(run_id: str, **changes: Any) -> EndedRun:
    return run(run_id, **{"dag_id": "marts", "batch_date": None, **changes})


def counted(
    settings: Settings,
    at: datetime,
    *,
    table: str = "orders",
    rejected: int = 0,
    quarantined: int = 0,
    reasons: dict[str, int] | None = None,
) -> None:
    """The batch had 1,000 records of a table."""
    kept = 1000 - rejected - quarantined
    with warehouse.cursor(settings) as cursor:
        cursor.execute(
            "insert into ops.reconciliation values ('olist', %s, %s, 1000, %s, %s, 0, 0, %s, %s, %s, true, %s, %s)",
            (table, THE_DAY, rejected, 1000 - rejected, quarantined, kept, kept, at, Json(reasons or {})),
        )


def kinds(notices: list[Notice]) -> list[tuple[str, bool]]:
    return [(notice.kind, notice.is_silent) for notice in notices]


class TestOneRun:
    def test_a_success_says_where_the_rows_went(self, settings: Settings) -> None:
        reasons = {"not UTF-8": 2, "price: must be at least 0": 3}
        counted(settings, MONDAY + timedelta(minutes=2), rejected=2, quarantined=3, reasons=reasons)
        counted(settings, MONDAY + timedelta(minutes=2), table="order_items")

        (notice,) = note_run(settings, run())

        assert notice.text == (
            "✅ lake 2018-01-05 succeeded\n"
            "Duration: 3 min 0 s\n"
            "Rows in: 2,000\n"
            "Loaded: 1,995\n"
            "Quarantined: 5 (0.25%)\n"
            "Top reasons:\n"
            "  3 in orders: price: must be at least 0\n"
            "  2 in orders: not UTF-8\n"
            "The run: http://run\n"
            "Event: lake/daily/0/ended"
        )
        assert faults(notice.blocks) == []

    def test_a_failure_names_the_task_its_error_and_its_log(self, settings: Settings) -> None:
        (notice,) = note_run(settings, run(succeeded=False))

        assert notice.text == (
            "❌ lake 2018-01-05 failed\n"
            "Duration: 3 min 0 s\n"
            "Rows: not counted yet\n"
            "First failed: load [orders]:\n"
            "  ValueError: no such file\n"
            "The run: http://run\n"
            "Log of load [orders]: http://127.0.0.1:8080/dags/lake/log\n"
            "Event: lake/daily/0/ended"
        )

    def test_a_task_without_an_error_was_perhaps_killed(self, settings: Settings) -> None:
        (notice,) = note_run(settings, run(succeeded=False, failure=replace(FAILURE, error=None)))

        assert "ended without an error of its own (was it killed?)" in notice.text

    def test_a_run_that_was_ended_from_outside_has_no_failed_task(self, settings: Settings) -> None:
        (notice,) = note_run(settings, run(succeeded=False, failure=None))

        assert "No task failed:\n  the run itself was ended" in notice.text

    def test_figures_of_an_earlier_run_are_marked_as_such(self, settings: Settings) -> None:
        counted(settings, MONDAY - timedelta(days=1), quarantined=500)

        (notice,) = note_run(settings, run(succeeded=False))

        assert "Quarantined: 500 (50.00%)" in notice.text
        assert "counted by an earlier run" in notice.text

    def test_its_end_is_noted_once(self, settings: Settings) -> None:
        assert len(note_run(settings, run())) == 1
        assert note_run(settings, run()) == []

    def test_a_cleared_run_ends_a_second_time(self, settings: Settings) -> None:
        note_run(settings, run(succeeded=False))

        (notice,) = note_run(settings, run(hours=1, clear_number=1))

        assert (notice.event_id, notice.kind) == ("lake/daily/1/ended", "recovered")

    def test_its_end_is_noted_even_if_its_rows_are_not_known(self, settings: Settings) -> None:
        (notice,) = note_run(settings.model_copy(update={"source": "unknown"}), run(succeeded=False))

        assert "not known: " in notice.text
        assert "ValueError: no such file" in notice.text

    def test_a_day_without_a_delivery_is_reported(self, settings: Settings) -> None:
        (notice,) = note_run(settings, run(found_nothing=True))

        assert notice.text.startswith("✅ lake 2018-01-05 succeeded: no batch was delivered\n")

    def test_a_batch_that_was_done_already_is_not_reported_as_a_day_without_one(self, settings: Settings) -> None:
        counted(settings, MONDAY + timedelta(minutes=2))

        (notice,) = note_run(settings, run(found_nothing=True))

        assert notice.text.startswith("✅ lake 2018-01-05 succeeded: there was nothing to do\n")

    def test_marts_report_what_they_built_and_nothing_if_nothing_was_due(self, settings: Settings) -> None:
        built = note_run(settings, marts("a", remarks=(("Models", "24"),)))
        surplus = note_run(settings, marts("b", hours=1, found_nothing=True))

        assert "Models: 24" in built[0].text
        assert kinds(surplus) == [("success", True)]


class TestRecovery:
    def test_a_recovery_is_one_message_and_the_next_success_an_ordinary_one(self, settings: Settings) -> None:
        note_run(settings, marts("a", succeeded=False))

        recovered = note_run(settings, marts("b", hours=1))
        later = note_run(settings, marts("c", hours=2))

        assert kinds(recovered + later) == [("recovered", False), ("success", False)]
        assert recovered[0].text.startswith("💚 marts is green again\n")

    def test_the_success_of_another_batch_is_no_recovery(self, settings: Settings) -> None:
        note_run(settings, run("a", succeeded=False))

        another = note_run(settings, run("b", hours=1, batch_date=date(2018, 1, 6)))
        itself = note_run(settings, run("c", hours=2))

        assert kinds(another + itself) == [("success", False), ("recovered", False)]

    def test_a_silent_success_is_sent_if_it_is_a_recovery(self, settings: Settings) -> None:
        note_run(settings, marts("a", succeeded=False))

        notices = note_run(settings, marts("b", hours=1, is_silent=True, found_nothing=True))

        assert kinds(notices) == [("recovered", False)]

    def test_a_run_after_a_backfill_is_silent_unless_it_fails(self, settings: Settings) -> None:
        green = note_run(settings, marts("a", is_silent=True))
        red = note_run(settings, marts("b", hours=1, is_silent=True, succeeded=False))

        assert kinds(green + red) == [("success", True), ("failed", False)]

    def test_a_frequent_dag_reports_when_it_begins_to_fail_and_when_it_recovers(self, settings: Settings) -> None:
        def arrivals(minute: int, succeeded: bool) -> list[tuple[str, bool]]:
            ended = run(f"{minute}", dag_id="arrivals", batch_date=None, succeeded=succeeded, hours=minute)
            return kinds(note_run(settings, replace(ended, says_nothing_of_success=True)))

        noted = [arrivals(minute, green) for minute, green in enumerate([True, False, False, True, True, False])]

        assert noted == [[], [("failed", False)], [("failed", True)], [("recovered", False)], [], [("failed", False)]]


class TestQuality:
    def test_too_many_bad_records_are_a_separate_warning(self, settings: Settings) -> None:
        counted(settings, MONDAY + timedelta(minutes=2), rejected=5, quarantined=6)

        warning, ended = note_run(settings, run())

        assert (warning.event_id, warning.kind) == (
            "lake/2018-01-05/2018-01-08T06:02:00+00:00/quality",
            "quality",
        )
        assert warning.text.startswith("⚠️ lake 2018-01-05: 1.10% of the records are in quarantine\n")
        assert "Threshold: 1.00%" in warning.text
        assert ended.kind == "success"
        assert faults(warning.blocks) == []

    @pytest.mark.parametrize(("share", "warned"), [(0.011, False), (0.0109, True), (0.0, True), (1.0, False)])
    def test_the_threshold_is_a_setting_and_must_be_exceeded(
        self, settings: Settings, share: float, warned: bool
    ) -> None:
        counted(settings, MONDAY + timedelta(minutes=2), quarantined=11)

        notices = note_run(settings.model_copy(update={"quarantine_warning_share": share}), run())

        assert ("quality" in [notice.kind for notice in notices]) is warned

    def test_a_run_that_counted_nothing_does_not_warn_again(self, settings: Settings) -> None:
        counted(settings, MONDAY + timedelta(minutes=2), quarantined=500)
        note_run(settings, run())

        assert kinds(note_run(settings, run("again", hours=1))) == [("success", False)]

    def test_two_runs_that_were_running_during_the_count_warn_once(self, settings: Settings) -> None:
        counted(settings, MONDAY + timedelta(minutes=2), quarantined=500)

        noted = kinds(note_run(settings, run("arrived")) + note_run(settings, run("midnight")))

        assert noted == [("quality", False), ("success", False), ("success", False)]

    def test_an_empty_batch_has_no_share(self, settings: Settings) -> None:
        with warehouse.connect(settings) as connection:
            connection.cursor().execute(
                "insert into ops.reconciliation values ('olist', 'orders', %s, 0, 0, 0, 0, 0, 0, 0, 0, true, now())",
                (THE_DAY,),
            )

        (notice,) = note_run(settings, run())

        assert "Quarantined: 0 (0.00%)" in notice.text


class TestBackfill:
    DATES = tuple(date(2018, 1, day) for day in (4, 5, 6))

    def ended(self, *runs: EndedRun) -> EndedBackfill:
        end = MONDAY + timedelta(hours=1)
        return EndedBackfill("b1", self.DATES, runs, MONDAY, end, "http://backfills")

    def test_its_runs_are_silent_and_one_summary_covers_them_all(self, settings: Settings) -> None:
        counted(settings, MONDAY + timedelta(minutes=2), quarantined=20)
        runs = [run(f"{day}", batch_date=day, belongs_to_backfill=True) for day in self.DATES]
        runs[2] = replace(runs[2], succeeded=False, failure=FAILURE)

        silent = [kind for one in runs for kind in kinds(note_run(settings, one))]
        (summary,) = note_backfill(settings, self.ended(*runs))
        again = note_backfill(settings, self.ended(*runs))

        assert silent == [("success", True), ("success", True), ("failed", True)]
        assert again == []
        assert summary.event_id == "backfill/b1"
        assert summary.text.startswith("❌ Backfill of 2018-01-04 to 2018-01-06 ended with failures\n")
        for line in ("Batches: 3", "Succeeded: 2", "Failed: 1", "Duration: 1 h 00 min", "Rows in: 1,000"):
            assert f"\n{line}\n" in summary.text
        assert "2018-01-06 in load [orders]: ValueError: no such file" in summary.text
        assert "More than 1.00% in quarantine:\n  2018-01-05: 2.00%" in summary.text
        assert faults(summary.blocks) == []

    def test_a_stopped_backfill_names_what_was_not_begun(self, settings: Settings) -> None:
        (summary,) = note_backfill(settings, self.ended(run("a", batch_date=self.DATES[0])))

        assert summary.text.startswith("❌ Backfill of 2018-01-04 to 2018-01-06 stopped early\n")
        assert "Not begun:\n  2018-01-05\n  2018-01-06\n" in summary.text

    def test_a_batch_that_failed_in_a_backfill_recovers_later(self, settings: Settings) -> None:
        note_run(settings, run("a", succeeded=False, belongs_to_backfill=True))

        assert kinds(note_run(settings, run("b", hours=1))) == [("recovered", False)]


def test_an_outage_of_spark_is_noted_once_with_what_to_do(settings: Settings) -> None:
    (notice,) = note_no_executor(settings, MONDAY, "http://pages")

    assert note_no_executor(settings, MONDAY, "http://pages") == []
    assert notice.text.splitlines() == [
        "⏳ Spark has no executor: runs wait",
        "Since: 2018-01-08 06:00:00 UTC",
        "What to do:",
        "  `docker compose ps spark-worker spark-master` shows whether they are healthy",
        "  `docker compose logs spark-worker` shows why not",
        "  `docker compose restart spark-worker` starts the worker again",
        "Spark's page: http://pages",
        "Event: spark/2018-01-08T06:00:00+00:00/no_executor",
    ]
    assert faults(notice.blocks) == []
