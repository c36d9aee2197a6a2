"""A Delta table and a batch date -> the Parquet files of the batch's partition, and their rows. Reads the log only.

Spark's own way to the files replays the table's log in several jobs, half a second for the smallest batch; delta-rs
needs milliseconds. Every table here is written without deletion vectors and column mapping: its files are its rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from lakehouse.store import Store


@dataclass(frozen=True)
class Partition:
    """The rows of one batch in a Delta table. `files`: addresses for Spark. `columns`: of the table, as of now."""

    files: tuple[str, ...]
    rows: int
    columns: dict[str, str]


def read_partition(store: Store, table_key: str, batch_date: date) -> Partition:
    """What the table's current version holds of a batch; nothing if there is no such table."""
    url, options = store.delta_url(table_key), store.delta_options()
    if not DeltaTable.is_deltatable(url, options):
        return Partition((), 0, {})
    table = DeltaTable(url, storage_options=options)
    columns = {field.name: str(field.type) for field in pa.schema(table.schema().to_arrow())}
    files = pa.table(table.get_add_actions(flatten=True))
    files = files.filter(pc.equal(files["partition._batch_date"], pa.scalar(batch_date)))
    root = store.spark_url(table_key)
    addresses = tuple(f"{root}/{path}" for path in sorted(files["path"].to_pylist()))
    return Partition(addresses, pc.sum(files["num_records"]).as_py() or 0, columns)
