"""Names of the model and plain values -> the expressions of PBIR: fields, literals, colours, filters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.powerbi.model import Model
from tools.powerbi.tmdl import tag

Json = dict[str, Any]

GREATER_OR_EQUAL, LESS = 2, 3
ASCENDING, DESCENDING = "Ascending", "Descending"
_TOP = 2  # of a ranking: descending


def literal(value: bool | int | float | str) -> Json:
    """A constant: true, 30L, 0.2D, 'text'."""
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, int):
        text = f"{value}L"
    elif isinstance(value, float):
        text = f"{value:g}D"
    else:
        text = "'" + value.replace("'", "''") + "'"
    return {"Literal": {"Value": text}}


def setting(value: bool | int | float | str) -> Json:
    """A constant as the value of a property."""
    return {"expr": literal(value)}


def colour(code: str) -> Json:
    """A constant colour as the value of a property."""
    return {"solid": {"color": setting(code)}}


def properties(values: Mapping[str, Any], selector: Json | None = None) -> list[Json]:
    """One entry of formatting. A plain value becomes a constant."""
    entry: Json = {"properties": {k: v if isinstance(v, dict | list) else setting(v) for k, v in values.items()}}
    return [entry | ({"selector": selector} if selector else {})]


def column(table: str, name: str, source: str | None = None) -> Json:
    """A column, of a table or of a query's source."""
    return {"Column": {"Expression": {"SourceRef": _from(table, source)}, "Property": name}}


def measure(model: Model, name: str, source: str | None = None) -> Json:
    """A measure, in the table that it is kept in."""
    return {"Measure": {"Expression": {"SourceRef": _from(model.home(name), source)}, "Property": name}}


def _from(table: str, source: str | None) -> Json:
    return {"Source": source} if source else {"Entity": table}


def each_point(matching: int = 1) -> Json:
    """The selector of every data point, totals not among them."""
    return {"data": [{"dataViewWildcard": {"matchingOption": matching}}]}


def shade(model: Model, name: str, lightest: str, darkest: str) -> Json:
    """A colour from light to dark, by a measure."""
    ends = {"min": {"color": literal(lightest)}, "max": {"color": literal(darkest)}}
    rule = {"linearGradient2": {**ends, "nullColoringStrategy": {"strategy": literal("noColor")}}}
    return {"solid": {"color": {"expr": {"FillRule": {"Input": measure(model, name), "FillRule": rule}}}}}


def colour_below(model: Model, name: str, limit: int, code: str) -> Json:
    """A colour for data points whose measure is below a limit; other points keep theirs."""
    condition = {"Comparison": {"ComparisonKind": LESS, "Left": measure(model, name), "Right": literal(limit)}}
    return {
        "solid": {"color": {"expr": {"Conditional": {"Cases": [{"Condition": condition, "Value": literal(code)}]}}}}
    }


def at_least(model: Model, name: str, smallest: float, place: tuple[str, ...]) -> Json:
    """A filter: members whose measure has at least this value."""
    table = model.home(name)
    return {
        "name": _filter_name(*place, name),
        "field": measure(model, name),
        "type": "Advanced",
        "filter": {
            "Version": 2,
            "From": [{"Name": "m", "Entity": table, "Type": 0}],
            "Where": [
                {
                    "Condition": {
                        "Comparison": {
                            "ComparisonKind": GREATER_OR_EQUAL,
                            "Left": measure(model, name, "m"),
                            "Right": literal(smallest),
                        }
                    }
                }
            ],
        },
        "howCreated": "User",
    }


def largest(model: Model, by: tuple[str, str], order: Json, entity: str, count: int, place: tuple[str, ...]) -> Json:
    """A filter: the first `count` members of a column. `order` is an expression over the source `o`, of `entity`."""
    table, name = by
    sources = [{"Name": "c", "Entity": table, "Type": 0}]
    if entity != table:
        sources.append({"Name": "o", "Entity": entity, "Type": 0})
    ranking = {
        "Version": 2,
        "From": sources,
        "Select": [column(table, name, "c") | {"Name": "field"}],
        "OrderBy": [{"Direction": _TOP, "Expression": order}],
        "Top": count,
    }
    return {
        "name": _filter_name(*place, table, name),
        "field": column(table, name),
        "type": "TopN",
        "filter": {
            "Version": 2,
            "From": [
                {"Name": "subquery", "Expression": {"Subquery": {"Query": ranking}}, "Type": 2},
                {"Name": "c", "Entity": table, "Type": 0},
            ],
            "Where": [
                {
                    "Condition": {
                        "In": {
                            "Expressions": [column(table, name, "c")],
                            "Table": {"SourceRef": {"Source": "subquery"}},
                        }
                    }
                }
            ],
        },
        "howCreated": "User",
    }


def _filter_name(*place: str) -> str:
    return tag("filter", *place).replace("-", "")[:20]
