"""The marts -> the tables of the Power BI model, named by report/model.yml; and the figures that DAX finds in them.

The engine is `pbix-mcp`, a second witness beside SQL. It is not Power BI's own, which runs on Windows only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import yaml
from pbix_mcp.dax.engine import evaluate_measures_batch
from psycopg2 import sql

from lakehouse.report.measures import Measure
from lakehouse.settings import PROJECT_DIR, Settings
from tests.support.lake import query
from tools.powerbi.sources import reference

MODEL: dict[str, Any] = yaml.safe_load((PROJECT_DIR / "report" / "model.yml").read_text(encoding="utf-8"))
COLUMN = re.compile(r"(?:'([^']+)'|\b([A-Za-z_]\w*))\[([^\]]+)\]")
YEARS_OF_THE_DATA = """
    {column} in (
        select distinct year
        from marts.fct_orders
        inner join marts.dim_date on fct_orders.purchase_date_key = dim_date.date_key
        where not dim_date.is_inferred
    )
"""

Filters = Mapping[str, Sequence[Any]]  # DAX column (`Customer[State]`) -> the values that a reader has chosen


@dataclass(frozen=True)
class PowerBi:
    """The tables of the model, in memory."""

    tables: Mapping[str, Mapping[str, Any]]

    def figures(
        self, measures: Sequence[Measure], filters: Filters, names: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Measure -> its figure under the filters. None: blank, or the engine did not know a name in it.

        `measures`: all of the model, since one may name another; `names`: those to evaluate, by default all.
        """
        dax = {measure.name: without_spaces_before_brackets(measure.dax) for measure in measures}
        chosen = {".".join(reference(column)): list(values) for column, values in filters.items()}
        found: dict[str, Any] = evaluate_measures_batch(
            list(dax if names is None else names),
            dict(self.tables),
            dax,
            chosen,
            "Date",
            "Date",
            relationships(),
            date_tables={"Date": "Date"},
            measure_tables={measure.name: measure.table for measure in measures},
            model_columns={name: set(table["columns"]) for name, table in self.tables.items()},
        )
        return found


def without_spaces_before_brackets(dax: str) -> str:
    """The engine overlooks a function whose bracket follows a space."""
    return re.sub(r"(\w)\s+\(", r"\1(", dax)


def columns_of(table: Mapping[str, Any]) -> dict[str, str]:
    """Name in marts -> name in Power BI, of all columns of a table of the model."""
    return {**table["columns"], **table["hidden"]}


def relationships() -> list[dict[str, Any]]:
    found = []
    for relationship in MODEL["relationships"]:
        (table, column), (to_table, to_column) = (reference(relationship[end]) for end in ("from", "to"))
        found.append(
            {"FromTable": table, "FromColumn": column, "ToTable": to_table, "ToColumn": to_column, "IsActive": True}
        )
    return found


def read_power_bi(settings: Settings) -> PowerBi:
    """Read every table of the model from the marts, as `bi_reader`."""
    return PowerBi({table["name"]: _read(settings, table) for table in MODEL["tables"]})


def _read(settings: Settings, table: Mapping[str, Any]) -> dict[str, Any]:
    names = columns_of(table)
    conditions = [sql.SQL("true")]
    for key, value in table.get("only", {}).items():
        if key == "years_of_the_data":
            conditions.append(sql.SQL(YEARS_OF_THE_DATA).format(column=sql.Identifier(value)))
        else:
            conditions.append(sql.SQL("{} = {}").format(sql.Identifier(key), sql.Literal(value)))
    statement = sql.SQL("select {columns} from {relation} where {conditions}").format(
        columns=sql.SQL(", ").join(map(sql.Identifier, names)),
        relation=sql.Identifier(*table["relation"].split(".")),
        conditions=sql.SQL(" and ").join(conditions),
    )
    rows = query(settings, statement, "bi_reader")
    return {"columns": list(names.values()), "rows": [[_for_dax(value) for value in row] for row in rows]}


def _for_dax(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)
    return value
