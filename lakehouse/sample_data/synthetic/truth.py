"""The records sent -> what the pipeline must make of them: counts per file, SCD2 versions, inferred members, money.

Computed in plain Python from the records as they were sent, by the rules of the design. This module shares no code
with the pipeline, since tests compare the two. `truth.json` is `Truth` as JSON; money is text with two decimals.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lakehouse.contract.model import Column, Contract
from lakehouse.sample_data.synthetic.faults import VALUE_FAULTS, Record
from lakehouse.sample_data.synthetic.rules import violations
from lakehouse.sample_data.writer import as_date

BEGINNING = "1900-01-01 00:00:00"  # first versions open here

# Written into every truth.json, so that a reader does not rely on it for more than it says.
COVERS = {
    "batches": "Each file: its records, how many end in which stage, and why; in the order of the batch dates.",
    "faults": "Each injected fault: where it is, in which stage it is found, and the reasons.",
    "facts": "Each fact: its number of rows.",
    "orphans": "Each fact: its number of rows whose order is missing.",
    "dimensions": "dim_customer, dim_product, dim_seller, dim_geography: their number of rows without the inferred.",
    "inferred": "Customers, products and sellers that only facts name: their natural keys.",
    "versions": "Customers, products and sellers: the validity of each version, and the columns that make a new one.",
    "business": "The shop as a whole: orders by status, revenue by month, freight, payments, late deliveries.",
}
LEAVES_OUT = [
    "The rows of the facts: which version and which day each one points to, and its other columns.",
    "dim_date; the places, cities and states of dim_geography; the English categories of dim_product.",
    "Surrogate keys.",
    "Batches that come again, are withdrawn, or arrive out of order: each batch counts once, by its date.",
    "Equal values that are written differently, such as 1.5 and 1.50: the generator writes each value in one way.",
]

Row = dict[str, str]
Version = dict[str, str | None]


@dataclass
class FileTruth:
    """The expected result of one file. `rejected`, `quarantined`, `warnings`: reason -> records.

    `quarantined_rows` counts rows with any reason, without the superseded. Warnings are those of silver rows.
    """

    file: str
    records: int
    rejected: dict[str, int] = field(default_factory=dict)
    bronze: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)
    quarantined_rows: int = 0
    duplicates: int = 0
    superseded: int = 0
    warnings: dict[str, int] = field(default_factory=dict)
    silver: int = 0


@dataclass(frozen=True)
class Fault:
    """An injected fault: `row` is the record's position in its file, from 1; `column` is empty for whole records."""

    batch_date: str
    table: str
    file: str
    row: int
    kind: str
    column: str
    stage: str  # "rejected" or "quarantined"
    reasons: list[str]


@dataclass
class Truth:
    """What is known about a generated shop in advance.

    `batches`: batch date -> table -> FileTruth. `versions`: `customers`, `products`, `sellers` -> natural key -> its
    versions in time order; None, like `inferred` and `dimensions`, if a history was generated. `inferred`: natural keys
    that facts refer to and no row describes; `dimensions` counts neither these nor the unknown member.
    `orphans`: rows of a fact whose order is missing. `facts`: rows per fact, orphans included. `scope`: what each of
    these covers, and what none of them says.
    """

    recipe: dict[str, Any]
    batches: dict[str, dict[str, FileTruth]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    facts: dict[str, int] = field(default_factory=dict)
    orphans: dict[str, int] = field(default_factory=dict)
    dimensions: dict[str, int] | None = None
    inferred: dict[str, list[str]] | None = None
    versions: dict[str, dict[str, list[Version]]] | None = None
    business: dict[str, Any] = field(default_factory=dict)
    scope: dict[str, Any] = field(default_factory=lambda: {"covers": dict(COVERS), "leaves_out": list(LEAVES_OUT)})

    def to_json(self) -> str:
        """The content of truth.json."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, path: Path) -> Truth:
        """Read the truth from a file that `generate` wrote."""
        content = json.loads(path.read_text(encoding="utf-8"))
        content["batches"] = {
            day: {table: FileTruth(**counts) for table, counts in tables.items()}
            for day, tables in content["batches"].items()
        }
        content["faults"] = [Fault(**fault) for fault in content["faults"]]
        return cls(**content)


class EndState:
    """The newest valid row of each key, updated batch by batch. Batches must be added in date order."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.newest: dict[str, dict[tuple[str, ...], Row]] = {table.name: {} for table in contract.tables}
        self.attribute_changes: dict[str, dict[str, list[tuple[str, Row]]]] = {"products": {}, "sellers": {}}

    def add(
        self, day: int, name: str, columns: Sequence[Column], records: Sequence[Record]
    ) -> tuple[FileTruth, list[Fault]]:
        """Add one file with these columns; return its expected result."""
        table = self.contract.table(name)
        truth = FileTruth(f"{table.files[0]}.csv", len(records))
        batch_date, faults = as_date(day).isoformat(), []
        rejected, quarantined = Counter[str](), Counter[str]()
        last_row: dict[tuple[str, ...], int] = {}
        for row, record in enumerate(records, start=1):
            reasons = [record.rejected] if record.rejected else violations(columns, record.values)[0]
            if record.rejected:
                rejected[record.rejected] += 1
            elif reasons:
                quarantined.update(reasons)
                truth.quarantined_rows += 1
            else:
                truth.duplicates += record.values in last_row
                last_row[record.values] = row
            if record.kind:
                stage = "quarantined" if record.kind in VALUE_FAULTS else "rejected"
                faults.append(Fault(batch_date, name, truth.file, row, record.kind, record.column, stage, reasons))
        winners = self._winners(table.unique_key, columns, last_row)
        truth.superseded = len(last_row) - len(winners)
        truth.bronze = truth.records - sum(rejected.values())
        truth.silver = len(winners)
        truth.rejected, truth.quarantined = dict(sorted(rejected.items())), dict(sorted(quarantined.items()))
        warnings = Counter(reason for values in winners.values() for reason in violations(columns, values)[1])
        truth.warnings = dict(sorted(warnings.items()))
        self._keep(name, batch_date, columns, winners)
        return truth, faults

    def _winners(
        self, key: Sequence[str], columns: Sequence[Column], last_row: dict[tuple[str, ...], int]
    ) -> dict[tuple[str, ...], tuple[str, ...]]:
        """For each key, the values of its last row in the file."""
        names = [column.name for column in columns]
        positions = [names.index(column) for column in key if column in names]
        in_file_order = sorted(last_row, key=lambda values: last_row[values])
        return {tuple(values[position] for position in positions): values for values in in_file_order}

    def _keep(
        self, name: str, batch_date: str, columns: Sequence[Column], winners: dict[tuple[str, ...], tuple[str, ...]]
    ) -> None:
        names = [column.name for column in columns]
        for key, values in winners.items():
            row = dict(zip(names, values, strict=True))
            self.newest[name][key] = row
            if name in self.attribute_changes:
                self.attribute_changes[name].setdefault(key[0], []).append((batch_date, row))
