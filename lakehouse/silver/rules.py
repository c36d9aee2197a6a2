"""Bronze rows of one batch -> the same rows, typed and graded: accepted, duplicate, superseded or invalid.

A row is invalid if a value is not of its column's type or violates a rule of severity error. Among valid rows that are
equal in all contract columns, the one with the highest `_row` is kept; the others are duplicates. Among the kept rows
with the same key, the one with the highest `_row` is accepted; the others are superseded. This module uses only
DataFrames.
"""

from __future__ import annotations

from decimal import Decimal
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as sf

from lakehouse.contract.model import ColumnType, Rule, TableContract
from lakehouse.silver.casts import cast, text_or_null

# The grades of a row. In quarantine SUPERSEDED is also the reason.
ACCEPTED, DUPLICATE, SUPERSEDED, INVALID = "accepted", "duplicate", "superseded", "invalid"
# An entry of a Postgres index can have 2,700 bytes at most. The indexed columns are keys, references to other tables
# and, in the marts, columns that a contract's pattern keeps short.
LONGEST_KEY_BYTES = 2000
KEY_TOO_LONG = f"key: longer than {LONGEST_KEY_BYTES} bytes"
REFERENCE_TOO_LONG = f"longer than {LONGEST_KEY_BYTES} bytes"
# Separates the columns of a key in ops.changed_keys.
KEY_SEPARATOR = chr(31)
KEY_HAS_SEPARATOR = "key: holds the control character U+001F"
KEY_LOOKS_LIKE_ANOTHER = "has spaces around it, or invisible characters"
# The same as a regular expression that Java and RE2 read alike: code points only, since the two know different versions
# of Unicode. Control and format characters, separators, spaces other than U+0020 (the wide one of East Asia at the ends
# only), and letters without a shape. Format characters that enclose a number are visible, so they are left out.
LOOKS_LIKE_ANOTHER = (
    r"\A[\x{20}\x{3000}]|[\x{20}\x{3000}]\z|"
    r"[\x{0}-\x{1F}\x{7F}-\x{A0}\x{AD}\x{34F}\x{61C}\x{115F}\x{1160}\x{1680}\x{17B4}\x{17B5}\x{180B}-\x{180F}"
    r"\x{2000}-\x{200F}\x{2028}-\x{202F}\x{205F}-\x{206F}\x{2800}\x{3164}\x{FE00}-\x{FE0F}\x{FEFF}\x{FFA0}"
    r"\x{FFF0}-\x{FFFB}\x{13430}-\x{1343F}\x{1BCA0}-\x{1BCA3}\x{1D173}-\x{1D17A}\x{E0000}-\x{E0FFF}]"
)


def with_types(bronze: DataFrame, table: TableContract) -> DataFrame:
    """The typed contract columns, null if the text is not of the type. `_has_<column>` says whether there is a text."""
    return bronze.select(
        *(cast(text_or_null(column.name), column.type).alias(column.name) for column in table.columns),
        *(text_or_null(column.name).isNotNull().alias(f"_has_{column.name}") for column in table.columns),
        *(name for name in ("_row", "_record") if name in bronze.columns),
    )


def graded_rows(bronze: DataFrame, table: TableContract) -> DataFrame:
    """Every row: its typed contract columns, `_row`, `_grade`, `_reasons`, `_warnings`, and `_record` if quarantined.

    One job grades by sorting, which suits a batch that fits into one task. The functions below grade a large batch.
    """
    reasons = _reasons(violations(table))
    warnings = _reasons(suspicions(table))
    typed = with_types(bronze.withColumn("_record", as_sent(table)), table)
    rows = typed.select(
        *table.column_names, "_row", "_record", reasons.alias("_reasons"), warnings.alias("_warnings")
    ).withColumn("_is_valid", sf.size("_reasons") == 0)
    last_copy = sf.max("_row").over(Window.partitionBy("_is_valid", *table.column_names))
    newest = sf.max("_row").over(Window.partitionBy("_is_valid", *table.unique_key))
    grade = (
        sf.when(~sf.col("_is_valid"), INVALID)
        .when(sf.col("_row") < last_copy, DUPLICATE)
        .when(sf.col("_row") < newest, SUPERSEDED)
        .otherwise(ACCEPTED)
    )
    superseded, is_quarantined = sf.col("_grade") == SUPERSEDED, sf.col("_grade").isin(SUPERSEDED, INVALID)
    return rows.withColumn("_grade", grade).withColumns(
        {
            "_reasons": sf.when(superseded, sf.array(sf.lit(SUPERSEDED))).otherwise(sf.col("_reasons")),
            "_record": sf.when(is_quarantined, sf.col("_record")),
        }
    )


def distinct_rows(bronze: DataFrame, table: TableContract) -> DataFrame:
    """One row per distinct set of typed values.

    It has `_is_valid`, the number of identical rows (`_copies`) and the highest `_row` among them. Invalid rows are
    included here too; `invalid_rows` lists them individually.
    """
    is_invalid = reduce(Column.__or__, [violation for _, violation in violations(table)], sf.lit(False))
    graded = with_types(bronze, table).select(*table.column_names, "_row", (~is_invalid).alias("_is_valid"))
    # This groups by hash. A window over all columns would sort the rows, which takes three times as long on wide rows.
    return graded.groupBy(*table.column_names, "_is_valid").agg(
        sf.max("_row").alias("_row"), sf.count(sf.lit(1)).alias("_copies")
    )


def newest_per_key(distinct: DataFrame, table: TableContract) -> DataFrame:
    """Valid rows with `_is_newest`: whether no row with the same key has a higher `_row`."""
    newest = sf.max("_row").over(Window.partitionBy(*table.unique_key))
    return distinct.where("_is_valid").withColumn("_is_newest", sf.col("_row") == newest)


def invalid_rows(bronze: DataFrame, table: TableContract) -> DataFrame:
    """`_row`, all `_reasons` and `_record` of each invalid row. `_record` is JSON, as sent, in contract order."""
    reasons = _reasons(violations(table))
    typed = with_types(bronze.withColumn("_record", as_sent(table)), table)
    return typed.select("_row", reasons.alias("_reasons"), "_record").where(sf.size("_reasons") > 0)


def superseded_rows(bronze: DataFrame, newest: DataFrame, table: TableContract) -> DataFrame:
    """The same columns as `invalid_rows`, for the rows that a later row with the same key superseded."""
    superseded = newest.where("not _is_newest").select("_row")
    reasons = sf.array(sf.lit(SUPERSEDED)).alias("_reasons")
    return bronze.join(superseded, on="_row", how="left_semi").select("_row", reasons, as_sent(table).alias("_record"))


def counts_of(distinct: DataFrame, table: TableContract) -> dict[str, Column]:
    """Aggregates over `distinct_rows`: the number of rows per grade. `keys`: distinct keys of valid rows."""
    valid, copies = sf.col("_is_valid"), sf.col("_copies")
    counts = {
        "bronze": sf.sum(copies),
        "quarantined": sf.sum(sf.when(~valid, copies)),
        "duplicates": sf.sum(sf.when(valid, copies - 1)),
        "valid": sf.count(sf.when(valid, sf.lit(1))),
    }
    if table.key:
        # A struct, since count(distinct a, b) leaves out rows in which a or b is null.
        counts["keys"] = sf.count_distinct(sf.when(valid, sf.struct(*table.key)))
    return counts


def warnings_of(table: TableContract) -> dict[str, Column]:
    """reason -> aggregate: the number of valid rows that are suspicious for this reason."""
    return {
        reason: sf.sum(sf.when(sf.col("_is_valid") & is_suspicious, 1)) for reason, is_suspicious in suspicions(table)
    }


def suspicions(table: TableContract) -> list[tuple[str, Column]]:
    """(reason, whether a row is kept with this warning): the contract's rules of severity warning, and odd keys.

    Every text of a key, and every reference to another table's, is looked at: `o1` and `o1 ` are two orders, which
    people take for one. No contract has to say so.
    """
    rules = [(rule, column.type) for column in table.columns for rule in column.rules if rule.severity == "warning"]
    found = [(rule.reason, violates(rule, type_)) for rule, type_ in rules]
    for column in table.columns:
        if column.type.kind == "text" and (column.name in table.key or column.references):
            looks_like_another = sf.coalesce(sf.col(column.name).rlike(LOOKS_LIKE_ANOTHER), sf.lit(False))
            found.append((f"{column.name}: {KEY_LOOKS_LIKE_ANOTHER}", looks_like_another))
    return found


def _reasons(violations: list[tuple[str, Column]]) -> Column:
    """The reasons for a row's violations, as an array."""
    found = [sf.when(violation, sf.lit(reason)) for reason, violation in violations]
    return sf.array_compact(sf.array(*found)) if found else sf.array().cast("array<string>")


def violations(table: TableContract) -> list[tuple[str, Column]]:
    """(reason, whether a row of `with_types` is invalid for this reason), in the contract's order."""
    found: list[tuple[str, Column]] = []
    for column in table.columns:
        value, is_there = sf.col(column.name), sf.col(f"_has_{column.name}")
        if column.type.kind != "text":
            found.append((column.type_reason, is_there & value.isNull()))
        for rule in column.rules:
            if rule.severity == "error":
                # An empty value and a value of the wrong type are two different violations.
                violation = ~is_there if rule.check == "required" else violates(rule, column.type)
                found.append((rule.reason, violation))
    return [*found, *_index_violations(table)]


def _index_violations(table: TableContract) -> list[tuple[str, Column]]:
    found: list[tuple[str, Column]] = []
    texts = [column for column in table.columns if column.type.kind == "text"]
    indexed = [column.name for column in texts if column.name in table.indexed_columns]
    if indexed:
        lengths = [sf.coalesce(sf.octet_length(name), sf.lit(0)) for name in indexed]
        found.append((KEY_TOO_LONG, reduce(Column.__add__, lengths) > LONGEST_KEY_BYTES))
        holds = [sf.coalesce(sf.contains(sf.col(name), sf.lit(KEY_SEPARATOR)), sf.lit(False)) for name in indexed]
        found.append((KEY_HAS_SEPARATOR, reduce(Column.__or__, holds)))
    for name in table.bounded_references:
        is_long = sf.coalesce(sf.octet_length(name) > LONGEST_KEY_BYTES, sf.lit(False))
        found.append((f"{name}: {REFERENCE_TOO_LONG}", is_long))
    return found


def violates(rule: Rule, type_: ColumnType) -> Column:
    """Whether a typed value violates the rule: true or false, never null. A null violates `required` only."""
    value = sf.col(rule.column)
    if rule.check == "required":
        return value.isNull()
    if rule.check == "valid_values":
        keeps = value.isin(*rule.values)
    elif rule.check == "pattern":
        keeps = value.rlike(rf"\A(?:{rule.pattern})\z")
    else:
        low = sf.lit(True) if rule.minimum is None else value >= _bound(rule.minimum, type_)
        high = sf.lit(True) if rule.maximum is None else value <= _bound(rule.maximum, type_)
        keeps = low & high
    return value.isNotNull() & ~keeps


def _bound(number: Decimal, type_: ColumnType) -> Column:
    return sf.lit(float(number) if type_.kind == "double" else number)


def as_sent(table: TableContract) -> Column:
    """The record as JSON text, with its values as sent."""
    return sf.to_json(sf.struct(*table.column_names), {"ignoreNullFields": "false"})
