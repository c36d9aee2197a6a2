"""The lake -> the rejected and quarantined records of a source, one per record and stage."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder

from lakehouse.contract.model import TableContract
from lakehouse.lake.delta import open_table
from lakehouse.lake.places import quarantine_path, rejected_path
from lakehouse.lake.store import Store
from lakehouse.text import quoted

SUPERSEDED = "superseded"
# Where a record stopped: rejected if it was unreadable, quarantine if it violates the contract.
Stage = Literal["rejected", "quarantine"]


@dataclass(frozen=True)
class StoppedRecord:
    """A record that is not in the warehouse. `record`: the bytes as sent (rejected) or the row as JSON (quarantine)."""

    stage: Stage
    table: str
    batch_date: date
    file: str
    row: int
    reasons: tuple[str, ...]
    record: str


def bad_records(
    bronze: Store,
    silver: Store,
    tables: Sequence[TableContract],
    *,
    batch_date: date | None = None,
    reason: str | None = None,
    superseded: bool = False,
) -> Iterator[StoppedRecord]:
    """First the rejected records, then the quarantined ones, each in the order of table, batch and row.

    `reason` keeps only the records that have a reason which contains this text. Superseded rows are left out unless
    `superseded` is true: they are valid, but a later row of the file has the same key.
    """
    for stage, table, records in _stored(bronze, silver, tables):
        for found in _read(stage, table, records, batch_date):
            if found.reasons == (SUPERSEDED,) and not superseded:
                continue
            if reason is None or any(reason.casefold() in text.casefold() for text in found.reasons):
                yield found


def reasons_of_table(bronze: Store, silver: Store, table: TableContract, batch_date: date) -> list[tuple[str, int]]:
    """(reason, records) for the bad records of a table's batch, most records first.

    A record counts for each of its reasons. Superseded records are left out.
    """
    found: list[tuple[str, int]] = []
    for stage, _, records in _stored(bronze, silver, [table]):
        column = "unnest(reasons)" if stage == "quarantine" else "reason"
        of_batch = f"select {column} as reason from records where _batch_date = '{batch_date.isoformat()}'"  # noqa: S608
        counted = f"select reason, count(*) as records from ({of_batch}) group by reason"  # noqa: S608
        rows = pa.table(QueryBuilder().register("records", records).execute(counted)).to_pylist()
        found += [(row["reason"], row["records"]) for row in rows if row["reason"] != SUPERSEDED]
    return sorted(found, key=lambda row: (-row[1], row[0]))


@dataclass(frozen=True)
class Reason:
    """Why some records of a table's batch are bad. `example`: the first such value, or the record, in row `row`."""

    text: str
    records: int
    example: str
    row: int

    def __str__(self) -> str:
        return f"{self.text}; for example {self.example} in row {self.row:,}"


def commonest_reasons(bronze: Store, silver: Store, table: TableContract, batch_date: date, most: int) -> list[Reason]:
    """The reasons of most bad records of a table's batch, each with the first record that it is about."""
    counted = reasons_of_table(bronze, silver, table, batch_date)[:most]
    found = (first_example(bronze, silver, table, batch_date, reason, records) for reason, records in counted)
    return [reason for reason in found if reason]


def first_example(
    bronze: Store, silver: Store, table: TableContract, batch_date: date, reason: str, records: int
) -> Reason | None:
    """A reason with the first record of a table's batch that it is about; None if there is none.

    `records`: how many have this reason.
    """
    day, text = batch_date.isoformat(), reason.replace("'", "''")
    for stage, _, stored in _stored(bronze, silver, [table]):
        has_reason = f"array_has(reasons, '{text}')" if stage == "quarantine" else f"reason = '{text}'"
        of_reason = f"from records where _batch_date = '{day}' and {has_reason} order by _row limit 1"
        lake = QueryBuilder().register("records", stored)
        for row in pa.table(lake.execute(f"select _row, record {of_reason}")).to_pylist():
            return Reason(reason, records, _example(reason, row["record"]), row["_row"])
    return None


def _example(reason: str, record: str | bytes) -> str:
    """The value that a reason is about, else the whole record, as messages show it."""
    if isinstance(record, bytes):
        return quoted(record.decode("utf-8", "backslashreplace"))
    values = json.loads(record)
    column = reason.partition(": ")[0]
    return quoted(str(values[column])) if column in values else quoted(record)


def _stored(
    bronze: Store, silver: Store, tables: Sequence[TableContract]
) -> Iterator[tuple[Stage, TableContract, DeltaTable]]:
    """The existing Delta tables, first the ones with rejected records."""
    places: tuple[tuple[Stage, Store, Callable[[TableContract], str]], ...] = (
        ("rejected", bronze, rejected_path),
        ("quarantine", silver, quarantine_path),
    )
    for stage, store, path_of in places:
        for table in tables:
            records = open_table(store, path_of(table))
            if records is not None:
                yield stage, table, records


def _read(stage: Stage, table: TableContract, records: DeltaTable, batch_date: date | None) -> Iterator[StoppedRecord]:
    where = f"where _batch_date = '{batch_date.isoformat()}'" if batch_date else ""
    # Not through a pyarrow dataset: a thread that may outlive Python frees its buffers, and Python then aborts.
    lake = QueryBuilder().register("records", records)
    found = lake.execute(f"select * from records {where} order by _batch_date, _source_file, _row")  # noqa: S608
    for row in pa.table(found).to_pylist():
        record = row["record"]
        yield StoppedRecord(
            stage=stage,
            table=table.name,
            batch_date=row["_batch_date"],
            file=row["_source_file"],
            row=row["_row"],
            reasons=tuple(row["reasons"]) if "reasons" in row else (row["reason"],),
            record=record.decode("utf-8", "backslashreplace") if isinstance(record, bytes) else record,
        )
