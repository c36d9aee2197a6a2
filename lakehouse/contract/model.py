"""A source's promises: tables, columns, keys and rules, with their Arrow, Spark and SQL types.

The contract is the only place that describes a source. odcs.py reads the contract from contracts/<source>.odcs.yaml.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from lakehouse.errors import ContractError

if TYPE_CHECKING:
    import pyarrow as pa

Severity = Literal["error", "warning"]
Check = Literal["required", "valid_values", "pattern", "range"]
Kind = Literal["text", "integer", "bigint", "decimal", "double", "timestamp", "date"]

# The last columns of every raw table. They say where a row came from.
LINEAGE: tuple[tuple[str, str, str], ...] = (
    ("_source_file", "text", "name of the delivered file"),
    ("_row", "bigint", "position of the record in its file, from 1"),
    ("_batch_date", "date", "the day the record was delivered for"),
)


@dataclass(frozen=True)
class ColumnType:
    """One of the seven types that a contract may use, with the type's name in each engine."""

    kind: Kind
    precision: int = 0
    scale: int = 0

    @classmethod
    def parse(cls, text: str) -> ColumnType:
        """`text`, `integer`, `bigint`, `double`, `timestamp`, `date` or `decimal(p,s)`. Otherwise ValueError."""
        if match := re.fullmatch(r"decimal\((\d+),\s*(\d+)\)", text):
            precision, scale = int(match[1]), int(match[2])
            if not (1 <= precision <= 38 and 0 <= scale <= precision):
                raise ValueError(f"{text}: precision must be 1 to 38, scale 0 to precision")
            return cls("decimal", precision, scale)
        for kind in ("text", "integer", "bigint", "double", "timestamp", "date"):
            if text == kind:
                return cls(kind)
        raise ValueError(
            f"{text} is no type of this pipeline (text, integer, bigint, double, timestamp, date, decimal(p,s))"
        )

    def __str__(self) -> str:
        return f"decimal({self.precision},{self.scale})" if self.kind == "decimal" else self.kind

    @property
    def form(self) -> str:
        """How a value of this type is written, for people. silver/casts.py has the rule."""
        if self.kind == "decimal":
            return f"digits, at most {self.scale} of them after a point" if self.scale else "digits only"
        forms = {
            "integer": "digits only, up to 2147483647",
            "bigint": "digits only",
            "double": "digits, a point, digits",
            "timestamp": "YYYY-MM-DD HH:MM:SS",
            "date": "YYYY-MM-DD",
        }
        return forms.get(self.kind, "any text")

    @property
    def is_number(self) -> bool:
        """Whether a column of this type can have a range rule."""
        return self.kind not in ("text", "timestamp", "date")

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type, with the exact width that Postgres' binary COPY expects for the type `sql`."""
        import pyarrow as pa  # takes half a second to import, and most commands do not need it

        if self.kind == "decimal":
            return pa.decimal128(self.precision, self.scale)
        plain: dict[str, pa.DataType] = {
            "text": pa.string(),
            "integer": pa.int32(),
            "bigint": pa.int64(),
            "double": pa.float64(),
            "timestamp": pa.timestamp("us"),
            "date": pa.date32(),
        }
        return plain[self.kind]

    @property
    def spark(self) -> str:
        """The type in Spark SQL."""
        plain = {"text": "string", "integer": "int", "timestamp": "timestamp_ntz"}
        return plain.get(self.kind, str(self))

    @property
    def sql(self) -> str:
        """The type in Postgres and Redshift."""
        if self.kind == "decimal":
            return f"numeric({self.precision},{self.scale})"
        return {"double": "double precision"}.get(self.kind, self.kind)


@dataclass(frozen=True)
class Rule:
    """What a column's value must satisfy. A row that does not is quarantined (error), or kept and counted (warning)."""

    column: str
    check: Check
    severity: Severity
    values: tuple[str, ...] = ()
    pattern: str = ""
    minimum: Decimal | None = None
    maximum: Decimal | None = None

    @property
    def reason(self) -> str:
        """The text for a violation of this rule in quarantine, status and Slack."""
        if self.check == "required":
            return f"{self.column}: required, but empty"
        if self.check == "valid_values":
            return f"{self.column}: not one of the valid values"
        if self.check == "pattern":
            return f"{self.column}: does not match {self.pattern}"
        if self.maximum is None:
            return f"{self.column}: less than {self.minimum}"
        if self.minimum is None:
            return f"{self.column}: more than {self.maximum}"
        return f"{self.column}: not between {self.minimum} and {self.maximum}"


@dataclass(frozen=True)
class Column:
    """A column as the source names it. `since`: the first batch date whose files must have it."""

    name: str
    type: ColumnType
    description: str
    rules: tuple[Rule, ...] = ()
    since: date | None = None
    references: tuple[str, str] | None = None

    @property
    def required(self) -> bool:
        """Whether a row without a value is quarantined."""
        return any(rule.check == "required" and rule.severity == "error" for rule in self.rules)

    @property
    def type_reason(self) -> str:
        """The text of the violation when a value is not of the column's type."""
        return f"{self.name}: not a valid {self.type} ({self.type.form})"


@dataclass(frozen=True)
class TableContract:
    """A table of a source: columns in the contract's order, key (may be empty) and accepted file names.

    `hold_above_share`: the share of bad records above which its batch is held; None: the setting of that name.
    """

    name: str
    source: str
    description: str
    grain: str
    files: tuple[str, ...]
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = field(default=())
    hold_above_share: float | None = None

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        """Names of the contract's columns, without the lineage columns."""
        return tuple(column.name for column in self.columns)

    @property
    def unique_key(self) -> tuple[str, ...]:
        """What identifies a row: the key, or all columns of a table without one."""
        return self.key or self.column_names

    @property
    def indexed_columns(self) -> tuple[str, ...]:
        """What the warehouse indexes: the key, or the first column of a table without one."""
        return self.key or self.column_names[:1]

    @property
    def bounded_references(self) -> tuple[str, ...]:
        """Text columns outside the index that refer to another table: the marts index them, so silver bounds them."""
        names = (c.name for c in self.columns if c.references and c.type.kind == "text")
        return tuple(name for name in names if name not in self.indexed_columns)

    def demanded_columns(self, batch_date: date) -> tuple[str, ...]:
        """The columns that a file of this batch date must have."""
        return tuple(c.name for c in self.columns if c.since is None or c.since <= batch_date)

    @cached_property
    def rules_hash(self) -> str:
        """A hash of all that can change a value: columns, types, key, rules, and the references that silver bounds.

        Descriptions are not part of it.
        """
        substance = [
            self.name,
            self.key,
            [
                (
                    c.name,
                    str(c.type),
                    str(c.since),
                    [(r.check, r.severity, r.values, r.pattern, str(r.minimum), str(r.maximum)) for r in c.rules],
                )
                for c in self.columns
            ],
        ]
        if self.bounded_references:
            substance.append(self.bounded_references)
        return hashlib.sha256(json.dumps(substance).encode()).hexdigest()[:16]

    @property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema of a row in raw_<source>: contract columns, then lineage."""
        import pyarrow as pa

        lineage = [(name, ColumnType.parse(kind).arrow) for name, kind, _ in LINEAGE]
        return pa.schema([*((c.name, c.type.arrow) for c in self.columns), *lineage])

    @property
    def spark_schema(self) -> str:
        """The schema of a row in silver as Spark DDL: contract columns, then lineage."""
        lineage = [f"`{name}` {ColumnType.parse(kind).spark}" for name, kind, _ in LINEAGE]
        return ", ".join([*(f"`{c.name}` {c.type.spark}" for c in self.columns), *lineage])

    @property
    def sql_columns(self) -> tuple[tuple[str, str], ...]:
        """(name, type) for each column of raw_<source>.<table>: contract columns, then lineage."""
        lineage = [(name, ColumnType.parse(kind).sql) for name, kind, _ in LINEAGE]
        return (*((c.name, c.type.sql) for c in self.columns), *lineage)


@dataclass(frozen=True)
class Contract:
    """A source and its tables, in the order in which the contract file lists them."""

    source: str
    title: str
    description: str
    tables: tuple[TableContract, ...]

    @property
    def raw_schema(self) -> str:
        """The warehouse schema of this source."""
        return f"raw_{self.source}"

    def table(self, name: str) -> TableContract:
        """The table with this name. Raises ContractError, which lists all names, if there is none."""
        for table in self.tables:
            if table.name == name:
                return table
        raise ContractError(
            f"{self.source} has no table {name}. Its tables are: {', '.join(t.name for t in self.tables)}."
        )

    def table_of_file(self, stem: str) -> TableContract | None:
        """The table that accepts files with this stem, in any case; None if no table does."""
        wanted = stem.casefold()
        return next((t for t in self.tables if wanted in (file.casefold() for file in t.files)), None)
