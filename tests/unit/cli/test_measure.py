"""`lakehouse measure` where it needs no warehouse: the list, the query, and what it refuses."""

from __future__ import annotations

import csv
import io
import os
import sys
from pathlib import Path

import pytest

from lakehouse.cli import main
from lakehouse.settings import Settings


@pytest.fixture(autouse=True)
def _the_developers_own_settings_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LAKEHOUSE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))


def called(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    """Call the command; its exit code."""
    monkeypatch.setattr(sys, "argv", ["lakehouse", "measure", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


def test_without_a_name_it_lists_the_measures_by_folder_and_the_dimensions(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(monkeypatch) == 0

    shown = capsys.readouterr().out
    assert [line for line in shown.splitlines() if line and line[0] != " "] == [
        "Sales", "Delivery", "Sellers", "Customers", "Payments", "Reviews", "Data quality", "Split and filter by"
    ]  # fmt: skip
    assert "Late Share  " in shown
    assert "Sum of Delivery Days" not in shown
    assert "product_category" in shown


def test_the_list_as_csv_says_which_dimensions_a_measure_has(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(monkeypatch, "--format", "csv") == 0

    rows = {row["measure"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert rows["Revenue"]["unit"] == "R$"
    assert "product_category" in rows["Revenue"]["dimensions"].split()
    assert "product_category" not in rows["Late Share"]["dimensions"].split()


def test_the_query_is_printed_and_no_warehouse_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert called(monkeypatch, "REVENUE", "--by", "month", "--where", "customer state=SP", "--sql") == 0

    query = capsys.readouterr().out
    assert "sum(items.price) as revenue" in query
    assert "cast(customers.state as text) = 'SP'" in query
    assert query.endswith("order by dates.year_month\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["revnue"], 1, "There is no measure 'revnue': did you mean Revenue"),
        (["revenue", "--by", "stat"], 1, "There is no dimension 'stat': did you mean"),
        (["late share", "--by", "seller"], 1, "Late Share of These Items can be."),
        (["revenue", "--where", "customer_state"], 2, "customer_state is not DIMENSION=VALUE"),
        (["--by", "month"], 2, "need the name of a measure"),
    ],
    ids=["an unknown measure", "an unknown dimension", "a dimension it lacks", "no value", "no name"],
)
def test_what_it_cannot_answer_it_refuses_with_a_hint(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    assert called(monkeypatch, *arguments) == code

    assert message in " ".join(capsys.readouterr().err.split())


def test_a_source_without_measures_says_where_they_would_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAKEHOUSE_SOURCE", "shelf")

    assert called(monkeypatch) == 1

    shown = capsys.readouterr().err
    assert "The source shelf has no measures" in shown
    assert str(Path("report", "measures.yml")) in shown
