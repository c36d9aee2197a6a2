"""A Delta table and a batch date -> the Parquet files of the batch's partition; new rows -> the partition, replaced.

To find the files, Spark replays the table's log in several jobs, which takes half a second even for the smallest batch.
A commit by Spark takes one to two seconds. delta-rs needs only milliseconds for either. Every table here is written
without deletion vectors and column mapping, so the table's files contain exactly its rows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import ColumnProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from lakehouse.causes import LAKE, found_in
from lakehouse.errors import StoreError
from lakehouse.lake.store import Store

# Redshift's manifests cannot express deletion vectors. Checkpoints are made every few commits; otherwise opening the
# table would get slower for a hundred batches and then fast again.
TABLE_PROPERTIES = {"delta.enableDeletionVectors": "false", "delta.checkpointInterval": "10"}


COLOUR = re.compile(r"\x1b\[[0-9;]*m")

# The format in which Spark writes. Tables are read by partition only, so the number of rows is the only statistic
# needed.
SMALL_BATCH = WriterProperties(
    compression="SNAPPY", default_column_properties=ColumnProperties(statistics_enabled="NONE")
)


@dataclass(frozen=True)
class Partition:
    """The rows of one batch in a Delta table. `files`: addresses for Spark."""

    files: tuple[str, ...]
    rows: int


def open_table(store: Store, path: str) -> DeltaTable | None:
    """The current version of the table, None if there is no table. Raises StoreError if its log cannot be read.

    `DeltaTable.is_deltatable` would block every thread of Python while it waits for the store.
    """
    url = store.delta_url(path)
    try:
        return DeltaTable(url, storage_options=store.delta_options())
    except TableNotFoundError:
        return None
    except (DeltaError, OSError) as error:
        raise StoreError(
            f"The Delta table {url} cannot be read: {_said(error)}\n"
            + _remedy(
                error, "Delete the folder if it is damaged: `lakehouse run` makes it again from the layer before."
            )
        ) from error


def read_partition(store: Store, path: str, batch_date: date) -> Partition:
    """A batch's rows in the current version of the table. Empty if there is no table."""
    return read_partitions(store, path, batch_date).get(batch_date, Partition((), 0))


def read_partitions(store: Store, path: str, only: date | None = None) -> dict[date, Partition]:
    """The rows of each batch in the current version of the table, by date. Batches without files are left out.

    `only`: of this batch alone.
    """
    table = open_table(store, path)
    if table is None:
        return {}
    files = pa.table(table.get_add_actions(flatten=True)).select(["partition._batch_date", "path", "num_records"])
    if only is not None:
        files = files.filter(pc.equal(files["partition._batch_date"], pa.scalar(only)))
    root = store.spark_url(path)
    by_day: dict[date, list[tuple[str, int]]] = {}
    for day, file, rows in sorted(zip(*(column.to_pylist() for column in files.columns), strict=True)):
        by_day.setdefault(day, []).append((f"{root}/{file}", rows))
    return {day: Partition(tuple(file for file, _ in of), sum(rows for _, rows in of)) for day, of in by_day.items()}


def column_types(table: DeltaTable) -> dict[str, str]:
    """Column -> Arrow type, written as pyarrow writes it."""
    return _types(pa.schema(table.schema().to_arrow()))


def replace_partition(
    store: Store,
    path: str,
    rows: pa.Table | pa.RecordBatchReader,
    batch_date: date,
    *,
    writer: WriterProperties = SMALL_BATCH,
    file_bytes: int | None = None,
) -> None:
    """Replace a batch's rows in the table with these, in one commit.

    Creates a missing table and adds missing columns. `file_bytes`: the approximate size of each Parquet file.
    Raises StoreError, and commits nothing, if the store cannot be written.
    """
    url = store.delta_url(path)
    table = open_table(store, path)
    is_as_before = table is None or column_types(table) == _types(rows.schema)
    try:
        write_deltalake(
            table or url,
            rows,
            mode="overwrite",
            predicate=f"_batch_date = '{batch_date.isoformat()}'",
            partition_by=["_batch_date"],
            target_file_size=file_bytes,
            schema_mode=None if is_as_before else "merge",
            storage_options=store.delta_options(),
            configuration=TABLE_PROPERTIES,
            writer_properties=writer,
        )
    except (DeltaError, OSError) as error:
        raise StoreError(
            f"{url} cannot be written: {_said(error)}\n"
            f"Nothing of the batch was committed. {_remedy(error, 'Correct what it names.')} Then run the same command "
            "again."
        ) from error


def _remedy(error: Exception, otherwise: str) -> str:
    found = found_in(_said(error), LAKE)
    return found[1] if found else otherwise


def _said(error: Exception) -> str:
    """The error on one line. delta-rs draws arrows in colour between the causes, one on each line."""
    return " ".join(COLOUR.sub("", str(error)).replace("\N{DOWNWARDS ARROW WITH TIP RIGHTWARDS}", "<-").split())


def _types(schema: pa.Schema) -> dict[str, str]:
    return {field.name: str(field.type) for field in schema}
