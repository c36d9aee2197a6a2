"""A contract's YAML -> a sentence per key that ODCS 3.2 does not define, or that restricts values and is no rule here.

The standard's model ignores an unknown key, so a misspelt `primaryKey` would give a table without a key. The model
defines which keys exist. Where the model takes any mapping (a custom property's value, a check's arguments), any key is
fine.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from types import UnionType
from typing import Any, Union, get_args, get_origin

from open_data_contract_standard.model import OpenDataContractStandard
from pydantic import BaseModel

from lakehouse.contract.model import ColumnType

# Options that restrict the valid values but are no rule here -> what to do instead.
INSTEAD_OF_OPTION = {
    "exclusiveMinimum": "write minimum, with the smallest valid value",
    "exclusiveMaximum": "write maximum, with the largest valid value",
    "minLength": "write a pattern, for example (?s).{1,200} for 1 to 200 characters",
    "maxLength": "write a pattern, for example (?s).{1,200} for 1 to 200 characters",
    "multipleOf": "leave it out, and test it in dbt",
    **dict.fromkeys(
        (
            "minItems",
            "maxItems",
            "uniqueItems",
            "minProperties",
            "maxProperties",
            "required",
            "dimensions",
            "normalized",
        ),
        "leave it out, a column holds one value",
    ),
}
# The model takes any mapping. The standard's JSON schema lists the options per logical type; these are the options of
# all types.
LOGICAL_TYPE_OPTIONS = (
    *("minimum", "maximum", "pattern", "format", "timezone", "defaultTimezone"),
    *("elementType", "distanceMetric", "embeddingModel", "embeddingModelVersion"),
    *INSTEAD_OF_OPTION,
)
# The format that each type has anyway. A value in any other format would not be accepted.
FORMATS = {
    "text": "password",
    "integer": "i32",
    "bigint": "i64",
    "double": "f64",
    "timestamp": "yyyy-MM-dd HH:mm:ss",
    "date": "yyyy-MM-dd",
}


def unknown_keys(document: Any) -> list[str]:
    """What is wrong with a contract's keys, in the order of the file. Empty if the standard defines all keys."""
    return list(_unknown(document, OpenDataContractStandard, ""))


def option_faults(options: dict[str, Any], type_: ColumnType) -> list[str]:
    """The faults in a column's `logicalTypeOptions`: options that restrict values but cannot be a rule of this type."""
    refused = {name: INSTEAD_OF_OPTION[name] for name in options if name in INSTEAD_OF_OPTION}
    if not type_.is_number:
        refused |= {name: f"it is for numbers, not for {type_}" for name in ("minimum", "maximum") if name in options}
    if "pattern" in options and type_.kind != "text":
        refused["pattern"] = f"it is for text, not for {type_}"
    if options.get("format") not in (None, FORMATS.get(type_.kind)):
        one_form = f"leave it out, {type_} has one form (docs/adding-a-source.md)"
        refused["format"] = "write a pattern" if type_.kind == "text" else one_form
    if options.get("timezone"):
        refused["timezone"] = "leave it out, a timestamp has no time zone"
    return [f"{name} of logicalTypeOptions is no rule here: {instead}" for name, instead in refused.items()]


def _unknown(value: Any, annotation: Any, where: str) -> Iterator[str]:
    """`annotation` is this value's type in the model. A list's entries have one type, and a union has one model."""
    model = next((kind for kind in _kinds(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
    if not isinstance(value, dict) or model is None:
        return
    known = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
    for key, inner in value.items():
        if key not in known:
            yield _sentence(where, key, known)
        elif key == "logicalTypeOptions":
            options = inner if isinstance(inner, dict) else {}
            unknown = [option for option in options if option not in LOGICAL_TYPE_OPTIONS]
            yield from (_sentence(_place(where, key), option, LOGICAL_TYPE_OPTIONS) for option in unknown)
        elif isinstance(inner, list):
            entry_kind = next((get_args(kind)[0] for kind in _kinds(known[key]) if get_origin(kind) is list), None)
            for number, entry in enumerate(inner, 1):
                yield from _unknown(entry, entry_kind, _place(where, key, number, entry))
        else:
            yield from _unknown(inner, known[key], _place(where, key))


def _kinds(annotation: Any) -> tuple[Any, ...]:
    """The types that an annotation allows: the members of a union, or the annotation itself."""
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _place(where: str, key: str, number: int = 0, entry: Any = None) -> str:
    """Where in the contract a key is, for messages.

    Tables and columns are named (`orders.price`). Anything else has its key and position (`orders.price, quality 2`).
    """
    if key in ("schema", "properties") and number:
        name = entry.get("name") if isinstance(entry, dict) else None
        kind = "table" if key == "schema" else "column"
        return ".".join(filter(None, (where, str(name or f"a {kind} without name"))))
    return ", ".join(filter(None, (where, f"{key} {number}" if number else key)))


def _sentence(where: str, key: Any, known: Collection[str]) -> str:
    spelling = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(str(key).casefold(), spelling, 1)
    if close:
        hint = f" (did you mean {spelling[close[0]]}?)"
    else:
        hint = " (what the standard lacks goes into customProperties)" if "customProperties" in known else ""
    return f"{where}: {key} is no key of ODCS 3.2{hint}".removeprefix(": ")
