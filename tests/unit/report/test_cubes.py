"""Which cubes the pages need, their SQL, and their columns."""

from __future__ import annotations

import sqlglot

from lakehouse.report.calendar import calendar_of
from lakehouse.report.cubes import Cube, Members, Query, Shape, cubes, queries, read_rows, shapes
from lakehouse.report.measures import Measures, read_measures
from lakehouse.report.pages import Pages, read_pages
from lakehouse.settings import PROJECT_DIR

REPORT = PROJECT_DIR / "report"
CALENDAR = calendar_of({"2017-01": 31, "2018-01": 31, "2018-02": 2}, 0.8)


def definition() -> tuple[Measures, Pages]:
    measures = read_measures(REPORT, "olist")
    assert measures is not None
    pages = read_pages(REPORT, measures)
    assert pages is not None
    return measures, pages


MEASURES, PAGES = definition()


def with_measure(name: str) -> list[Shape]:
    return [shape for shape in shapes(MEASURES, PAGES) if name in shape.measures]


def test_a_figure_that_adds_up_is_stored_by_month_and_by_each_filter() -> None:
    assert ("month", "customer_state", "product_category") in [shape.dimensions for shape in with_measure("Revenue")]


def test_what_counts_in_several_categories_is_also_stored_without_them() -> None:
    found = [set(shape.dimensions) for shape in with_measure("Orders with Items")]

    assert {"month", "customer_state"} in found
    assert {"month", "customer_state", "product_category"} in found


def test_a_figure_that_does_not_add_up_is_computed_ahead_by_period_and_one_filter() -> None:
    found = with_measure("Customer Count")

    assert {shape.dimensions for shape in found} == {("period",), ("period", "customer_state")}
    assert all(shape.is_ahead for shape in found)


def test_no_ratio_is_stored() -> None:
    stored = {name for shape in shapes(MEASURES, PAGES) for name in shape.measures}

    assert stored.isdisjoint({measure.name for measure in MEASURES.measures if measure.numerator})


def test_the_sql_of_every_query_can_be_parsed() -> None:
    for query in queries(MEASURES, PAGES, CALENDAR):
        sqlglot.parse_one(query.sql, read="postgres")


def test_a_join_that_no_column_needs_is_left_out() -> None:
    (ahead,) = [query for query in queries(MEASURES, PAGES, CALENDAR) if query.measures == ("Active Sellers",)]

    assert "marts.dim_seller" in ahead.sql
    assert "marts.dim_product" not in ahead.sql
    assert "marts.dim_order" not in ahead.sql


def test_each_row_goes_to_its_cube_and_members_are_numbered_in_their_order() -> None:
    one = Shape("reviews", ("delay_band",), ("Review Count",))
    two = Shape("reviews", (), ("Review Count",))
    query = Query("", (one, two), ("delay_band",), ("Review Count",))
    members = Members(MEASURES)
    # shape, delay_band, what it is sorted by, Review Count
    rows = [(0, "8+ days late", 7, 2.0), (0, "on the day", 4, 3.0), (0, "unknown", None, 1.0), (1, None, None, 6.0)]

    of_shape = read_rows(query, rows, members)

    assert members.of("delay_band") == ["on the day", "8+ days late", "unknown"]
    assert list(cubes(query, of_shape, members)) == [Cube(one, ([0, 1, 2], [3, 2, 1])), Cube(two, ([6],))]


def test_numbers_are_ordered_as_numbers_and_what_is_not_known_comes_last() -> None:
    members = Members(MEASURES)
    for value in ("10", None, "9", "0"):
        members.add("hour", value, None)

    assert members.of("hour") == ["0", "9", "10", None]


def test_sums_lose_the_bits_that_depend_on_the_order_of_the_rows() -> None:
    shape = Shape("items", (), ("Revenue",))
    query = Query("", (shape,), (), ("Revenue",))

    (cube,) = cubes(query, [[(0, 0.1 + 0.2)]], Members(MEASURES))

    assert cube.columns == ([0.3],)
