"""ops.reconciliation -> where a source's records went and why some are bad, per table and batch.

Each function takes a cursor of the role loader.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from psycopg2.extensions import cursor as Cursor

from lakehouse.contract.model import Contract

# The columns of ops.reconciliation, in the order of the stages.
STAGES = ("records", "rejected", "bronze", "duplicates", "superseded", "quarantined", "silver", "raw")


def records_per_table(
    cursor: Cursor, contract: Contract, batch_date: date | None = None
) -> list[tuple[str, dict[str, int]]]:
    """(table, its number of records at each stage) in the contract's order, for one batch or summed over all."""
    sums = ", ".join(f"sum({stage})::bigint" for stage in STAGES)
    cursor.execute(
        f"select table_name, {sums} from ops.reconciliation "  # noqa: S608
        "where source = %s and batch_date = coalesce(%s, batch_date) group by table_name",
        (contract.source, batch_date),
    )
    found = {table: dict(zip(STAGES, counts, strict=True)) for table, *counts in cursor.fetchall()}
    return [(table.name, found[table.name]) for table in contract.tables if table.name in found]


def reasons_of(cursor: Cursor, source: str, units: Sequence[tuple[str, date]]) -> list[tuple[str, str, int, date]]:
    """(table, reason, records, newest batch date with it) of these tables and batches, most records first.

    A record with several reasons counts once for each.
    """
    cursor.execute(
        """
        select counted.table_name, each.reason, sum(each.times::bigint)::bigint, max(counted.batch_date)
        from ops.reconciliation as counted, jsonb_each_text(counted.reasons) as each (reason, times)
        where counted.source = %s and (counted.table_name, counted.batch_date) in %s
        group by counted.table_name, each.reason
        order by 3 desc, 1, 2
        """,
        (source, tuple(units)),
    )
    return [(table, reason, records, day) for table, reason, records, day in cursor.fetchall()]


def last_counted(cursor: Cursor, source: str, batch_date: date) -> datetime | None:
    """When the records of a batch were last counted. None if they never were."""
    cursor.execute(
        "select max(checked_at) from ops.reconciliation where source = %s and batch_date = %s", (source, batch_date)
    )
    moment: datetime | None
    (moment,) = cursor.fetchone() or (None,)
    return moment
