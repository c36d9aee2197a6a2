"""`<table>/_ledger.json` in a layer -> per batch, what the table's partition was made from, and its counts.

The file is in the table's folder and is deleted with the folder, so a wiped lake claims nothing. The caller holds the
table's lock, but even a second writer of the same ledger would lose no entry. A step calls `begin`, makes its Delta
commits, then calls `record`. So an entry never describes a partition that has been replaced after the entry was made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from lakehouse.lake.store import Store

# Batch date -> the fields of an Entry, as in the JSON file.
_Entries = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Entry:
    """A finished step of one table and batch. `counts` and `warnings` (by reason) are numbers of rows.

    `is_accepted`: a user lets the load publish the batch although too many of its records are bad (load/held.py).
    """

    fingerprint: str
    counts: dict[str, int]
    warnings: dict[str, int] = field(default_factory=dict)
    is_accepted: bool = False

    def as_json(self) -> dict[str, Any]:
        """The fields as they are in the file, which says only of accepted batches that they are."""
        fields = asdict(self)
        return fields if self.is_accepted else {name: fields[name] for name in fields if name != "is_accepted"}


@dataclass(frozen=True)
class Ledger:
    """All finished batches of one table in one layer."""

    entries: dict[date, Entry]

    def is_done(self, batch_date: date, fingerprint: str) -> bool:
        """Whether the partition of this batch was made from exactly this input."""
        entry = self.entries.get(batch_date)
        return entry is not None and entry.fingerprint == fingerprint


def read_ledger(store: Store, path: str) -> Ledger:
    """The ledger of a table; empty if the table was never written."""
    entries = _parsed(store.read(_ledger_path(path)))
    return Ledger({date.fromisoformat(day): Entry(**entry) for day, entry in entries.items()})


def begin(store: Store, path: str, batch_date: date) -> None:
    """Forget the entry of a batch. Called before its partition is written."""
    _change(store, path, lambda entries: entries.pop(batch_date.isoformat(), None))


def record(store: Store, path: str, batch_date: date, entry: Entry) -> None:
    """Note that a batch's partition is complete. Called after the Delta commit."""
    _change(store, path, lambda entries: entries.update({batch_date.isoformat(): entry.as_json()}))


def forget_all(store: Store, path: str) -> None:
    """Forget all entries. Called before the whole table is replaced."""
    _change(store, path, lambda entries: entries.clear())


def record_all(store: Store, path: str, made: Mapping[date, Entry]) -> None:
    """Note these batches as complete. Called after the commit that replaced the whole table."""
    new = {day.isoformat(): entry.as_json() for day, entry in made.items()}
    _change(store, path, lambda entries: entries.update(new))


def _change(store: Store, path: str, change: Callable[[_Entries], object]) -> None:
    """Change the ledger by compare-and-swap, so that an entry which another writer adds meanwhile stays.

    Writes nothing if nothing changes.
    """
    ledger = _ledger_path(path)
    while True:
        old = store.read(ledger)
        entries = _parsed(old)
        before = dict(entries)
        change(entries)
        # Without indent: with it, json takes thirty times as long, which shows with hundreds of batches.
        new = json.dumps(entries, sort_keys=True).encode() + b"\n"
        if entries == before or store.swap(ledger, old, new):
            return


def _parsed(data: bytes | None) -> _Entries:
    """The entries as plain dictionaries, since only one of hundreds of batches is needed."""
    entries: _Entries = json.loads(data) if data is not None else {}
    return entries


def _ledger_path(path: str) -> str:
    return f"{path}/_ledger.json"
