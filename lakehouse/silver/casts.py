"""A value as sent (text) -> a typed value, or null if the text is not in the type's canonical form.

The functions build Spark's column expressions. Spark's own casts are lenient: `10.505` becomes 10.51, `1e3` becomes
1000.00, `2018` becomes a timestamp, and `+02:00` is dropped. So a value is cast only if its whole text matches the
canonical form of its type, and the cast must succeed, too.
Only ASCII digits are accepted, and only years from 1900 to 2199. Nothing is trimmed or rounded, and no value may be out
of its type's range.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as sf

from lakehouse.contract.model import ColumnType

_DATE = "(?:19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}"


def text_or_null(name: str) -> Column:
    """The value of a column as sent; null if it is empty."""
    return sf.nullif(sf.col(name), sf.lit(""))


def cast(value: Column, type_: ColumnType) -> Column:
    """The typed value; null if `value` is null or not of the type."""
    if type_.kind == "text":
        return value
    typed = sf.when(value.rlike(canonical_form(type_)), value.try_cast(type_.spark))
    if type_.kind == "double":
        # Adding 0.0 turns -0.0 into 0.0. The two are equal, but some of Spark's groupings keep them apart.
        return sf.when(sf.abs(typed) < sf.lit(float("inf")), typed + sf.lit(0.0))
    return typed


def canonical_form(type_: ColumnType) -> str:
    r"""The Java regular expression that the whole text of a value must match. The type text has none.

    The expression begins with `\A` and ends with `\z`: Java's `$` also matches before a newline at the end.
    """
    if type_.kind == "decimal":
        # In decimal(2,2) the leading 0 of 0.25 does not count as a digit. The cast refuses a value that does not fit.
        whole = f"-?[0-9]{{1,{max(type_.precision - type_.scale, 1)}}}"
        return rf"\A{whole}(?:\.[0-9]{{1,{type_.scale}}})?\z" if type_.scale else rf"\A{whole}\z"
    forms = {
        "integer": "-?[0-9]+",
        "bigint": "-?[0-9]+",
        "double": r"-?[0-9]+(?:\.[0-9]+)?",
        "timestamp": f"{_DATE} [0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}",
        "date": _DATE,
    }
    return rf"\A{forms[type_.kind]}\z"
