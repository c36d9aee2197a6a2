"""Which names are a date, which are refused because they look like one, and which are just names."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from lakehouse.landing import dates

THE_DAY = date(2018, 1, 2)
TODAY = datetime.now(UTC).date()
REFUSED = "refused"

NAMES: dict[str, date | str | None] = {
    # a date
    "2018-01-02": THE_DAY,
    "20180102": THE_DAY,
    "2018_01_02": THE_DAY,
    "2018.01.02": THE_DAY,
    "export 2018-01-02 final": THE_DAY,
    "dt=2018-01-02": THE_DAY,
    "orders_20180102": THE_DAY,
    "20180102T103000": THE_DAY,
    "20180102_1030": THE_DAY,
    "2018-01-02 10-30-00": THE_DAY,
    "2018-01-02T10:30:00.123Z": THE_DAY,
    "2018-01-02_v2": THE_DAY,
    "2018-01-02 (20180102)": THE_DAY,
    "1900-01-02": date(1900, 1, 2),
    f"{TODAY + timedelta(days=1)}": TODAY + timedelta(days=1),
    # looks like one
    "02-01-2018": REFUSED,
    "01-31-2018": REFUSED,
    "2018-31-01": REFUSED,
    "2018-1-2": REFUSED,
    "2.1.2018": REFUSED,
    "2018-01_02": REFUSED,
    "2018 01 02": REFUSED,
    "02.01.18": REFUSED,
    "02012018": REFUSED,
    "20181345": REFUSED,
    "2018-02-30": REFUSED,
    "2018-01": REFUSED,
    "201801": REFUSED,
    "2018-W05": REFUSED,
    "2018-Q1": REFUSED,
    "2-Jan-2018": REFUSED,
    "January 2, 2018": REFUSED,
    "jan2018": REFUSED,
    "2018 may 2": REFUSED,
    "month=01": REFUSED,
    "2018-01-01_2018-01-31": REFUSED,
    "20180101-20180131": REFUSED,
    "2018-01-02 to 3-1-2018": REFUSED,
    "1900-01-01": REFUSED,
    "0018-01-05": REFUSED,
    "2108-01-05": REFUSED,
    f"{TODAY + timedelta(days=2)}": REFUSED,
    # just a name
    "orders": None,
    "2018": None,
    "2016-2018": None,
    "year=2018": None,
    "12345678": None,
    "20180102103000": None,
    "123456": None,
    "v1.2.3": None,
    "99-88-77": None,
    "marts_2018": None,
    "summary2018": None,
    "batch_0001": None,
    "olist_orders_dataset (1)": None,
    "٢٠١٨-٠١-٠٢": None,
}


@pytest.mark.parametrize(("name", "expected"), NAMES.items(), ids=lambda each: None)
def test_a_name_is_a_date_or_refused_or_just_a_name(name: str, expected: date | str | None) -> None:
    if expected == REFUSED:
        with pytest.raises(ValueError, match=r"date|day of the calendar") as refused:
            dates.in_name(name)
        assert name in str(refused.value)
    else:
        assert dates.in_name(name) == expected


@pytest.mark.parametrize(
    ("stem", "inside", "above", "expected"),
    [
        ("orders", ["shop"], ["home"], None),
        ("orders_20180102", ["2018-05-05"], [], THE_DAY),
        ("orders", ["shop", "20180102", "2018-05-05"], [], THE_DAY),
        ("orders", ["day=02", "month=01", "year=2018"], [], THE_DAY),
        ("orders", ["day=2", "month=1", "year=2018"], [], THE_DAY),
        ("orders", ["hour=03", "day=02", "month=01", "year=2018"], [], THE_DAY),
        ("orders", ["02", "01", "2018"], [], THE_DAY),
        ("orders", ["02"], ["01", "2018"], THE_DAY),
        ("orders", ["csv"], ["20180102", "exports"], THE_DAY),
        ("orders", ["csv"], ["exports of 2018-01-02"], None),
        ("orders", ["csv"], ["01", "2018"], None),
    ],
    ids=[
        "no date",
        "the stem before the folder",
        "the nearest folder",
        "named parts",
        "named parts of one digit",
        "an hour within",
        "folders of year, month and day",
        "partly above the path",
        "a folder above whose whole name is a date",
        "a folder above that only holds a date",
        "folders above that are no day",
    ],
)
def test_the_date_comes_from_the_nearest_name(
    stem: str, inside: list[str], above: list[str], expected: date | None
) -> None:
    dated = dates.date_of(stem, inside, above)

    assert (dated.day if dated else None) == expected


@pytest.mark.parametrize(
    ("stem", "inside", "above"),
    [
        ("orders_02-01-2018", ["2018-01-02"], []),
        ("orders", ["2-1-2018", "2018-01-02"], []),
        ("orders", ["month=01", "year=2018"], []),
        ("orders", ["day=31", "month=02", "year=2018"], []),
        ("orders", ["2", "1", "2018"], []),
        ("orders", ["31", "02", "2018"], []),
        ("orders", ["01", "2018"], []),
        ("orders", ["csv"], ["02-01-2018"]),
        ("orders", ["csv"], ["2018-01"]),
    ],
)
def test_a_nearest_name_that_cannot_be_read_for_sure_is_refused(stem: str, inside: list[str], above: list[str]) -> None:
    with pytest.raises(ValueError, match=r"date|day of the calendar"):
        dates.date_of(stem, inside, above)


def test_a_date_above_the_given_path_is_named() -> None:
    assert dates.date_of("orders", ["csv"], ["20180102"]) == dates.Dated(THE_DAY, "20180102")
    assert dates.date_of("orders", ["20180102"], []) == dates.Dated(THE_DAY, None)


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("orders", "orders"),
        ("orders_20180102", "orders"),
        ("orders-2018-01-02", "orders"),
        ("20180102_orders", "orders"),
        ("2018.01.02 orders", "orders"),
        ("orders_20180102_103000", "orders"),
        ("olist_20180102_orders", "olist_20180102_orders"),
    ],
)
def test_a_stem_names_its_table_without_the_date(stem: str, expected: str) -> None:
    assert dates.without_date(stem) == expected
