"""report/measures.yml as it is read: complete, or one error that names every fault and what to do about it."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from lakehouse.errors import ReportError
from lakehouse.report.measures import Measures, read_measures
from lakehouse.settings import PROJECT_DIR

SHOP = """\
source: shop
dimensions:
  - {name: month, label: Month, description: Month of the sale., sql: dates.month, dax: "'Date'[Month]"}
  - name: size
    label: Size of the shirt
    description: The size.
    sql: sales.is_large
    dax: Sales[Large]
    values: {true: large, false: small}
  - {name: town, label: Town, description: Town of the shop., sql: shops.town, dax: "Shop[Town]"}
relations:
  - name: sales
    grain: one row per sale
    table: Sales
    sql: |
      marts.sales as sales
      inner join marts.dates as dates on sales.day = dates.day
    dimensions: [month, size]
  - {name: visits, grain: one row per visit, table: Visits, sql: marts.visits as visits, dimensions: []}
measures:
  - name: Revenue
    folder: Sales
    description: >-
      Price of
      all sales.
    table: Sales
    format: '#,0'
    unit: EUR
    better: higher
    relation: sales
    additive: true
    dax: SUM(Sales[Price])
    sql: sum(sales.price)
  - {name: Sale Count, folder: Sales, description: Sales., table: Sales, format: '#,0', hidden: true,
     relation: sales, additive: true, overlapping: [size], dax: COUNTROWS(Sales), sql: count(*)}
  - {name: Price, folder: Sales, description: Average price., table: Sales, format: '#,0.00',
     numerator: Revenue, denominator: Sale Count}
  - {name: Visits, folder: People, description: Visits., table: Visits, format: '#,0', relation: visits,
     additive: true, dax: COUNTROWS(Visits), sql: count(*)}
"""


def written(folder: Path, text: str) -> Path:
    (folder / "measures.yml").write_text(text, encoding="utf-8")
    return folder


def shop(folder: Path, source: str = "shop") -> Measures:
    measures = read_measures(written(folder, SHOP), source)
    assert measures is not None
    return measures


def test_a_ratio_has_the_relation_the_dax_and_the_sql_of_its_parts(tmp_path: Path) -> None:
    price = shop(tmp_path).measure("Price")

    assert price.relation == "sales"
    assert price.dax == "DIVIDE([Revenue], [Sale Count])"
    assert price.sql == "cast(sum(sales.price) as numeric) / nullif(count(*), 0)"
    assert not price.additive


def test_an_aggregate_is_what_the_file_says(tmp_path: Path) -> None:
    revenue = shop(tmp_path).measure("Revenue")

    assert (revenue.description, revenue.unit, revenue.better) == ("Price of all sales.", "EUR", "higher")
    assert (revenue.sql, revenue.dax, revenue.additive) == ("sum(sales.price)", "SUM(Sales[Price])", True)


def test_folders_list_what_is_not_hidden_in_the_order_of_the_file(tmp_path: Path) -> None:
    folders = shop(tmp_path).folders()

    assert {folder: [m.name for m in members] for folder, members in folders.items()} == {
        "Sales": ["Revenue", "Price"],
        "People": ["Visits"],
    }


def test_names_are_found_in_any_case_and_dimensions_by_their_label(tmp_path: Path) -> None:
    measures = shop(tmp_path)

    assert measures.measure("sALE count").name == "Sale Count"
    assert measures.dimension("Size of the SHIRT").name == "size"
    assert [dimension.name for dimension in measures.dimensions_of(measures.measure("price"))] == ["month", "size"]


def test_an_unknown_name_is_answered_with_the_close_ones(tmp_path: Path) -> None:
    measures = shop(tmp_path)

    with pytest.raises(ReportError, match=r"There is no measure 'revnue': did you mean Revenue\?"):
        measures.measure("revnue")
    with pytest.raises(ReportError, match=r"There is no measure 'count': did you mean Sale Count\?"):
        measures.measure("count")
    with pytest.raises(ReportError, match="There is no dimension 'xyz': there are month, size, town"):
        measures.dimension("xyz")


def test_a_boolean_is_shown_as_the_file_says(tmp_path: Path) -> None:
    size = shop(tmp_path).dimension("size")

    assert [size.shown(value) for value in (True, False, "true", "other")] == ["large", "small", "large", "other"]


def test_a_source_without_a_file_of_its_own_has_no_measures(tmp_path: Path) -> None:
    assert read_measures(tmp_path, "shop") is None
    assert read_measures(written(tmp_path, SHOP), "another") is None


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        pytest.param("name: town", "name: month", "dimension month stands there twice: rename one", id="twice"),
        pytest.param("[month, size]", "[month, colour]", "sales: there is no dimension colour", id="no dimension"),
        pytest.param(
            "[month, size]",
            "[month, size, town]",
            "sales: dimension town: the relation sales has no `as shops`: join it",
            id="a dimension over a table that is not joined",
        ),
        pytest.param("#,0.00", "0.000", "Price: format 0.000 is not known: use #,0, #,0.00", id="no format"),
        pytest.param("table: Visits, format", "table: Guests, format", "table Guests is of no relation", id="no table"),
        pytest.param("relation: visits", "relation: guests", "Visits: there is no relation guests", id="no relation"),
        pytest.param("numerator: Revenue, ", "", "Price: a ratio needs a numerator: name a measure", id="half a ratio"),
        pytest.param("numerator: Revenue", "numerator: Turnover", "its numerator Turnover is no measure", id="no part"),
        pytest.param(
            "numerator: Revenue", "numerator: Price", "its numerator Price is a ratio itself", id="ratio of it"
        ),
        pytest.param(
            "denominator: Sale Count",
            "denominator: Visits",
            "Price: Revenue is over sales, Visits over visits: a ratio divides two measures of one relation",
            id="a ratio over two relations",
        ),
        pytest.param(
            "denominator: Sale Count",
            "denominator: Sale Count, sql: sum(1)",
            "Price: a ratio has no sql of its own",
            id="a ratio with SQL",
        ),
        pytest.param("    sql: sum(sales.price)\n", "", "Revenue: sql is missing: add it", id="no SQL"),
        pytest.param(
            "sum(sales.price)", "sum(items.price)", "Revenue: the relation sales has no `as items`", id="alias"
        ),
        pytest.param(
            "COUNTROWS(Sales)", "'[Sales]'", "Sale Count: its DAX names [Sales], which is no measure", id="DAX"
        ),
        pytest.param(
            "SUM(Sales[Price])", "'[Price] + 0'", "Revenue: its DAX needs itself: break the circle", id="circle"
        ),
        pytest.param(
            "overlapping: [size]", "overlapping: [town]", "lacks the overlapping dimension town", id="overlap"
        ),
        pytest.param(
            "additive: true, overlapping",
            "additive: false, overlapping",
            "Sale Count: it is not additive by any dimension: remove overlapping",
            id="an overlap without a sum",
        ),
        pytest.param("unit: EUR", "units: EUR", "measures: Revenue: units: is not a key of this format", id="a key"),
        pytest.param("better: higher", "better: more", "measures: Revenue: better: Input should be", id="a direction"),
        pytest.param("source: shop", "source: shop\n: :", "is not valid YAML", id="no YAML"),
    ],
)
def test_a_fault_is_named_with_its_entry_and_the_remedy(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert old in SHOP

    with pytest.raises(ReportError) as refused:
        read_measures(written(tmp_path, SHOP.replace(old, new)), "shop")

    assert fault in str(refused.value)
    assert str(tmp_path / "measures.yml") in str(refused.value)


def test_all_faults_are_in_one_error(tmp_path: Path) -> None:
    text = (
        SHOP.replace("#,0.00", "0.000")
        .replace("sum(sales.price)", "sum(items.price)")
        .replace("name: town", "name: size")
    )

    with pytest.raises(ReportError) as refused:
        read_measures(written(tmp_path, text), "shop")

    assert str(refused.value) == dedent(f"""\
        {tmp_path / "measures.yml"} cannot be used:
          dimension size stands there twice: rename one
          sales: dimension size: the relation sales has no `as shops`: join it, or use another relation
          Revenue: the relation sales has no `as items`: join it, or use another relation
          Price: format 0.000 is not known: use #,0, #,0.00, 0.0, 0.00, 0.0%, 0.00%
          The head of the file explains its format.""")


def test_the_words_of_a_text_in_sql_are_no_aliases(tmp_path: Path) -> None:
    text = SHOP.replace("sum(sales.price)", "sum(sales.price) filter (where sales.name <> 'a.b')")

    assert read_measures(written(tmp_path, text), "shop") is not None


def test_every_definition_of_the_project_is_whole_sentences() -> None:
    measures = read_measures(PROJECT_DIR / "report", "olist")
    assert measures is not None

    described = [*measures.measures, *measures.dimensions]

    assert [each.name for each in described if not each.description.strip().endswith(".")] == []
    assert len([measure for measure in measures.measures if not measure.hidden]) >= 40
    assert yaml.safe_load((PROJECT_DIR / "report" / "model.yml").read_text())["source"] == measures.source
