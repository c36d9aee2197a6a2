"""The warehouse's raw tables -> dbt's variable `<source>_types`, so that the marts carry numbers as they were loaded.

A mart's yml names the type of a number that it carries by this variable, e.g. `order_items.price`, and that of a sum by
`total`, in which sums of the columns in `<source>_summed` fit. The defaults, in dbt_project.yml, are the contract's
types; dbt parses the project again when a type differs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from lakehouse.lakehouse import Lakehouse
from lakehouse.load.raw_tables import columns_there

DECIMAL = re.compile(r"numeric\((?P<precision>\d+),(?P<scale>\d+)\)")
# Of the other numbers, how many digits they have before the point.
DIGITS = {"integer": 10, "bigint": 19}
# A sum may have this many digits more before its point, up to the most that Postgres and Redshift both know.
DIGITS_OF_A_SUM, MOST_DIGITS = 6, 38


def variable(lakehouse: Lakehouse) -> dict[str, dict[str, str]]:
    """{`<source>_types`: {`<table>.<column>`: type, `total`: type}} for the columns in raw_<source>."""
    contract = lakehouse.contract
    with lakehouse.cursor("transformer") as cursor:
        there = columns_there(cursor, contract)
    types = {
        f"{table.name}.{column}": kind
        for table in contract.tables
        for column, kind in there.get(table.name, {}).items()
        if column in table.column_names
    }
    project: dict[str, Any] = yaml.safe_load((lakehouse.settings.dbt_dir / "dbt_project.yml").read_bytes())
    summed = project.get("vars", {}).get(f"{contract.source}_summed", [])
    return {f"{contract.source}_types": {**types, "total": total(types, summed)}}


def total(types: Mapping[str, str], summed: Sequence[str]) -> str:
    """The type in which sums of these columns fit: as exact as the columns are."""
    kinds = [types[name] for name in summed if name in types]
    digits, scale = 0, 0
    for kind in kinds:
        if match := DECIMAL.fullmatch(kind):
            digits = max(digits, int(match["precision"]) - int(match["scale"]))
            scale = max(scale, int(match["scale"]))
        elif kind in DIGITS:
            digits = max(digits, DIGITS[kind])
        else:
            return "double precision"
    return f"numeric({min(digits + DIGITS_OF_A_SUM + scale, MOST_DIGITS)},{scale})"
