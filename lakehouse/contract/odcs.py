"""contracts/<source>.odcs.yaml -> a Contract, or one error with all faults of the file.

The pipeline uses these parts of the Open Data Contract Standard (ODCS 3.2): `schema[].physicalName` (the publisher's
file name), `customProperties.files` (other accepted file names), `properties[].physicalType` (see ColumnType),
`primaryKeyPosition`, `required`, `relationships`, `customProperties.since` (for a column that was added later) and
`customProperties.holdAboveShare` of a table (load/held.py). The rules of severity error are

    logicalTypeOptions: {minimum: 0, maximum: 5}                       range, both ends included
    logicalTypeOptions: {pattern: ...}                                 pattern of the whole value, for Java and Python
    enum: [{value: ...}, ...]                                          valid values

Any other entry of `logicalTypeOptions` that restricts the valid values is refused. The rules in `quality`,
each with `severity: error` or `warning`, are

    metric: nullValues     mustBe: 0                                   required (for severity warning)
    metric: invalidValues  mustBe: 0  arguments: {validValues: [...]}  valid values
    metric: invalidValues  mustBe: 0  arguments: {pattern: ...}        pattern
    type: custom  engine: lakehouse  implementation: {minimum: 0, maximum: 5}   range

A column's rules are in this order: required, `logicalTypeOptions`, `enum`, `quality`. A key that ODCS 3.2 does not
define is a fault (odcs_keys.py). A key that ODCS defines is allowed, even if this pipeline does not use the key.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml
from open_data_contract_standard.model import DataQuality, OpenDataContractStandard, SchemaObject, SchemaProperty
from pydantic import ValidationError

from lakehouse import yml
from lakehouse.contract.model import Column, ColumnType, Contract, Rule, Severity, TableContract
from lakehouse.contract.odcs_keys import option_faults, unknown_keys
from lakehouse.contract.patterns import not_for_java
from lakehouse.errors import ContractError

# Postgres silently cuts identifiers after 63 bytes. A table's staging tables and indexes are named after it.
LONGEST_COLUMN_NAME = 63
LONGEST_TABLE_NAME = LONGEST_COLUMN_NAME - len("_staging__01234567")


def read_contract(contracts_dir: Path, source: str) -> Contract:
    """The contract of a source, from `<contracts_dir>/<source>.odcs.yaml`.

    Raises ContractError, which names all faults in the file.
    """
    path = contracts_dir / f"{source}.odcs.yaml"
    try:
        document = yml.load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = sorted(p.name.removesuffix(".odcs.yaml") for p in contracts_dir.glob("*.odcs.yaml"))
        raise ContractError(
            f"There is no contract {path}. Known sources: {', '.join(known) or 'none'}.\n"
            "Set LAKEHOUSE_SOURCE, or write the contract (docs/adding-a-source.md)."
        ) from None
    except yaml.YAMLError as error:
        raise ContractError(f"{path} is not valid YAML: {error}") from error
    faults = unknown_keys(document)
    try:
        model = OpenDataContractStandard.model_validate(document)
    except ValidationError as error:
        head = f"{path} is not a contract of the Open Data Contract Standard:"
        raise ContractError("\n  ".join([head, *faults, *_misfits(error)])) from error

    tables = tuple(_table(source, table, faults) for table in model.schema_ or [])
    names = [file.casefold() for table in tables for file in table.files]
    faults += [f"file name {name} is given to two tables" for name in sorted({n for n in names if names.count(n) > 1})]
    known_columns = {(t.name, c) for t in tables for c in t.column_names}
    faults += [
        f"{t.name}.{c.name} refers to {'.'.join(c.references)}, which is not in this contract"
        for t in tables
        for c in t.columns
        if c.references and c.references not in known_columns
    ]
    if not tables:
        faults.append("it has no table")
    if faults:
        raise ContractError("\n  ".join([f"{path} cannot be used:", *faults]))
    purpose = model.description.purpose if model.description else None
    return Contract(source, model.name or source, _text(purpose), tables)


def _misfits(error: ValidationError) -> list[str]:
    """A sentence for each thing that pydantic could not read.

    Undefined top-level keys are left out, since `unknown_keys` names them.
    """
    faults = []
    for fault in error.errors(include_url=False):
        if fault["type"] != "extra_forbidden":
            place = ".".join(map(str, fault["loc"])) or "the file"
            is_bare = fault["type"] == "model_type" and "enum" in fault["loc"]
            hint = f": write {{value: {fault['input']}}}" if is_bare else ""
            faults.append(f"{place}: {fault['msg']}{hint}")
    return faults


def _table(source: str, table: SchemaObject, faults: list[str]) -> TableContract:
    name = table.name or ""
    where = name or "a table without name"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        faults.append(f"{where}: a table's name is lower-case letters, digits and underscores")
    if len(name) > LONGEST_TABLE_NAME:
        faults.append(f"{where}: a table's name has at most {LONGEST_TABLE_NAME} characters")
    properties = table.properties or []
    columns = tuple(_column(where, item, faults) for item in properties)
    key = sorted((p.primaryKeyPosition or 1, p.name or "") for p in properties if p.primaryKey)
    if repeated := {c.name for c in columns if [d.name for d in columns].count(c.name) > 1}:
        faults.append(f"{where}: column {', '.join(sorted(repeated))} stands there twice")
    files = _custom(table, "files") or []
    stem = (table.physicalName or name).removesuffix(".csv")
    return TableContract(
        name=name,
        source=source,
        description=_text(table.description),
        grain=_text(table.dataGranularityDescription),
        files=tuple(dict.fromkeys([stem, name, *files])),
        columns=columns,
        key=tuple(column for _, column in key),
        rules=tuple(rule for column in columns for rule in column.rules),
        hold_above_share=_share(where, _custom(table, "holdAboveShare"), faults),
    )


def _share(where: str, value: Any, faults: list[str]) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        faults.append(f"{where}: holdAboveShare must be a number from 0 to 1, not {value}")
        return None
    return float(value)


def _column(table: str, item: SchemaProperty, faults: list[str]) -> Column:
    name = item.name or ""
    where = f"{table}.{name or 'a column without name'}"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        faults.append(f"{where}: a column's name is lower-case letters, digits and underscores")
    if len(name) > LONGEST_COLUMN_NAME:
        faults.append(f"{where}: a column's name has at most {LONGEST_COLUMN_NAME} characters")
    try:
        kind = ColumnType.parse(item.physicalType or "")
    except ValueError as error:
        faults.append(f"{where}: {error}")
        kind, standard = ColumnType("text"), []
    else:
        standard = _standard_rules(where, name, kind, item, faults)
    rules = [Rule(name, "required", "error")] if item.required or item.primaryKey else []
    checks = [rule for quality in item.quality or [] if (rule := _rule(where, name, kind, quality, faults))]
    rules += [*standard, *_not_yet_said(where, standard, checks, faults)]
    references = None
    for relationship in item.relationships or []:
        target = str(relationship.to).split(".")
        if len(target) == 2:
            references = (target[0], target[1])
        else:
            faults.append(f"{where}: a relationship is written `to: table.column`, not {relationship.to}")
    since = _custom(item, "since")
    if since is not None and (not isinstance(since, date) or isinstance(since, datetime)):
        faults.append(f"{where}: since must be a date, not {since}")
        since = None
    return Column(name, kind, _text(item.description), tuple(rules), since, references)


def _standard_rules(where: str, column: str, kind: ColumnType, item: SchemaProperty, faults: list[str]) -> list[Rule]:
    """The rules in `logicalTypeOptions` and `enum`. A restriction that no rule can express is a fault."""
    options = item.logicalTypeOptions or {}
    faults += [f"{where}: {fault}" for fault in option_faults(options, kind)]
    rules = []
    limits = {name: options[name] for name in ("minimum", "maximum") if name in options}
    if limits and kind.is_number:
        rules.append(_range(where, column, "error", limits, faults))
    if "pattern" in options and kind.kind == "text":
        rules.append(Rule(column, "pattern", "error", pattern=_pattern(where, options["pattern"], faults)))
    if item.enum is not None and kind.kind != "text":
        faults.append(f"{where}: enum is for text, not for {kind}")
    elif item.enum is not None:
        values = _valid_values(where, [entry.value for entry in item.enum], faults)
        rules.append(Rule(column, "valid_values", "error", values=values))
        if not values:
            faults.append(f"{where}: enum has no value")
    return rules


def _not_yet_said(where: str, standard: list[Rule], checks: list[Rule], faults: list[str]) -> list[Rule]:
    """The rules in `quality` that the standard's forms do not already state. If the two disagree, that is a fault."""
    said = {rule.check: rule for rule in standard}
    both = [rule for rule in checks if rule.severity == "error" and rule.check in said]
    for rule in both:
        twin = said[rule.check]
        if {*rule.values} != {*twin.values} or replace(rule, values=twin.values) != twin:
            what = rule.check.replace("_", " ")
            form = "enum" if rule.check == "valid_values" else "logicalTypeOptions"
            faults.append(f"{where}: {what} says one thing in {form}, another in quality: keep one of the two")
    return [rule for rule in checks if rule not in both]


def _range(where: str, column: str, severity: Severity, limits: dict[str, Any], faults: list[str]) -> Rule:
    low, high = limits.get("minimum"), limits.get("maximum")
    if low is None and high is None:
        faults.append(f"{where}: a range has a minimum, a maximum or both")
    minimum, maximum = _limit(where, "minimum", low, faults), _limit(where, "maximum", high, faults)
    return Rule(column, "range", severity, minimum=minimum, maximum=maximum)


def _rule(where: str, column: str, kind: ColumnType, quality: DataQuality, faults: list[str]) -> Rule | None:
    if quality.severity not in ("error", "warning"):
        faults.append(f"{where}: severity must be error or warning, not {quality.severity}")
        return None
    severity: Severity = "error" if quality.severity == "error" else "warning"
    arguments = quality.arguments or {}
    if quality.metric == "nullValues" and quality.mustBe == 0:
        return Rule(column, "required", severity)
    if quality.metric == "invalidValues" and quality.mustBe == 0 and kind.kind == "text":
        if values := arguments.get("validValues"):
            return Rule(column, "valid_values", severity, values=_valid_values(where, values, faults))
        if pattern := arguments.get("pattern"):
            return Rule(column, "pattern", severity, pattern=_pattern(where, pattern, faults))
    limits = quality.implementation if isinstance(quality.implementation, dict) else {}
    if quality.engine == "lakehouse" and kind.is_number and limits and {*limits} <= {"minimum", "maximum"}:
        return _range(where, column, severity, limits, faults)
    faults.append(
        f"{where}: the quality check {quality.name or quality.metric or quality.type} "
        "is none of those described in lakehouse/contract/odcs.py"
    )
    return None


def _valid_values(where: str, values: Any, faults: list[str]) -> tuple[str, ...]:
    """The values as text. It is a fault if YAML does not read a value as text: unquoted, NO is False and 01 is 1."""
    if not isinstance(values, list):
        faults.append(f"{where}: validValues is a list, not {values}")
        return ()
    faults += [
        f"{where}: the valid value {value} was read as {_yaml_type(value)}, not as text: put it in quotes"
        for value in values
        if not isinstance(value, str)
    ]
    return tuple(map(str, values))


def _pattern(where: str, pattern: Any, faults: list[str]) -> str:
    if not isinstance(pattern, str):
        faults.append(
            f"{where}: the pattern {pattern} was read as {_yaml_type(pattern)}, not as text: put it in quotes"
        )
        return ""
    # Otherwise a pattern that Spark cannot use would fail in the middle of a run.
    try:
        re.compile(pattern)
        faults += [f"{where}: the pattern {pattern} cannot be used by Spark: {what}" for what in not_for_java(pattern)]
    except re.error as error:
        faults.append(f"{where}: the pattern {pattern} cannot be used: {error}")
    return pattern


def _limit(where: str, name: str, value: Any, faults: list[str]) -> Decimal | None:
    if value is None:
        return None
    try:
        limit = None if isinstance(value, bool) else Decimal(str(value))
    except InvalidOperation:
        limit = None
    if limit is None or not limit.is_finite():
        faults.append(f"{where}: the {name} must be a number, not {value}")
        return None
    return limit


def _yaml_type(value: Any) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", date: "a date", datetime: "a moment"}
    return names.get(type(value), "null" if value is None else "a structure")


def _custom(item: SchemaObject | SchemaProperty, name: str) -> Any:
    return next((p.value for p in item.customProperties or [] if p.property == name), None)


def _text(value: str | None) -> str:
    return " ".join((value or "").split())
