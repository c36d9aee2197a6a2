"""`<source>/<batch_date>/manifest.json` of the landing layer -> a batch's current file per table."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from lakehouse.lake.store import Store
from lakehouse.lakehouse import Lakehouse

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class DeliveredFile:
    """One accepted file. `size`, `sha256` and offsets refer to the uncompressed bytes. `longest_record` is in bytes.

    `columns` are the contract's names in the file's order. `data_starts` is the offset after the header. `ends_open`:
    the file does not end with a newline, so its last record may be cut off.
    """

    key: str
    name: str
    size: int
    sha256: str
    records: int
    longest_record: int
    is_utf8: bool
    has_nul: bool
    columns: tuple[str, ...]
    data_starts: int
    ends_open: bool = False

    @property
    def fingerprint(self) -> str:
        """Identifies the delivered content, regardless of where and when it was delivered."""
        return f"{self.sha256}:{self.name}:{self.records}"

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> DeliveredFile:
        """Build the file from its `dataclasses.asdict`, as read from JSON."""
        return cls(**{**fields, "columns": tuple(fields["columns"])})


@dataclass(frozen=True)
class Manifest:
    """A batch. A table whose file is None was withdrawn, so the later steps empty the table's partition of the batch.

    A table absent from `tables` was never delivered in this batch.
    """

    source: str
    batch_date: date
    tables: dict[str, DeliveredFile | None]

    def input_fingerprint(self, table: str) -> str:
        """The fingerprint of a table's file in this batch; `withdrawn` also if the table was never delivered."""
        delivered = self.tables.get(table)
        return delivered.fingerprint if delivered else "withdrawn"

    def with_tables(self, changed: dict[str, DeliveredFile | None]) -> Manifest:
        """This batch with some tables delivered again or withdrawn."""
        return replace(self, tables=dict(sorted({**self.tables, **changed}.items())))

    def to_json(self) -> bytes:
        """The bytes of manifest.json: the same batch always gives the same bytes."""
        tables = {name: asdict(file) if file else None for name, file in self.tables.items()}
        document = {"source": self.source, "batch_date": self.batch_date.isoformat(), "tables": tables}
        return json.dumps(document, indent=2, sort_keys=True).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        """The batch that `to_json` wrote."""
        document = json.loads(data)
        tables = {name: DeliveredFile.from_dict(file) if file else None for name, file in document["tables"].items()}
        return cls(document["source"], date.fromisoformat(document["batch_date"]), tables)


def manifest_key(source: str, batch_date: date) -> str:
    """The key of a batch's manifest in the landing layer."""
    return f"{source}/{batch_date.isoformat()}/{MANIFEST}"


def read_manifest(lakehouse: Lakehouse, batch_date: date) -> Manifest | None:
    """The batch of this date, or None if nothing was accepted for it."""
    return _read(lakehouse.landing, lakehouse.contract.source, batch_date)


def read_manifests(lakehouse: Lakehouse) -> list[Manifest]:
    """All batches of the source, by date."""
    store, source = lakehouse.landing, lakehouse.contract.source
    dates = [date.fromisoformat(name) for name in store.folders(source) if is_date(name)]
    # On S3 every read is a round trip of some milliseconds, which would add up over hundreds of batches.
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda day: _read(store, source, day), dates))
    return [manifest for manifest in found if manifest is not None]


def _read(store: Store, source: str, batch_date: date) -> Manifest | None:
    data = store.read(manifest_key(source, batch_date))
    manifest = Manifest.from_json(data) if data is not None else None
    # A manifest without any table, even a withdrawn one, is that of a delivery that was undone before it was complete.
    return manifest if manifest and manifest.tables else None


def is_date(name: str) -> bool:
    """Whether a folder of the source may be the folder of a batch."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", name):
        return False
    try:
        date.fromisoformat(name)
    except ValueError:
        return False
    return True
