"""A Spark partition's Arrow batches -> rows in a staging table, by binary COPY. Runs in Spark's Python workers.

Every call stamps a random `_task` on its rows and returns it. So a task that Spark runs twice leaves two sets of rows.
Only the set whose id was returned is published.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa

# What a call returns: its `_task` id, and the number of rows that carry this id.
RETURNED = "task bigint, rows bigint"


@dataclass(frozen=True)
class StagingTable:
    """The table that the rows go into. This object is sent unencrypted, so it says only where the password is."""

    host: str
    port: int
    database: str
    schema: str
    table: str
    password_file: str
    password_variable: str
    sslmode: str

    def address(self) -> str:
        """The database's address for libpq, with the password from this worker's file or environment."""
        password = os.environ.get(self.password_variable) or Path(self.password_file).read_text().strip()
        return (
            f"postgresql://loader:{quote(password, safe='')}@{self.host}:{self.port}/{self.database}"
            f"?application_name=lakehouse%20load&sslmode={self.sslmode}"
        )

    def copy(self, batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        """Stream the batches into the table in one transaction. Yields one row with the columns of RETURNED."""
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
        # The cursor is closed before its connection: in the other order the driver crashes.
        with dbapi.connect(self.address()) as connection:
            with connection.cursor() as cursor:
                cursor.adbc_ingest(self.table, reader, mode="append", db_schema_name=self.schema)
            connection.commit()
        yield pa.RecordBatch.from_pydict({"task": [task], "rows": [rows]})
