"""report/model.yml and the DAX of the measures: every name is there, in dbt and in the model, and means one thing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from lakehouse.report.measures import FORMATS, read_measures
from lakehouse.settings import PROJECT_DIR
from tests.support.power_bi import COLUMN, MODEL, columns_of
from tools.generate.markdown import dbt_models
from tools.powerbi.sources import reference

MEASURES = read_measures(PROJECT_DIR / "report", "olist")
assert MEASURES is not None
MODELS = {model["name"]: model for model in dbt_models(PROJECT_DIR / "dbt", "marts")}
TABLES: dict[str, Mapping[str, Any]] = {table["name"]: table for table in MODEL["tables"]}
TEXT = re.compile(r'"[^"]*"')


def mart_of(table: str) -> str:
    return str(TABLES[table]["relation"]).removeprefix("marts.")


@pytest.mark.parametrize("name", TABLES)
def test_the_columns_of_a_table_are_those_of_its_mart(name: str) -> None:
    in_dbt = {column["name"] for column in MODELS[mart_of(name)]["columns"]}

    assert set(columns_of(TABLES[name])) - in_dbt == set()


@pytest.mark.parametrize("name", TABLES)
def test_a_column_has_one_name_and_no_measure_of_the_table_has_it(name: str) -> None:
    columns = list(columns_of(TABLES[name]).values())
    measures = {measure.name for measure in MEASURES.measures if measure.table == name}

    assert len(columns) == len(set(columns))
    assert measures & set(columns) == set()


@pytest.mark.parametrize("measure", MEASURES.measures, ids=lambda measure: measure.name)
def test_every_column_that_dax_names_is_in_the_model(measure: Any) -> None:
    named = {(quoted or plain, column) for quoted, plain, column in COLUMN.findall(TEXT.sub('""', measure.dax))}

    assert {pair for pair in named if pair[1] not in columns_of(TABLES[pair[0]]).values()} == set()


@pytest.mark.parametrize("dimension", MEASURES.dimensions, ids=lambda dimension: dimension.name)
def test_a_dimension_is_a_visible_column_of_the_model(dimension: Any) -> None:
    table, column = reference(dimension.dax)

    assert column in TABLES[table]["columns"].values()


@pytest.mark.parametrize("dimension", MEASURES.dimensions, ids=lambda dimension: dimension.name)
def test_a_dimension_is_the_same_column_in_sql_and_in_power_bi(dimension: Any) -> None:
    table, column = reference(dimension.dax)
    names = {shown: name for name, shown in columns_of(TABLES[table]).items()}

    assert dimension.sql.rpartition(".")[2] == names[column]


@pytest.mark.parametrize("relation", MEASURES.relations, ids=lambda relation: relation.name)
def test_power_bi_filters_a_fact_by_the_dimensions_of_its_relation_and_by_no_other(relation: Any) -> None:
    reached = {relation.table}
    reached |= {reference(r["to"])[0] for r in MODEL["relationships"] if reference(r["from"])[0] == relation.table}

    by_power_bi = {dimension.name for dimension in MEASURES.dimensions if reference(dimension.dax)[0] in reached}

    assert by_power_bi == set(relation.dimensions)


def test_a_filter_on_a_visible_column_keeps_the_reader_s_own() -> None:
    """CALCULATE with a condition on a visible column would replace a slicer on it."""
    replacing = []
    for measure in MEASURES.measures:
        outside = re.sub(r"KEEPFILTERS\([^()]*\)", "", TEXT.sub('""', measure.dax))
        for quoted, plain, column in re.findall(COLUMN.pattern + r"\s*(?:=|<|>|IN\b)", outside):
            is_visible = column in TABLES[quoted or plain]["columns"].values()
            # FILTER over a table of groups iterates; it replaces nothing.
            replacing += [measure.name] if is_visible and "FILTER(SUMMARIZE(" not in outside else []

    assert replacing == []


def test_the_relationships_are_those_that_dbt_tests() -> None:
    """Of the keys in the model. dbt also tests that a fact's order is in fct_orders; facts do not filter facts here."""
    tested = set()
    for name, table in TABLES.items():
        for column in MODELS[mart_of(name)]["columns"]:
            for test in column.get("data_tests", []):
                details = test.get("relationships") if isinstance(test, dict) else None
                target = re.fullmatch(r"ref\('(dim_\w+)'\)", details["arguments"]["to"]) if details else None
                if target and name.startswith(("Order", "Payments", "Reviews")) and column["name"] in columns_of(table):
                    to = next(other for other in TABLES if mart_of(other) == target[1])
                    field = columns_of(TABLES[to])[details["arguments"]["field"]]
                    tested.add((f"{name}[{columns_of(table)[column['name']]}]", f"{to}[{field}]"))

    assert {(r["from"], r["to"]) for r in MODEL["relationships"]} == tested


def test_every_measure_of_a_fact_is_in_a_table_of_the_model() -> None:
    assert {measure.table for measure in MEASURES.measures} <= set(TABLES)
    assert {measure.format for measure in MEASURES.measures} <= set(FORMATS)
