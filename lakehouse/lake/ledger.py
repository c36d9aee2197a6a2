"""`<table>/_ledger.json` of a layer: per batch, what the table's partition was made from, and its counts.

It lies inside the table's folder and goes with it: a wiped lake claims nothing. The caller holds the table's lock.
Order: `begin`, then the Delta commits, then `record`. So an entry never speaks for a partition that was replaced since.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from lakehouse.contract.model import TableContract
from lakehouse.lake.store import Store


@dataclass(frozen=True)
class Entry:
    """A finished step of one table and batch. `counts` and `warnings` (by reason) are rows."""

    fingerprint: str
    counts: dict[str, int]
    warnings: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Ledger:
    """All finished batches of one table in one layer."""

    entries: dict[date, Entry]

    def is_done(self, batch_date: date, fingerprint: str) -> bool:
        """Whether the partition of this batch was made from exactly that."""
        entry = self.entries.get(batch_date)
        return entry is not None and entry.fingerprint == fingerprint


@dataclass(frozen=True)
class StepResult:
    """What a step did for one table and batch. `done` False: nothing was to do, the counts are those of before."""

    step: str
    table: str
    batch_date: date
    done: bool
    counts: dict[str, int]
    seconds: float
    phases: dict[str, float]


def fingerprint(input_fingerprint: str, table: TableContract, rule_version: int) -> str:
    """Of a step's output: changes with its input, the table's rules in the contract, or the step's own rules."""
    substance = f"{input_fingerprint}|{table.rules_hash}|{rule_version}"
    return hashlib.sha256(substance.encode()).hexdigest()[:32]


def read_ledger(store: Store, table_key: str) -> Ledger:
    """The ledger of a table; empty if the table was never written."""
    return Ledger({date.fromisoformat(day): Entry(**entry) for day, entry in _read(store, table_key).items()})


def begin(store: Store, table_key: str, batch_date: date) -> None:
    """Forget what is known of a batch, before its partition is written."""
    entries = _read(store, table_key)
    if entries.pop(batch_date.isoformat(), None) is not None:
        _write(store, table_key, entries)


def record(store: Store, table_key: str, batch_date: date, entry: Entry) -> None:
    """Note that a batch's partition is complete, after the Delta commit."""
    _write(store, table_key, {**_read(store, table_key), batch_date.isoformat(): asdict(entry)})


def _read(store: Store, table_key: str) -> dict[str, dict[str, Any]]:
    """The entries as JSON has them: of hundreds of batches only one is looked at."""
    data = store.read(_key(table_key))
    entries: dict[str, dict[str, Any]] = json.loads(data) if data is not None else {}
    return entries


def _write(store: Store, table_key: str, entries: dict[str, dict[str, Any]]) -> None:
    # Without indent: with it, json takes thirty times as long, which hundreds of batches make felt.
    store.write(_key(table_key), json.dumps(entries, sort_keys=True).encode() + b"\n")


def _key(table_key: str) -> str:
    return f"{table_key}/_ledger.json"
