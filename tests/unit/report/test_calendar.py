"""Months of the data -> periods, and what each is compared with."""

from __future__ import annotations

from lakehouse.report.calendar import Calendar, calendar_of

FULL_FROM = 0.8


def calendar(**days: int) -> Calendar:
    """`calendar(m2017_01=31)`: a month, and on how many of its days something was bought."""
    return calendar_of({name[1:].replace("_", "-"): count for name, count in days.items()}, FULL_FROM)


def period(found: Calendar, identity: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    (one,) = [each for each in found.periods if each.id == identity]
    return one.months, one.comparable, one.before


def test_the_default_is_the_longest_run_of_full_months() -> None:
    found = calendar(m2016_10=9, m2016_12=31, m2017_01=25, m2017_02=28, m2017_03=31, m2017_04=2)

    assert found.full == ("2016-12", "2017-01", "2017-02", "2017-03")
    assert found.periods[0].id == "full"
    assert found.periods[0].months == found.full


def test_of_two_runs_of_the_same_length_the_later_counts() -> None:
    assert calendar(m2017_01=31, m2017_03=31).full == ("2017-03",)


def test_a_month_is_full_from_four_of_five_days_on() -> None:
    assert calendar(m2017_04=24).full == ("2017-04",)
    assert calendar(m2017_04=23).full == ()


def test_a_year_is_compared_by_its_full_months_that_have_a_year_before() -> None:
    found = calendar(**{f"m2017_{n:02}": 28 for n in range(1, 13)}, m2018_01=31, m2018_02=28, m2018_03=3)

    assert period(found, "2018") == (
        ("2018-01", "2018-02", "2018-03"),
        ("2018-01", "2018-02"),
        ("2017-01", "2017-02"),
    )
    assert period(found, "2018-03") == (("2018-03",), (), ())
    assert period(found, "2017-Q1")[1:] == ((), ())


def test_figures_are_computed_ahead_for_every_set_of_months_that_is_asked_for_and_once_only() -> None:
    found = calendar(m2017_01=31, m2018_01=31)

    assert sorted(found.sets) == [("2017-01",), ("2017-01", "2018-01"), ("2018-01",)]


def test_the_unknown_date_is_in_the_whole_only() -> None:
    found = calendar_of({"2017-01": 31, "unknown": 1}, FULL_FROM)

    assert [each.id for each in found.periods] == ["full", "whole", "2017", "2017-Q1", "2017-01"]
    assert period(found, "whole")[0] == ("2017-01", "unknown")


def test_without_orders_there_is_no_period() -> None:
    assert calendar_of({}, FULL_FROM) == Calendar((), (), ())
