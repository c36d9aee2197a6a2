"""The measures on the marts of a generated shop: SQL against DAX, by every dimension, and on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from lakehouse.report.figures import figures_sql
from lakehouse.report.measures import Measure, Measures, read_measures
from lakehouse.settings import PROJECT_DIR, Settings
from tests.embedded.pipeline.commands import command
from tests.support.lake import query
from tests.support.power_bi import PowerBi, read_power_bi

MEASURES = read_measures(PROJECT_DIR / "report", "olist")
assert MEASURES is not None
# Name -> the dimensions that are filtered. A value is the one that most rows have, unless it is named.
FILTERS: dict[str, dict[str, str | None]] = {
    "everything": {},
    "one state": {"customer_state": None},
    "one month": {"month": "2018-03"},
    "one year": {"year": "2018"},
    "orders of several sellers": {"seller_band": "several"},
    "late orders": {"delivery": "late"},
    "one category": {"product_category": None},
    "sellers and customers of a state each": {"seller_state": None, "customer_state": None},
    "files of one table": {"source_table": "orders"},
}


@dataclass(frozen=True)
class Compared:
    """One measure under one filter; None: no figure."""

    filter: str
    measure: Measure
    by_sql: float | None
    by_dax: float | None

    @property
    def is_equal(self) -> bool:
        """A count of nothing is 0 in SQL and blank in DAX."""
        return (self.by_dax or 0.0) == pytest.approx(self.by_sql or 0.0, rel=1e-9)


@pytest.fixture(scope="module")
def measures() -> Measures:
    assert MEASURES is not None
    return MEASURES


@pytest.fixture(scope="module")
def power_bi(months: Settings) -> PowerBi:
    return read_power_bi(months)


@pytest.fixture(scope="module")
def filters(months: Settings, measures: Measures) -> dict[str, dict[str, list[str]]]:
    """FILTERS with their values."""
    items = measures.measure("Item Count")

    def most_frequent(name: str) -> str:
        rows = query(months, figures_sql(measures, [items], [measures.dimension(name)]), "bi_reader")
        return str(max(rows, key=lambda row: row[1])[0])

    return {
        label: {name: [value or most_frequent(name)] for name, value in chosen.items()}
        for label, chosen in FILTERS.items()
    }


@pytest.fixture(scope="module")
def by_sql(
    months: Settings, measures: Measures, filters: dict[str, dict[str, list[str]]]
) -> dict[tuple[str, str], float | None]:
    """Filter and measure -> the figure, for each measure whose relation has the dimensions of the filter."""
    found: dict[tuple[str, str], float | None] = {}
    for label, chosen in filters.items():
        for relation in measures.relations:
            if not set(chosen) <= set(relation.dimensions):
                continue
            over = [measure for measure in measures.measures if measure.relation == relation.name]
            (row,) = query(months, figures_sql(measures, over, (), chosen), "bi_reader")
            figures = zip(over, row, strict=True)
            found |= {(label, measure.name): None if f is None else float(f) for measure, f in figures}
    return found


@pytest.fixture(scope="module")
def compare(
    power_bi: PowerBi,
    measures: Measures,
    filters: dict[str, dict[str, list[str]]],
    by_sql: dict[tuple[str, str], float | None],
) -> Callable[..., list[Compared]]:
    """Evaluate the DAX of all measures, some of them replaced, under every filter."""

    def compare(replaced: Mapping[str, str], only: Sequence[str] = ()) -> list[Compared]:
        known = [replace(m, dax=replaced.get(m.name, m.dax)) for m in measures.measures]
        pairs = []
        for label, chosen in filters.items():
            values = {measures.dimension(name).dax: [_typed(name, v) for v in vs] for name, vs in chosen.items()}
            names = [m.name for m in known if (label, m.name) in by_sql and (not only or m.name in only)]
            figures = power_bi.figures(known, values, names)
            pairs += [Compared(label, m, by_sql[label, m.name], figures[m.name]) for m in known if m.name in figures]
        return pairs

    return compare


@pytest.fixture(scope="module")
def compared(compare: Callable[..., list[Compared]]) -> list[Compared]:
    return compare({})


def _typed(dimension: str, value: str) -> Any:
    return int(value) if dimension == "year" else value


def test_dax_and_sql_give_the_same_figures(compared: list[Compared]) -> None:
    assert [pair for pair in compared if not pair.is_equal] == []


def test_enough_pairs_have_a_value_on_both_sides(compared: list[Compared]) -> None:
    both = [pair for pair in compared if pair.by_sql is not None and pair.by_dax is not None]

    assert len(both) >= 400
    assert {label: sum(pair.filter == label for pair in both) >= 4 for label in FILTERS} == dict.fromkeys(FILTERS, True)


def test_every_measure_has_a_figure_other_than_zero(compared: list[Compared], measures: Measures) -> None:
    with_figure = {pair.measure.name for pair in compared if pair.by_dax and pair.by_sql}

    assert {measure.name for measure in measures.measures} - with_figure == set()


# What is wrong -> the measure, and its DAX with that fault.
WRONG: dict[str, tuple[str, str]] = {
    "the wrong column": ("Revenue", "SUM('Order Items'[Item Freight])"),
    "a filter that replaces the reader's": (
        "Delivered Orders",
        'CALCULATE(COUNTROWS(Orders), \'Order\'[Delivery] IN {"on time", "late"})',
    ),
    "versions in place of persons": ("Customer Count", "DISTINCTCOUNT(Orders[Customer Key])"),
    "the month before in place of the year": (
        "Revenue Year Before",
        "CALCULATE([Revenue], DATEADD('Date'[Date], -1, MONTH))",
    ),
    "a blank that counts as false": (
        "Orders Handed Over",
        "CALCULATE([Orders with Items], 'Order Items'[Is Handed Over Late] <= TRUE())",
    ),
    "a name that is not there": ("Average Score", "DIVIDE([Sum of Scores], [Reviews with Scores])"),
    "another percentile": ("Delivery Days P90", "PERCENTILE.INC(Orders[Delivery Days], 0.95)"),
}


@pytest.mark.parametrize(("name", "dax"), WRONG.values(), ids=WRONG)
def test_a_wrong_measure_gives_another_figure(compare: Callable[..., list[Compared]], name: str, dax: str) -> None:
    pairs = compare({name: dax}, only=[name])

    assert any(not pair.is_equal for pair in pairs)


@pytest.mark.parametrize("relation", [relation.name for relation in MEASURES.relations])
def test_every_measure_runs_by_every_dimension_and_adds_up_where_the_file_says_so(
    months: Settings, measures: Measures, relation: str
) -> None:
    over = [measure for measure in measures.measures if measure.relation == relation]
    (totals,) = query(months, figures_sql(measures, over), "bi_reader")

    wrong = []
    for dimension in measures.dimensions_of(over[0]):
        groups = query(months, figures_sql(measures, over, [dimension]), "bi_reader")
        assert groups, dimension.name
        for position, (measure, total) in enumerate(zip(over, totals, strict=True), start=1):
            parts = sum(group[position] or 0 for group in groups)
            adds_up = measure.additive and dimension.name not in measure.overlapping
            is_right = parts == total if adds_up else measure.numerator is not None or parts >= total
            wrong += [] if is_right else [(measure.name, dimension.name, parts, total)]

    assert wrong == []


def test_a_figure_is_split_and_filtered_on_the_command_line(loaded_shop: Settings) -> None:
    def answer(*arguments: str) -> Any:
        done = command(loaded_shop, "measure", *arguments, "--workspace", loaded_shop.workspace_name)
        assert done.returncode == 0, done.stderr
        return done.stdout

    by_state = json.loads(answer("order count", "--by", "customer_state", "--format", "json"))
    largest = max(by_state, key=lambda row: row["order_count"])
    of_one = json.loads(
        answer("Order Count", "--where", f"customer_state={largest['customer_state']}", "--format=json")
    )
    shown = answer("order count", "--by", "Customer state", "--where", f"customer_state={largest['customer_state']}")

    assert of_one == [{"order_count": largest["order_count"]}]
    assert (
        sum(row["order_count"] for row in by_state) == query(loaded_shop, "select count(*) from marts.fct_orders")[0][0]
    )
    assert f"Order Count  {largest['order_count']:,}" in shown
    assert "whatever became of them" in shown


def test_a_value_that_no_row_has_is_refused_with_the_close_ones(loaded_shop: Settings) -> None:
    done = command(
        loaded_shop, "measure", "late share", "--where", "delivery=on tme", "--workspace", loaded_shop.workspace_name
    )

    assert done.returncode == 1
    assert done.stderr == "Late Share has no row with delivery 'on tme': use on time.\n"


def test_a_workspace_without_marts_says_what_to_run(settings: Settings) -> None:
    done = command(settings, "measure", "revenue", "--workspace", settings.workspace_name)

    assert done.returncode == 1
    assert "are not built, or are older than the measures" in done.stderr
    assert "run`" in done.stderr
    assert "Traceback" not in done.stderr
