"""Every type a contract may use keeps its value from the file to the warehouse, nulls and extremes included."""

from __future__ import annotations

import struct
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from lakehouse.contract.model import Column, ColumnType, TableContract
from lakehouse.contract.odcs import read_contract
from lakehouse.settings import PROJECT_DIR
from tests.support.made_up_shop import Shop

# Type -> texts and their values.
EXTREMES: dict[str, list[tuple[str, Any]]] = {
    "text": [
        ("x", "x"),
        ("é€😀", "é€😀"),
        ('"a ""b"", c\nd"', 'a "b", c\nd'),
        (" ", " "),
        ("\\N", "\\N"),
        ("NULL", "NULL"),
    ],
    "integer": [("2147483647", 2**31 - 1), ("-2147483648", -(2**31)), ("0", 0)],
    "bigint": [("9223372036854775807", 2**63 - 1), ("-9223372036854775808", -(2**63)), ("0", 0)],
    "double": [
        ("0.1", 0.1),
        ("-0.0", 0.0),  # one zero, not two
        ("1" + "0" * 308, 1e308),
        ("0." + "0" * 323 + "5", 5e-324),
        ("-23.54562128115268", -23.54562128115268),
    ],
    "timestamp": [
        ("1900-01-01 00:00:00", datetime(1900, 1, 1)),
        ("2199-12-31 23:59:59", datetime(2199, 12, 31, 23, 59, 59)),
        ("2018-03-25 02:30:00", datetime(2018, 3, 25, 2, 30)),
    ],
    "date": [("1900-01-01", date(1900, 1, 1)), ("2199-12-31", date(2199, 12, 31)), ("2016-02-29", date(2016, 2, 29))],
    "decimal(12,2)": [("9999999999.99", Decimal("9999999999.99")), ("-9999999999.99", Decimal("-9999999999.99"))],
    "decimal(5,0)": [("99999", Decimal(99999)), ("-0", Decimal(0))],
    "decimal(9,4)": [("12345.6789", Decimal("12345.6789")), ("0.0001", Decimal("0.0001"))],
    "decimal(18,18)": [("0.999999999999999999", Decimal("0.999999999999999999"))],
    "decimal(19,1)": [("999999999999999999.9", Decimal("999999999999999999.9"))],
    "decimal(38,0)": [("9" * 38, Decimal("9" * 38)), ("-" + "9" * 38, Decimal("-" + "9" * 38))],
    "decimal(38,38)": [("-0." + "9" * 38, Decimal("-0." + "9" * 38))],
}


def table_of_types() -> TableContract:
    columns = [Column("id", ColumnType("integer"), "")]
    columns += [Column(f"c{n}", ColumnType.parse(name), "") for n, name in enumerate(EXTREMES)]
    return TableContract("orders", "shop", "", "", ("orders",), tuple(columns), ("id",))


@pytest.fixture(scope="module")
def shop(new_workspace, spark, tmp_path_factory):
    """A row of nulls, then rows with the nth extreme of each type (null where a type has fewer)."""
    table = table_of_types()
    shop = Shop(
        new_workspace(source="shop"), spark, tmp_path_factory.mktemp("types"), table, ",".join(table.column_names)
    )
    most = max(len(extremes) for extremes in EXTREMES.values())
    lines = ["0" + "," * len(EXTREMES)]
    for n in range(most):
        texts = [extremes[n][0] if n < len(extremes) else "" for extremes in EXTREMES.values()]
        lines += [",".join([str(n + 1), *texts])]
    shop.load(*lines)
    return shop


@pytest.mark.parametrize(("number", "name"), list(enumerate(EXTREMES)), ids=list(EXTREMES))
def test_a_value_arrives_as_it_was_sent(shop, number, name):
    values = [value for (value,) in shop.query(f"select c{number} from raw_shop.orders order by id")]

    expected = [None, *(value for _, value in EXTREMES[name])]
    expected += [None] * (len(values) - len(expected))
    assert values == expected
    assert [type(value) for value in values] == [type(value) for value in expected]
    if name == "double":
        assert [v if v is None else struct.pack("d", v) for v in values] == [
            v if v is None else struct.pack("d", v) for v in expected
        ]


def test_no_row_was_lost(shop):
    assert shop.quarantine() == [] if shop.has_delta_table("quarantine/shop/orders") else True
    assert shop.query("select count(*) from raw_shop.orders") == [(1 + max(map(len, EXTREMES.values())),)]


def test_the_column_types_of_the_warehouse_are_those_of_the_contract(shop):
    types = shop.query(
        "select attname::text, format_type(atttypid, atttypmod) from pg_attribute "
        "where attrelid = 'raw_shop.orders'::regclass and attnum > 0 and not attisdropped order by attnum"
    )

    written = [(name, kind.replace("timestamp without time zone", "timestamp")) for name, kind in types]
    assert written == list(shop.table.sql_columns)


@pytest.mark.parametrize(
    "table", [table_of_types(), *read_contract(PROJECT_DIR / "contracts", "olist").tables], ids=lambda t: t.name
)
def test_spark_hands_over_the_arrow_types_of_the_contract(spark, table):
    def name_types(batches):
        for batch in batches:
            yield pa.RecordBatch.from_pydict({"type": [f"{field.name} {field.type}" for field in batch.schema]})

    row = spark.createDataFrame([tuple([None] * len(table.arrow_schema))], table.spark_schema)

    handed_over = [found["type"] for found in row.mapInArrow(name_types, "type string").collect()]

    assert handed_over == [f"{field.name} {field.type}" for field in table.arrow_schema]
