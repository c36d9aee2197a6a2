"""Silver's counts of a batch -> whether the load publishes it. If too many of its records are bad, the table is held.

A held table of a batch stays pending: what was loaded of the batch before stays, and the other tables and the marts go
on. A corrected file ends it, or `accept`, which is noted in silver's ledger beside the fingerprint. So another delivery
is judged again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from lakehouse.contract.model import TableContract
from lakehouse.errors import BatchHeld, LakehouseError
from lakehouse.lake import ledger
from lakehouse.lake.ledger import Entry, Ledger, read_ledger
from lakehouse.lake.places import table_path
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing.manifest import Manifest, read_manifest
from lakehouse.steps import Pending, expected

# How many reasons a message names.
REASONS = 3


@dataclass(frozen=True)
class Held:
    """A table of a batch that is not published. `bad`: how many of its `records` were rejected or quarantined."""

    table: str
    batch_date: date
    records: int
    bad: int

    def __str__(self) -> str:
        return f"{self.bad:,} of {self.records:,} records ({self.bad / self.records:.2%}) were rejected or quarantined"


def is_held(records: int, counts: Mapping[str, int], share: float) -> bool:
    """Whether more than this share of a file's records is bad. `counts`: silver's, of the batch."""
    return bad_records(records, counts) > share * records


def bad_records(records: int, counts: Mapping[str, int]) -> int:
    """How many of a file's records were rejected or quarantined. The superseded are not bad."""
    return records - counts["bronze"] + counts["quarantined"]


def judge(lakehouse: Lakehouse, table: TableContract, manifest: Manifest, entry: Entry) -> Held | None:
    """The table if it is held in this batch, else None. `entry`: what silver's ledger says of the landed file."""
    delivered = manifest.tables.get(table.name)
    if delivered is None or entry.is_accepted:
        return None
    share = lakehouse.settings.hold_above_share if table.hold_above_share is None else table.hold_above_share
    if not is_held(delivered.records, entry.counts, share):
        return None
    bad = bad_records(delivered.records, entry.counts)
    return Held(table.name, manifest.batch_date, delivered.records, bad)


def held_though_loaded(lakehouse: Lakehouse, table: TableContract) -> Held | None:
    """A held batch of which the raw table has rows, of another delivery or under another contract."""
    made = read_ledger(lakehouse.silver, table_path(table))
    for day in days_with_rows(lakehouse, table):
        current = made_as_landed(lakehouse, table, made, day)
        if current and (held := judge(lakehouse, table, *current)):
            return held
    return None


def made_as_landed(
    lakehouse: Lakehouse, table: TableContract, made: Ledger, day: date
) -> tuple[Manifest, Entry] | None:
    """A batch as landed, and what silver's ledger says of exactly that; None if silver does not hold it."""
    manifest = read_manifest(lakehouse, day)
    if manifest is None or table.name not in manifest.tables:
        return None
    return (manifest, made.entries[day]) if made.is_done(day, expected(table, manifest)["silver"]) else None


def days_with_rows(lakehouse: Lakehouse, table: TableContract) -> list[date]:
    """The batches of which the raw table has rows, by date."""
    with lakehouse.cursor() as cursor:
        cursor.execute(
            "select batch_date from ops.load_log "
            "where source = %s and table_name = %s and is_current and rows > 0 order by 1",
            (table.source, table.name),
        )
        return [day for (day,) in cursor.fetchall()]


def accept(lakehouse: Lakehouse, table: TableContract, batch_date: date) -> Held:
    """Let the next load publish a held table of a batch as it is. Raises LakehouseError if it is not held."""
    path = table_path(table)
    with lakehouse.lock_table(table.name):
        current = made_as_landed(lakehouse, table, read_ledger(lakehouse.silver, path), batch_date)
        if current and (held := judge(lakehouse, table, *current)):
            ledger.record(lakehouse.silver, path, batch_date, replace(current[1], is_accepted=True))
            return held
    raise LakehouseError(
        f"{table.name} of {batch_date} is not held, so there is nothing to accept.\n"
        "`lakehouse status` shows what is pending and why."
    )


def explained(lakehouse: Lakehouse, held: Iterable[Pending]) -> BatchHeld:
    """The error that names each held table of a batch, with the commonest reasons of the batch that is held."""
    from lakehouse.lake.bad_records import commonest_reasons  # delta-rs takes long to import, and `status` needs none

    lines = []
    commands: list[str] = []
    for unit in held:
        lines.append(f"  {unit}")
        command = f"`lakehouse accept {unit.table} --batch-date {unit.held_batch}`"
        if command not in commands:
            table = lakehouse.contract.table(unit.table)
            found = commonest_reasons(lakehouse.bronze, lakehouse.silver, table, unit.held_batch, REASONS)
            lines += [f"    {reason.records:,} {reason}" for reason in found]
            commands.append(command)
    return BatchHeld(
        "\n".join(
            [
                "Not loaded, because too many records are bad. What was loaded before stays:",
                *lines,
                "Correct the files and land them again. Or load what is good of them: "
                f"{', '.join(commands)}, then `lakehouse run`.",
            ]
        )
    )
