"""Rows for programs are exact: no number is rounded, and null is not the empty text."""

from __future__ import annotations

import csv
import io
import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from lakehouse.cli.inspect import print_rows
from lakehouse.cli.shared import Format

MONEY = Decimal("12345678901234567890.10")


def printed(capsys: pytest.CaptureFixture[str], output: Format, *rows: tuple[Any, ...]) -> str:
    print_rows(tuple(f"c{number}" for number in range(len(rows[0]))), rows, output)
    return capsys.readouterr().out


def test_json_keeps_every_digit_of_a_numeric_as_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    values = (MONEY, Decimal("0.10"), Decimal("1E+3"), [Decimal("1.50"), None], {"a": Decimal("2.00")})

    text = printed(capsys, Format.JSON, values)

    (row,) = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    assert list(row.values()) == list(values)
    assert f'"c0": {MONEY}' in text and '"c1": 0.10' in text and '"c2": 1000' in text


def test_json_has_null_text_dates_and_what_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    values = (None, "", 'a "quoted"\nline', date(2018, 1, 5), True, 1.5, float("inf"), Decimal("NaN"))

    (row,) = json.loads(printed(capsys, Format.JSON, values))

    assert list(row.values()) == [None, "", 'a "quoted"\nline', "2018-01-05", True, 1.5, "inf", "nan"]


def test_json_of_no_rows_is_an_empty_list(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(("a",), [], Format.JSON)

    assert json.loads(capsys.readouterr().out) == []


def test_csv_tells_null_from_the_empty_text(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, Format.CSV, (None, "", MONEY, 'a "b", c', "two\nlines"))

    assert text == f'c0,c1,c2,c3,c4\n,"",{MONEY},"a ""b"", c","two\nlines"\n'
    assert next(csv.reader(io.StringIO(text.partition("\n")[2], newline=""))) == [
        "",
        "",
        str(MONEY),
        'a "b", c',
        "two\nlines",
    ]


def test_a_table_shows_text_of_the_data_escaped_and_reads_no_markup_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(
        capsys, Format.TABLE, ("\x1b[31mred\x1b[0m", "a\0b", "[bold]x[/b]", "two\nlines", "\u202eleft", "São 🛒")
    )

    assert "\x1b" not in text and "\0" not in text
    for shown in (r"\x1b[31mred\x1b[0m", r"a\x00b", "[bold]x[/b]", r"two\nlines", r"\u202eleft", "São 🛒"):
        assert shown in text, shown
