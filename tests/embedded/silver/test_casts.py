"""A text becomes a value only if it has the canonical form of its type. Spark agrees with a slow, plain parser."""

from __future__ import annotations

import math
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pyspark.sql import functions as sf

from lakehouse.contract.model import ColumnType
from lakehouse.silver.casts import cast, text_or_null

TYPES = [
    ColumnType("text"),
    ColumnType("integer"),
    ColumnType("bigint"),
    ColumnType("double"),
    ColumnType("timestamp"),
    ColumnType("date"),
    *(ColumnType("decimal", p, s) for p, s in [(12, 2), (3, 0), (2, 2), (1, 1), (38, 0), (38, 10), (38, 38)]),
]
ASCII_DIGITS = "0123456789"


def parse(text: str | None, type_: ColumnType) -> Any:
    """The value of a text by the design, character by character."""
    if text is None or text == "":
        return None
    parse_kind = {
        "text": lambda value, _: value,
        "integer": lambda value, _: parse_integer(value, 32),
        "bigint": lambda value, _: parse_integer(value, 64),
        "double": lambda value, _: parse_double(value),
        "timestamp": lambda value, _: parse_timestamp(value),
        "date": lambda value, _: parse_date(value),
        "decimal": parse_decimal,
    }
    return parse_kind[type_.kind](text, type_)


def are_digits(text: str) -> bool:
    return text != "" and all(character in ASCII_DIGITS for character in text)


def parse_integer(text: str, bits: int) -> int | None:
    if not are_digits(text[1:] if text[0] == "-" else text):
        return None
    number = 0
    for digit in text.lstrip("-"):
        number = number * 10 + ASCII_DIGITS.index(digit)
    number = -number if text[0] == "-" else number
    return number if -(2 ** (bits - 1)) <= number < 2 ** (bits - 1) else None


def split_number(text: str) -> tuple[str, str] | None:
    """The digits before and after the point; None if the text is no plain number."""
    digits = text[1:] if text[0] == "-" else text
    parts = digits.split(".")
    if len(parts) > 2 or not all(are_digits(part) for part in parts):
        return None
    return parts[0], parts[1] if len(parts) == 2 else ""


def parse_decimal(text: str, type_: ColumnType) -> Decimal | None:
    parts = split_number(text)
    if parts is None:
        return None
    whole, fraction = parts
    zero_before_the_point = type_.precision == type_.scale and whole == "0"
    if len(fraction) > type_.scale or (len(whole) > type_.precision - type_.scale and not zero_before_the_point):
        return None
    return Decimal(text)


def parse_double(text: str) -> float | None:
    if split_number(text) is None:
        return None
    number = float(text)
    return None if math.isinf(number) else abs(number) if number == 0 else number


def parse_date(text: str) -> date | None:
    if len(text) != 10 or text[4] != "-" or text[7] != "-":
        return None
    if not all(are_digits(part) for part in (text[:4], text[5:7], text[8:])):
        return None
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:])
    if not 1900 <= year <= 2199:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None


def parse_timestamp(text: str) -> datetime | None:
    day = parse_date(text[:10])
    if day is None or len(text) != 19 or text[10] != " " or text[13] != ":" or text[16] != ":":
        return None
    if not all(are_digits(part) for part in (text[11:13], text[14:16], text[17:])):
        return None
    try:
        return datetime(day.year, day.month, day.day, int(text[11:13]), int(text[14:16]), int(text[17:]))
    except ValueError:
        return None


@pytest.fixture(scope="module")
def cast_in_spark(spark):
    """Every text cast to every type, one Spark job: a list of columns, in the order of TYPES."""

    def run(texts: list[str | None]) -> list[list[Any]]:
        sent_texts = spark.createDataFrame(pa.table({"n": range(len(texts)), "text": pa.array(texts, pa.string())}))
        columns = [cast(text_or_null("text"), type_).alias(str(type_)) for type_ in TYPES]
        answer = sent_texts.coalesce(1).sort("n").select(*columns).toArrow()
        return [column.to_pylist() for column in answer.columns]

    return run


def assert_like_the_parser(texts: list[str | None], answer: list[list[Any]]) -> None:
    for type_, values in zip(TYPES, answer, strict=True):
        expected = [parse(text, type_) for text in texts]
        # By their text, since -0.0 == 0.0 and only the latter is right. Decimals by value, since 1 and 1.00 are equal.
        wrong = [
            (text, want, value)
            for text, want, value in zip(texts, expected, values, strict=True)
            if (want != value if type_.kind == "decimal" else repr(want) != repr(value))
        ]
        assert not wrong, f"{type_}: (text, expected, Spark's) {wrong}"


EDGES = [
    *[None, "", " ", "0", "-0", "-", "--1", "+1", "1-", "1 ", " 1", "1\n", "\n1", "1\r\n", "1\x00", "\u00a01"],
    *["1_000", "1,000", "1,5", "1.", ".5", "1..2", "1.2.3", "0x1F", "1e3", "1E-2", "1d", "1f", "1L", "NaN", "inf"],
    *["Infinity", "-Infinity", "null", "true", "٣", "\uff11\uff12", "2\uff1018-01-01", "१", "1\u200b", "\ufeff1", "½"],
    *["2147483647", "2147483648", "-2147483648", "-2147483649", "0000000000000000000000000000000000000007"],
    *["9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809"],
    *["10.50", "10.505", "10.500", "1.005", "9999999999.99", "-9999999999.99", "10000000000.00", "99999999999"],
    *["0.1", "0.12", "0.123", "1.1", "00.1", "-0.9", "-0.0", "999", "1000", "0999", "-999"],
    *["9" * 38, "9" * 39, "-" + "9" * 38, "9" * 28 + "." + "9" * 10, "9" * 29 + ".0", "0." + "9" * 38, "0." + "1" * 39],
    *["1" + "0" * 308, "2" + "0" * 308, "9" * 400, "0." + "0" * 330 + "1", "4.9406564584124654", "-23.5505199"],
    *["0.1000000000000000055511151231257827", "2.2250738585072011" + "0" * 20, "179769313486231570" + "0" * 291],
    *["2018", "2018-01", "2018-1-1", "2018-01-01", "2018-02-29", "2016-02-29", "1900-02-29", "2000-02-29"],
    *["1899-12-31", "1900-01-01", "2199-12-31", "2200-01-01", "0000-00-00", "2018-13-01", "2018-00-10", "2018-01-32"],
    *["2018-04-31", "20180101", "2018/01/01", "01-01-2018", "2018-01-01Z", "2018-01-01 ", "2018-01-01\n", "epoch"],
    *["2018-01-01 00:00:00", "2018-01-01 23:59:59", "2018-01-01 24:00:00", "2018-01-01 23:60:00", "now", "today"],
    *["2018-01-01 23:59:60", "2018-01-01 1:02:03", "2018-01-01T01:02:03", "2018-01-01 01:02:03.5", "2018-01-01 01:02"],
    *["2018-01-01 01:02:03+02:00", "2018-01-01 01:02:03Z", "2018-01-01 01:02:03 UTC", "2018-01-01  01:02:03"],
    *["2018-10-28 02:30:00", "2018-03-25 02:30:00", "1900-01-01 00:00:00", "2199-12-31 23:59:59"],
    "2200-01-01 00:00:00",
]  # fmt: skip


def test_every_known_trap_is_seen(cast_in_spark):
    assert_like_the_parser(EDGES, cast_in_spark(EDGES))


@pytest.mark.parametrize(
    ("text", "type_", "value"),
    [
        ("10.505", ColumnType("decimal", 12, 2), None),
        ("1e3", ColumnType("decimal", 12, 2), None),
        ("10.5", ColumnType("decimal", 12, 2), Decimal("10.50")),
        ("2018", ColumnType("timestamp"), None),
        ("2018-01-01 01:02:03+02:00", ColumnType("timestamp"), None),
        ("2018-02-29", ColumnType("date"), None),
        ("٣", ColumnType("integer"), None),
    ],
)
def test_the_parser_says_what_the_design_says(text, type_, value):
    assert parse(text, type_) == value


def nearly(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Texts of this form, some of them with one character added, removed or replaced."""
    whole = st.tuples(*parts).map("".join)
    anything = st.text(st.sampled_from("0123456789-+.:, TZe\n\u0664\uff15\u00a0"), max_size=2)
    damaged = st.tuples(whole, st.integers(0, 22), st.integers(0, 2), anything).map(
        lambda made: made[0][: made[1]] + made[3] + made[0][made[1] + made[2] :]
    )
    return whole | damaged


def digits(low: int, high: int) -> st.SearchStrategy[str]:
    return st.text(st.sampled_from(ASCII_DIGITS), min_size=low, max_size=high)


SIGNS = st.sampled_from(["", "-"])
TWO = st.integers(0, 70).map("{:02d}".format)
DAYS = (st.integers(1890, 2210).map(str), st.just("-"), TWO.filter(lambda m: m < "14"), st.just("-"), TWO)
TEXTS = st.one_of(
    nearly(SIGNS, digits(1, 40)),
    nearly(SIGNS, digits(1, 30), st.just("."), digits(1, 40)),
    nearly(SIGNS, digits(300, 320)),
    nearly(*DAYS),
    nearly(*DAYS, st.just(" "), TWO, st.just(":"), TWO, st.just(":"), TWO),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)


@hypothesis_settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(TEXTS, min_size=150, max_size=400))
def test_any_text_is_cast_as_the_parser_says(cast_in_spark, texts):
    assert_like_the_parser(texts, cast_in_spark(texts))


def test_what_is_empty_is_null(spark):
    texts = spark.createDataFrame([("",), (None,), (" ",), ("x",)], "text string")

    values = [row[0] for row in texts.select(sf.coalesce(text_or_null("text"), sf.lit("null"))).collect()]

    assert values == ["null", "null", " ", "x"]
