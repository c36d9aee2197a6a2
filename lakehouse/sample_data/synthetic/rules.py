"""A record's texts -> the reasons why silver must quarantine it, and its warnings. One record at a time.

Written in plain Python from the design (section 4) and not from silver/, since tests compare the pipeline with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from lakehouse.contract.model import Column, ColumnType, Rule

_FORMS = {
    "integer": r"-?[0-9]+",
    "bigint": r"-?[0-9]+",
    "double": r"-?[0-9]+(\.[0-9]+)?",
    "timestamp": r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}",
    "date": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
}
_BITS = {"integer": 31, "bigint": 63}


def violations(columns: Sequence[Column], values: Sequence[str]) -> tuple[list[str], list[str]]:
    """(reasons of severity error, reasons of severity warning) of a record, in the columns' order."""
    errors: list[str] = []
    warnings: list[str] = []
    for column, value in zip(columns, values, strict=True):
        if value and not is_of_type(column.type, value):
            errors.append(column.type_reason)
            continue
        for rule in column.rules:
            if not _keeps(rule, value):
                (errors if rule.severity == "error" else warnings).append(rule.reason)
    return errors, warnings


def is_of_type(kind: ColumnType, value: str) -> bool:
    """Whether a text (not empty) is the canonical form of a value of the type."""
    if kind.kind == "text":
        return True
    if kind.kind == "decimal":
        fraction = rf"(\.[0-9]{{1,{kind.scale}}})?" if kind.scale else ""
        return re.fullmatch(rf"-?[0-9]{{1,{kind.precision - kind.scale}}}{fraction}", value) is not None
    if re.fullmatch(_FORMS[kind.kind], value) is None:
        return False
    if kind.kind in _BITS:
        limit = 1 << _BITS[kind.kind]
        return -limit <= int(value) < limit
    if kind.kind in ("timestamp", "date"):
        return _is_moment(value)
    return True


def _is_moment(value: str) -> bool:
    try:
        return 1900 <= datetime.fromisoformat(value).year <= 2199
    except ValueError:
        return False


def _keeps(rule: Rule, value: str) -> bool:
    if rule.check == "required":
        return value != ""
    if not value:
        return True
    if rule.check == "valid_values":
        return value in rule.values
    if rule.check == "pattern":
        return re.fullmatch(rule.pattern, value) is not None
    number = Decimal(value)
    return (rule.minimum is None or number >= rule.minimum) and (rule.maximum is None or number <= rule.maximum)
