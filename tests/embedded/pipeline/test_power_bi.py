"""The Power BI model against live marts: its columns and types, and what Power BI demands of their values."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg2 import sql

from lakehouse.settings import PROJECT_DIR, Settings
from tests.support.lake import query
from tools.powerbi.model import TYPES, Model, Table, build_model
from tools.powerbi.sources import read_sources

MODEL: Model = build_model(read_sources(PROJECT_DIR / "report"), PROJECT_DIR / "dbt")
TABLES = {table.name: table for table in MODEL.tables}
COLUMNS = """
    select column_name, replace(data_type, 'timestamp without time zone', 'timestamp')
    from information_schema.columns
    where table_schema = '{schema}' and table_name = '{relation}'
"""


def rows(settings: Settings, statement: str, table: Table, *columns: str) -> list[tuple[Any, ...]]:
    """The answer to a statement about a relation, as the role that Power BI signs in as."""
    names = {f"column_{i}": sql.Identifier(name) for i, name in enumerate(columns)}
    return query(
        settings, sql.SQL(statement).format(relation=sql.Identifier(table.schema, table.relation), **names), "bi_reader"
    )


@pytest.mark.parametrize("name", TABLES)
def test_power_bi_finds_each_column_with_the_type_that_the_model_says(name: str, loaded_shop: Settings) -> None:
    table = TABLES[name]

    types = dict(query(loaded_shop, COLUMNS.format(schema=table.schema, relation=table.relation), "bi_reader"))

    found = {column.source: TYPES.get(types.get(column.source, "")) for column in table.columns}
    assert found == {column.source: column.type for column in table.columns}


def keys() -> list[tuple[str, str]]:
    """The columns on the one side of a relationship, and the date of the calendar."""
    dates = [
        (table.name, one.name) for table in MODEL.tables if table.is_calendar for one in table.columns if one.is_key
    ]
    return [*sorted({one.one for one in MODEL.relationships}), *dates]


@pytest.mark.parametrize(("name", "key"), keys())
def test_a_key_is_unique_as_power_bi_compares(name: str, key: str, loaded_shop: Settings) -> None:
    """Power BI ignores case and spaces at the end. Its calendar leaves out the unknown date, which is null."""
    table = TABLES[name]
    source = next(column.source for column in table.columns if column.name == key)

    statement = """
        select lower(rtrim({column_0}::text)) from {relation}
        where {column_0} is not null group by 1 having count(*) > 1
    """
    assert rows(loaded_shop, statement, table, source) == []


def sorted_columns() -> list[tuple[str, str]]:
    return [(table.name, column.name) for table in MODEL.tables for column in table.columns if column.sorted_by]


@pytest.mark.parametrize(("name", "shown"), sorted_columns())
def test_a_value_has_one_place_in_its_order(name: str, shown: str, loaded_shop: Settings) -> None:
    """Power BI refuses to load a column in which a value has two."""
    table = TABLES[name]
    columns = {column.name: column for column in table.columns}
    by = columns[str(columns[shown].sorted_by)].source

    statement = "select {column_0} from {relation} group by 1 having count(distinct {column_1}) > 1"
    assert rows(loaded_shop, statement, table, columns[shown].source, by) == []
    assert rows(loaded_shop, "select from {relation} where {column_0} is not null limit 1", table, by)


@pytest.mark.parametrize("name", [table.name for table in MODEL.tables if table.only])
def test_a_limited_table_keeps_some_rows(name: str, loaded_shop: Settings) -> None:
    table = TABLES[name]
    ((column, value),) = table.only.items()

    kept = [row for row in rows(loaded_shop, "select {column_0} from {relation}", table, column) if row == (value,)]

    assert kept
