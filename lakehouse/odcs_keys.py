"""A column's `logicalTypeOptions` -> a sentence per option that restricts its values and is no rule here."""

from __future__ import annotations

from typing import Any

from lakehouse.contract import ColumnType

# Options that say which values are valid, but are no rule here -> what to do instead.
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
# The format that a type has anyway: no value of another one would be accepted.
FORMATS = {
    "text": "password",
    "integer": "i32",
    "bigint": "i64",
    "double": "f64",
    "timestamp": "yyyy-MM-dd HH:mm:ss",
    "date": "yyyy-MM-dd",
}


def option_faults(options: dict[str, Any], type_: ColumnType) -> list[str]:
    """What of a column's `logicalTypeOptions` restricts its values, but cannot be a rule of this type."""
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
