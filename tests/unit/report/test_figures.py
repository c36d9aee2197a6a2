"""The SQL of figures, and figures as people read them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from textwrap import dedent

import pytest

from lakehouse.errors import ReportError
from lakehouse.report.figures import as_text, figures_sql, values_sql
from lakehouse.report.measures import Measure, Measures, read_measures

FILE = """\
source: shop
dimensions:
  - {name: month, label: Month, description: Month., sql: dates.month, dax: "'Date'[Month]"}
  - {name: band, label: Band, description: Band., sql: sales.band, sort: sales.band_number, dax: "Sales[Band]"}
  - {name: size, label: Size, description: Size., sql: sales.is_large, dax: "Sales[L]", values: {true: large}}
  - {name: town, label: Town, description: Town., sql: visits.town, dax: "Visits[Town]"}
relations:
  - name: sales
    grain: one row per sale
    table: Sales
    sql: |
      marts.sales as sales
      inner join marts.dates as dates on sales.day = dates.day
    dimensions: [month, band, size]
  - {name: visits, grain: one row per visit, table: Visits, sql: marts.visits as visits, dimensions: [town]}
measures:
  - {name: Revenue, folder: S, description: R., table: Sales, format: '#,0', relation: sales, additive: true,
     dax: "SUM(Sales[P])", sql: sum(sales.price)}
  - {name: Sale Count, folder: S, description: S., table: Sales, format: '#,0', relation: sales, additive: true,
     dax: COUNTROWS(Sales), sql: count(*)}
  - {name: Visits, folder: S, description: V., table: Visits, format: '#,0', relation: visits, additive: true,
     dax: COUNTROWS(Visits), sql: count(*)}
  - {name: Revenue of Visits, folder: S, description: V., table: Visits, format: '#,0', relation: visits,
     additive: true, dax: "SUM(Visits[P])", sql: sum(visits.price)}
"""


@pytest.fixture
def measures(tmp_path: Path) -> Measures:
    (tmp_path / "measures.yml").write_text(FILE)
    measures = read_measures(tmp_path, "shop")
    assert measures is not None
    return measures


def test_a_figure_of_everything_is_one_row(measures: Measures) -> None:
    assert figures_sql(measures, [measures.measure("Revenue")]) == dedent("""\
        select
            sum(sales.price) as revenue
        from
            marts.sales as sales
            inner join marts.dates as dates on sales.day = dates.day""")


def test_groups_filters_and_several_measures_of_one_relation(measures: Measures) -> None:
    chosen = [measures.measure("Revenue"), measures.measure("Sale Count")]
    by = [measures.dimension("month"), measures.dimension("band")]

    query = figures_sql(measures, chosen, by, {"month": ["2018-01", "2018-02"], "Size": ["LARGE"]})

    assert query == dedent("""\
        select
            dates.month as month,
            sales.band as band,
            sum(sales.price) as revenue,
            count(*) as sale_count
        from
            marts.sales as sales
            inner join marts.dates as dates on sales.day = dates.day
        where
            cast(dates.month as text) in ('2018-01', '2018-02')
            and cast(sales.is_large as text) = 'true'
        group by dates.month, sales.band, sales.band_number
        order by dates.month, sales.band_number nulls last""")


def test_a_value_cannot_end_its_text(measures: Measures) -> None:
    query = figures_sql(measures, [measures.measure("Revenue")], (), {"band": ["' or 1=1 --", "\\"]})

    assert "cast(sales.band as text) in (''' or 1=1 --', '\\')" in query


def test_a_dimension_that_the_relation_lacks_is_refused_with_those_it_has(measures: Measures) -> None:
    revenue, town = measures.measure("Revenue"), measures.dimension("town")
    refusal = (
        "Revenue cannot be split or filtered by town: it is over one row per sale. Revenue of Visits can be.\n"
        "It can be by month, band, size."
    )

    for ask in (
        lambda: figures_sql(measures, [revenue], [town]),
        lambda: figures_sql(measures, [revenue], (), {"town": ["Rome"]}),
        lambda: values_sql(measures, revenue, town),
    ):
        with pytest.raises(ReportError) as refused:
            ask()
        assert str(refused.value) == refusal


def test_measures_of_two_relations_are_no_one_query(measures: Measures) -> None:
    with pytest.raises(ValueError, match="Visits is not over the relation sales"):
        figures_sql(measures, [measures.measure("Revenue"), measures.measure("Visits")])


def test_the_values_of_a_dimension_are_those_in_the_rows_of_the_measure(measures: Measures) -> None:
    query = values_sql(measures, measures.measure("Visits"), measures.dimension("town"))

    assert query == "select distinct cast(visits.town as text) as town\nfrom\n    marts.visits as visits"


@pytest.mark.parametrize(
    ("figure", "style", "unit", "text"),
    [
        (Decimal("13591643.70"), "#,0", "R$", "R$ 13,591,644"),
        (Decimal("-0.5"), "#,0", "€", "€ -1"),
        (160.578, "#,0.00", None, "160.58"),
        (12.55, "0.0", "days", "12.6 days"),
        (1234.5, "0.0", "days", "1234.5 days"),
        (Decimal("0.0678"), "0.0%", None, "6.8 %"),
        (0.01241, "0.00%", None, "1.24 %"),
        (Decimal("-0.0000001"), "0.0%", None, "0.0 %"),
        (0, "#,0", None, "0"),
        (None, "#,0", "R$", ""),
    ],
)
def test_a_figure_is_shown_by_format_and_unit(
    measures: Measures, figure: Decimal | float | None, style: str, unit: str | None, text: str
) -> None:
    assert as_text(figure, in_format(measures, style, unit)) == text


def in_format(measures: Measures, style: str, unit: str | None) -> Measure:
    return replace(measures.measure("Revenue"), format=style, unit=unit)
