"""Measures, dimensions and filters -> the SQL that computes the figures; a figure -> text for people. Runs nothing."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from textwrap import indent

from lakehouse.errors import ReportError
from lakehouse.report.measures import FORMATS, Dimension, Measure, Measures


def figures_sql(
    measures: Measures,
    chosen: Sequence[Measure],
    by: Sequence[Dimension] = (),
    where: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """One row per group of the dimensions `by`: their values, then the figure of each measure, in this order.

    The measures are of one relation. `where`: dimension -> the values to keep, as text or as people read them.
    A group without rows has no row; without `by` there is one row.
    Raises ReportError when the relation of the measures lacks a dimension.
    """
    relation = measures.relation(chosen[0].relation)
    if different := [measure.name for measure in chosen if measure.relation != relation.name]:
        raise ValueError(f"{', '.join(different)} is not over the relation {relation.name}")
    filters = [(measures.dimension(name), values) for name, values in (where or {}).items()]
    for dimension in (*by, *(dimension for dimension, _ in filters)):
        _check(measures, chosen[0], dimension)
    columns = [f"{dimension.sql} as {dimension.name}" for dimension in by]
    columns += [f"{measure.sql} as {measure.column}" for measure in chosen]
    lines = ["select", indent(",\n".join(columns), "    "), "from", indent(relation.sql, "    ")]
    if filters:
        conditions = [_condition(dimension, values) for dimension, values in filters]
        lines += ["where", indent("\nand ".join(conditions), "    ")]
    if by:
        groups = [each for dimension in by for each in (dimension.sql, dimension.sort) if each]
        order = [f"{dimension.sort} nulls last" if dimension.sort else dimension.sql for dimension in by]
        lines += [f"group by {', '.join(groups)}", f"order by {', '.join(order)}"]
    return "\n".join(lines)


def values_sql(measures: Measures, measure: Measure, dimension: Dimension) -> str:
    """All values, as text, that a dimension has in the rows of a measure. Raises ReportError as `figures_sql` does."""
    _check(measures, measure, dimension)
    relation = measures.relation(measure.relation)
    return f"select distinct cast({dimension.sql} as text) as {dimension.name}\nfrom\n{indent(relation.sql, '    ')}"


def as_text(value: Decimal | float | int | None, measure: Measure) -> str:
    """A figure as people read it, by the measure's format and unit; nothing where there is no figure."""
    if value is None:
        return ""
    number = Decimal(str(value))
    is_share = measure.format.endswith("%")
    exact = (number * 100 if is_share else number).quantize(Decimal(1).scaleb(-FORMATS[measure.format]), ROUND_HALF_UP)
    exact += 0  # so that -0.0 is 0.0
    text = f"{exact:,f}" if measure.format.startswith("#,") else f"{exact:f}"
    if is_share:
        return f"{text} %"
    if not measure.unit:
        return text
    is_money = unicodedata.category(measure.unit[-1]) == "Sc"
    return f"{measure.unit} {text}" if is_money else f"{text} {measure.unit}"


def _check(measures: Measures, measure: Measure, dimension: Dimension) -> None:
    possible = measures.dimensions_of(measure)
    if dimension not in possible:
        relation = measures.relation(measure.relation)
        alike = [
            other.name
            for other in measures.measures
            if not other.hidden and measure.name in other.name and dimension in measures.dimensions_of(other)
        ]
        instead = f" {', '.join(alike)} can be." if alike else ""
        raise ReportError(
            f"{measure.name} cannot be split or filtered by {dimension.name}: it is over {relation.grain}.{instead}\n"
            f"It can be by {', '.join(each.name for each in possible)}."
        )


def _condition(dimension: Dimension, values: Sequence[str]) -> str:
    by_label = {label.casefold(): value for value, label in dimension.values.items()}
    literals = [_literal(by_label.get(value.casefold(), value)) for value in values]
    column = f"cast({dimension.sql} as text)"
    return f"{column} = {literals[0]}" if len(literals) == 1 else f"{column} in ({', '.join(literals)})"


def _literal(text: str) -> str:
    """As SQL text. The warehouse reads backslashes as they are (`standard_conforming_strings`)."""
    return "'" + text.replace("'", "''") + "'"
