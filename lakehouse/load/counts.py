"""Landing's and silver's counts of a batch -> its row of `ops.batch_counts`, which the view marts.data_quality shows.

The row is written in the transaction that publishes the batch, so that the counts change with the data. A batch that is
held (held.py) publishes nothing: its counts are committed alone, with 0 loaded.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import date

from psycopg2.extensions import cursor as Cursor

from lakehouse.contract.model import TableContract
from lakehouse.lake.ledger import Entry
from lakehouse.landing.manifest import DeliveredFile


@dataclass(frozen=True)
class BatchCounts:
    """Where the records of one table's file went before the load. `quarantined` excludes the superseded."""

    records: int
    rejected: int
    duplicates: int
    superseded: int
    quarantined: int


def counts_of(delivered: DeliveredFile | None, entry: Entry) -> BatchCounts | None:
    """The counts of a file; None if the table was withdrawn. `entry`: what silver's ledger says of exactly this."""
    if delivered is None:
        return None
    of_silver = entry.counts
    return BatchCounts(
        records=delivered.records,
        rejected=delivered.records - of_silver["bronze"],
        duplicates=of_silver["duplicates"],
        superseded=of_silver["superseded"],
        quarantined=of_silver["quarantined"],
    )


def note_loaded(cursor: Cursor, table: TableContract, day: date, counts: BatchCounts | None, loaded: int) -> None:
    """Note the counts of a batch that this transaction publishes. A withdrawn table leaves no row."""
    if counts is not None:
        _note(cursor, table, day, counts, loaded, is_held=False)
        return
    cursor.execute(
        "delete from ops.batch_counts where source = %s and table_name = %s and batch_date = %s",
        (table.source, table.name, day),
    )


def note_held(cursor: Cursor, table: TableContract, day: date, counts: BatchCounts) -> None:
    """Note the counts of a held batch, unless they are noted. Rows of another delivery of it may still be there."""
    _note(cursor, table, day, counts, 0, is_held=True)


def _note(cursor: Cursor, table: TableContract, day: date, counts: BatchCounts, loaded: int, *, is_held: bool) -> None:
    cursor.execute(
        """
        insert into ops.batch_counts as old (
            source, table_name, batch_date, records, rejected, duplicates, superseded, quarantined, loaded, is_held,
            loaded_at
        ) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, case when %s then null else now() end)
        on conflict (source, table_name, batch_date) do update set
            records = excluded.records, rejected = excluded.rejected, duplicates = excluded.duplicates,
            superseded = excluded.superseded, quarantined = excluded.quarantined, loaded = excluded.loaded,
            is_held = excluded.is_held, loaded_at = excluded.loaded_at
        -- A run with nothing new writes nothing, even if something is still held.
        where not excluded.is_held or not old.is_held
            or (old.records, old.rejected, old.duplicates, old.superseded, old.quarantined)
            is distinct from (
                excluded.records, excluded.rejected, excluded.duplicates, excluded.superseded, excluded.quarantined
            )
        """,
        (table.source, table.name, day, *astuple(counts), loaded, is_held, is_held),
    )
