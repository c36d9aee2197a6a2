"""The warehouse's raw tables -> dbt's variable `<source>_types`, so that the marts carry numbers as they were loaded.

A mart's yml names the type of a number that it carries by this variable, e.g. `order_items.price`, and that of a sum by
`total`. The defaults in dbt_project.yml are the contract's types; dbt parses the project again when a type differs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lakehouse.lakehouse import Lakehouse
from lakehouse.load.raw_tables import columns_there

NUMBER = re.compile(r"integer|bigint|double precision|numeric\((?P<precision>\d+),(?P<scale>\d+)\)")
# A sum may have this many digits more before its point, up to the most that Postgres and Redshift both know.
DIGITS_OF_A_SUM, MOST_DIGITS = 6, 38


def variable(lakehouse: Lakehouse) -> dict[str, dict[str, str]]:
    """{`<source>_types`: {`<table>.<column>`: type, `total`: type}} for the numbers in raw_<source>."""
    contract = lakehouse.contract
    with lakehouse.cursor("transformer") as cursor:
        there = columns_there(cursor, contract)
    types = {
        f"{table.name}.{column}": kind
        for table in contract.tables
        for column, kind in there.get(table.name, {}).items()
        if column in table.column_names
    }
    return {f"{contract.source}_types": numbers(types)}


def numbers(types: dict[str, str]) -> dict[str, str]:
    """Those of the types that are numbers, and `total`, in which sums of the decimals fit."""
    found = {name: kind for name, kind in types.items() if NUMBER.fullmatch(kind)}
    return {**found, "total": _total(found.values())}


def _total(kinds: Iterable[str]) -> str:
    decimals = [
        (int(match["precision"]), int(match["scale"]))
        for kind in kinds
        if (match := NUMBER.fullmatch(kind)) and match["scale"]
    ]
    scale = max((scale for _, scale in decimals), default=0)
    digits = max((precision - scale for precision, scale in decimals), default=MOST_DIGITS) + DIGITS_OF_A_SUM
    return f"numeric({min(digits + scale, MOST_DIGITS)},{scale})"
