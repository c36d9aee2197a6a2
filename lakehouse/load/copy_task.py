"""A Spark partition's Arrow batches -> rows in a staging table, by binary COPY. Runs in Spark's Python workers.

Every call stamps a random `_task` on its rows and returns it. A task that Spark runs twice therefore leaves two sets of
rows, of which only the one whose id came back is published.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa

# What a call returns: its id, and how many rows carry it.
RETURNED = "task bigint, rows bigint"


@dataclass(frozen=True)
class StagingTable:
    """Where the rows go. The password is not in here, as this travels in plain sight: only where a worker finds it."""

    host: str
    port: int
    database: str
    schema: str
    table: str
    password_file: str
    password_variable: str
    sslmode: str

    def address(self) -> str:
        """libpq's address of the database, with the password as this worker finds it."""
        password = os.environ.get(self.password_variable) or Path(self.password_file).read_text().strip()
        return (
            f"postgresql://loader:{quote(password, safe='')}@{self.host}:{self.port}/{self.database}"
            f"?application_name=lakehouse%20load&sslmode={self.sslmode}"
        )

    def copy(self, batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        """Stream the batches into the table in one transaction; yields one row of RETURNED."""
        from adbc_driver_postgresql import dbapi

        rest = iter(batches)
        first = next(rest, None)
        if first is None:
            return
        task, rows = secrets.randbits(63), 0

        def stamped() -> Iterator[pa.RecordBatch]:
            nonlocal rows
            batch: pa.RecordBatch | None = first
            while batch is not None:
                rows += batch.num_rows
                ids = pa.repeat(pa.scalar(task, pa.int64()), batch.num_rows)
                yield pa.RecordBatch.from_arrays([*batch.columns, ids], schema=schema)
                batch = next(rest, None)

        schema = first.schema.append(pa.field("_task", pa.int64()))
        reader = pa.RecordBatchReader.from_batches(schema, stamped())
        # The cursor is closed before its connection: the driver crashes the other way round.
        with dbapi.connect(self.address()) as connection:
            with connection.cursor() as cursor:
                cursor.adbc_ingest(self.table, reader, mode="append", db_schema_name=self.schema)
            connection.commit()
        yield pa.RecordBatch.from_pydict({"task": [task], "rows": [rows]})
