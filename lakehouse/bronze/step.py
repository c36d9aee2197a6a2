"""A file in landing -> `bronze/<source>/<table>`, one row per record, and `rejected/<source>/<table>`.

Every column is a string exactly as sent. Both `""` and nothing between two commas are the empty string; only a column
that the file lacks is null. A batch is replaced in one Delta commit, after its rejected records are committed.
"""

from __future__ import annotations

import gzip
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa
from deltalake import ColumnProperties, WriterProperties

from lakehouse.bronze.records import read_records
from lakehouse.contract.model import TableContract
from lakehouse.errors import LakehouseError, ReconciliationError, StoreError
from lakehouse.lake import ledger
from lakehouse.lake.delta import read_partition, replace_partition
from lakehouse.lake.ledger import Entry
from lakehouse.lake.places import rejected_path, table_path
from lakehouse.lake.store import Store
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing.manifest import DeliveredFile, Manifest
from lakehouse.steps import StepResult, expected

_LINEAGE = [pa.field("_source_file", pa.string()), pa.field("_row", pa.int64()), pa.field("_batch_date", pa.date32())]
_REJECTED_SCHEMA = pa.schema([*_LINEAGE, pa.field("reason", pa.string()), pa.field("record", pa.binary())])
# Bytes of CSV in one row group of Parquet. The limit bounds the writer's memory and lets Spark read a file in parallel.
_ROW_GROUP_BYTES = 32 * 1024 * 1024
# The writer keeps a Parquet file in memory until the file is complete.
_FILE_BYTES = 64 * 1024 * 1024
# Sizes of the writer's queues, which delta-rs reads from the environment only. If the disk is slower than the parser,
# queues of the default size grow to 1.3 GB for a file of 1.4 GB. With these sizes, memory stays at 0.6 GB for any file.
_QUEUES = {"DELTARS_WRITER_BATCH_CHANNEL_SIZE": "2", "DELTARS_MAX_IN_FLIGHT_UPLOAD_BYTES": str(32 * 1024 * 1024)}
for _name, _value in _QUEUES.items():
    os.environ.setdefault(_name, _value)
_SPOOL_BYTES = 16 * 1024 * 1024


def run(lakehouse: Lakehouse, table: TableContract, manifest: Manifest) -> StepResult:
    """Make a table's batch match the manifest. The batch of a withdrawn table becomes empty.

    The result counts records, rejected and bronze. The caller holds the table's lock.
    Raises ReconciliationError, and commits nothing, if records are missing.
    """
    started = time.monotonic()
    store, path, day = lakehouse.bronze, table_path(table), manifest.batch_date
    fingerprint = expected(table, manifest)["bronze"]
    known = ledger.read_ledger(store, path)
    if known.is_done(day, fingerprint):
        return StepResult("bronze", table.name, day, False, known.entries[day].counts, time.monotonic() - started, {})
    ledger.begin(store, path, day)
    batch = _Batch(lakehouse, table, manifest)
    batch.replace()
    replaced = time.monotonic()
    ledger.record(store, path, day, Entry(fingerprint, batch.counts))
    ended = time.monotonic()
    phases = {"read and write": replaced - started, "ledger": ended - replaced}
    return StepResult("bronze", table.name, day, True, batch.counts, ended - started, phases)


class _Batch:
    """One file on its way into its two Delta tables."""

    def __init__(self, lakehouse: Lakehouse, table: TableContract, manifest: Manifest) -> None:
        self._landing = lakehouse.landing
        self._store = lakehouse.bronze
        self._table = table
        self._day = manifest.batch_date
        self._file = manifest.tables.get(table.name)
        self._schema = pa.schema([*(pa.field(name, pa.string()) for name in table.column_names), *_LINEAGE])
        self._failure: Exception | None = None
        self.counts: dict[str, int] = {}

    def replace(self) -> None:
        """Replace this batch's partition in both tables, rejected first.

        The rejected records are known only when the whole file is read. If there are any, the unfinished commit is
        dropped and the file is read again. The rejected records cannot be written while the rows are: delta-rs runs the
        stream on a thread that its other writes need. With as many tables at the same time as cores, all would wait for
        each other indefinitely.
        """
        has_old_ones = self._has_rejected_partition()
        with self._new_rejected() as rejected:
            if self._replace_bronze(self._rows(rejected, may_end=lambda: not (rejected.count or has_old_ones))):
                return
            self._replace(rejected_path(self._table), _REJECTED_SCHEMA, rejected.batches())
        with self._new_rejected() as the_same:
            self._replace_bronze(self._rows(the_same, may_end=lambda: True))

    def _replace(self, path: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
        """Replace the partition in one commit. Other batches are not touched."""
        rows = pa.RecordBatchReader.from_batches(schema, batches)
        replace_partition(self._store, path, rows, self._day, writer=_writer(self._file), file_bytes=_FILE_BYTES)

    def _replace_bronze(self, rows: Iterator[pa.RecordBatch]) -> bool:
        """Commit the rows. Returns False, and commits nothing, if rejected records must be committed first."""
        self._failure = None
        try:
            self._replace(table_path(self._table), self._schema, rows)
        except LakehouseError:
            if isinstance(self._failure, _RejectedFirst):
                return False
            # If the stream of rows raises an error, delta-rs passes on only its text.
            if self._failure is not None:
                raise self._failure from None
            raise
        return True

    def _rows(self, rejected: _Rejected, may_end: Callable[[], bool]) -> Iterator[pa.RecordBatch]:
        self.counts = {"records": self._file.records if self._file else 0, "rejected": 0, "bronze": 0}
        try:
            if self._file is not None and self._file.records:
                yield from self._read(self._file, rejected)
            self.counts["rejected"] = rejected.count
            self._check_counts()
            if not may_end():
                raise _RejectedFirst
        except LakehouseError as error:
            self._failure = error
            raise
        except (EOFError, OSError, pa.ArrowInvalid) as error:
            name = self._file.key if self._file else ""
            self._failure = StoreError(f"{self._landing.url}/{name} can no longer be read as it was accepted: {error}")
            raise self._failure from error

    def _new_rejected(self) -> _Rejected:
        return _Rejected(self._file.name if self._file else "", self._day)

    def _has_rejected_partition(self) -> bool:
        return bool(read_partition(self._store, rejected_path(self._table), self._day).files)

    def _read(self, file: DeliveredFile, rejected: _Rejected) -> Iterator[pa.RecordBatch]:
        for batch, positions in read_records(lambda: _open_landed(self._landing, file), file, rejected.add):
            self.counts["bronze"] += batch.num_rows
            yield self._with_lineage(batch, file, positions)

    def _with_lineage(self, batch: pa.RecordBatch, file: DeliveredFile, positions: np.ndarray) -> pa.RecordBatch:
        rows = batch.num_rows
        of_file = dict(zip(file.columns, batch.columns, strict=True))
        columns = [of_file.get(name, pa.nulls(rows, pa.string())) for name in self._table.column_names]
        lineage = _lineage(file.name, positions, self._day)
        return pa.RecordBatch.from_arrays([*columns, *lineage], schema=self._schema)

    def _check_counts(self) -> None:
        records, rejected, bronze = (self.counts[name] for name in ("records", "rejected", "bronze"))
        if records != rejected + bronze:
            raise ReconciliationError(
                f"{self._table.source}.{self._table.name}, batch {self._day}: landing counted {records} records, but "
                f"{bronze} were read and {rejected} rejected. Nothing was committed.\n"
                "The file in landing was changed after it was accepted, or this is a defect: please report it."
            )


class _RejectedFirst(LakehouseError):
    """Ends a stream of rows without a commit, because rejected records must be committed before the rows."""


class _Rejected:
    """The rejected records, in memory up to a size and in a temporary file beyond it."""

    def __init__(self, source_file: str, day: date) -> None:
        self._source_file = source_file
        self._day = day
        self._file = tempfile.SpooledTemporaryFile(_SPOOL_BYTES)  # noqa: SIM115 - closed by __exit__
        self._writer = pa.ipc.new_stream(self._file, _REJECTED_SCHEMA)
        self._waiting: list[tuple[int, str, bytes]] = []
        self._waiting_bytes = 0
        self.count = 0

    def __enter__(self) -> _Rejected:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, position: int, reason: str, record: bytes) -> None:
        """Add one record. The order does not matter."""
        self._waiting.append((position, reason, record))
        self._waiting_bytes += len(record)
        self.count += 1
        if self._waiting_bytes > _SPOOL_BYTES // 8 or len(self._waiting) >= 10_000:
            self._flush()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All records in the order in which they were added. Call this only once."""
        self._flush()
        self._writer.close()
        self._file.seek(0)
        yield from pa.ipc.open_stream(self._file)

    def _flush(self) -> None:
        if not self._waiting:
            return
        positions, reasons, records = zip(*self._waiting, strict=True)
        lineage = _lineage(self._source_file, np.array(positions), self._day)
        columns = [*lineage, pa.array(reasons), pa.array(records, pa.binary())]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=_REJECTED_SCHEMA))
        self._waiting, self._waiting_bytes = [], 0


@contextmanager
def _open_landed(landing: Store, file: DeliveredFile) -> Iterator[BinaryIO]:
    with landing.open(file.key) as stream:
        if not file.key.lower().endswith(".gz"):
            yield stream
            return
        with gzip.GzipFile(fileobj=stream) as plain:
            yield cast(BinaryIO, plain)


def _lineage(source_file: str, positions: np.ndarray, day: date) -> list[pa.Array]:
    """The columns of _LINEAGE, built from buffers. pa.array and pa.repeat would import pandas, for almost a second."""
    rows, name = positions.size, source_file.encode()
    days = np.full(rows, (day - date(1970, 1, 1)).days, np.int32)
    ends = np.arange(rows + 1, dtype=np.int32) * len(name)
    return [
        pa.Array.from_buffers(pa.string(), rows, [None, pa.py_buffer(ends), pa.py_buffer(name * rows)]),
        pa.Array.from_buffers(pa.int64(), rows, [None, pa.py_buffer(positions)]),
        pa.Array.from_buffers(pa.date32(), rows, [None, pa.py_buffer(days)]),
    ]


def _writer(file: DeliveredFile | None) -> WriterProperties:
    return WriterProperties(
        compression="ZSTD",
        compression_level=1,
        max_row_group_size=max(1, min(1024**2, _ROW_GROUP_BYTES * file.records // file.size)) if file else 1,
        # Tables are read by partition only, so no statistics are needed. Without them, a value of 2 MB stays out of the
        # log. A dictionary costs a fifth of the time and saves nothing after compression.
        default_column_properties=_column(dictionary=False),
        column_properties={"_source_file": _column(dictionary=True)},
    )


def _column(*, dictionary: bool) -> ColumnProperties:
    return ColumnProperties(statistics_enabled="NONE", dictionary_enabled=dictionary)
