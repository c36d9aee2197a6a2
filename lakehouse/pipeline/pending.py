"""Landed batches, ledgers and load log -> what is still to do and why, per table, batch and step.

This compares only fingerprints: it reads no data, writes nothing and does not start Spark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

from lakehouse.contract.model import TableContract
from lakehouse.errors import ContractError
from lakehouse.lake.ledger import Entry, read_ledger
from lakehouse.lake.places import table_path
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing.manifest import Manifest
from lakehouse.load import raw_tables
from lakehouse.load.held import Held, held_though_loaded, judge
from lakehouse.steps import Pending, StepName, expected


def pending_steps(lakehouse: Lakehouse, manifests: list[Manifest], table: str | None = None) -> list[Pending]:
    """For each table and batch whose load does not match what was landed, the first step still to run.

    Sorted by table, then date. `table`: check only this table. Raises ContractError if the contract requires a column
    that a landed file lacks.
    """
    tables = [lakehouse.contract.table(table)] if table else lakehouse.contract.tables
    _refuse_unfit_contract(tables, manifests)
    loaded = loaded_fingerprints(lakehouse)
    found: list[Pending] = []
    for looked_at in tables:
        batches = [manifest for manifest in manifests if looked_at.name in manifest.tables]
        if not batches:
            continue
        path = table_path(looked_at)
        in_bronze, in_silver = read_ledger(lakehouse.bronze, path), read_ledger(lakehouse.silver, path)
        for manifest in batches:
            day = manifest.batch_date
            made: dict[StepName, str | None] = {
                "bronze": _fingerprint(in_bronze.entries.get(day)),
                "silver": _fingerprint(in_silver.entries.get(day)),
                "load": loaded.get((looked_at.name, day)),
            }
            first = _first_step(looked_at, manifest, made)
            if first and first.step == "load":
                held = judge(lakehouse, looked_at, manifest, in_silver.entries[day])
                first = replace(first, why=f"held: {held}", is_held=True) if held else first
            if first:
                found.append(first)
    return _with_waiting(lakehouse, found)


def _with_waiting(lakehouse: Lakehouse, units: list[Pending]) -> list[Pending]:
    """The units. One whose load waits for a held batch says so: a new type changes all batches of a table together."""
    if all(unit.step != "load" or unit.is_held for unit in units):
        return units
    with lakehouse.cursor() as cursor:
        changed = raw_tables.with_other_types(cursor, lakehouse.contract)
    held = {name: held_though_loaded(lakehouse, lakehouse.contract.table(name)) for name in changed}
    return [_waiting(unit, held.get(unit.table)) for unit in units]


def _waiting(unit: Pending, held: Held | None) -> Pending:
    """The unit; if its load waits for this held batch, it says so."""
    if held is None or unit.step != "load" or unit.is_held:
        return unit
    why = f"waits for the batch of {held.batch_date}, which is held: {held}"
    return replace(unit, why=why, is_held=True, waits_for=held.batch_date)


def without_landing(lakehouse: Lakehouse, manifests: list[Manifest]) -> list[tuple[str, date]]:
    """Each (table, batch date) that is in the warehouse but not in landing, because the lake was wiped."""
    landed = {(table, manifest.batch_date) for manifest in manifests for table in manifest.tables}
    return sorted(set(loaded_fingerprints(lakehouse)) - landed)


def loaded_fingerprints(lakehouse: Lakehouse) -> dict[tuple[str, date], str]:
    """(table, batch date) -> fingerprint of the current load; '' if another delivery of the batch is held.

    If the loaded delivery then comes again, it is loaded again: nothing else would end what is noted as held.
    """
    with lakehouse.cursor() as cursor:
        cursor.execute(
            "select table_name, batch_date, case when counts.is_held then '' else loads.fingerprint end "
            "from ops.load_log as loads left join ops.batch_counts as counts using (source, table_name, batch_date) "
            "where source = %s and is_current",
            (lakehouse.contract.source,),
        )
        return {(table, batch_date): fingerprint for table, batch_date, fingerprint in cursor.fetchall()}


def _refuse_unfit_contract(tables: Sequence[TableContract], manifests: list[Manifest]) -> None:
    """Landing checks each file. But the contract may require more by now, and then every old row would be invalid."""
    faults = []
    for table in tables:
        required = {column.name for column in table.columns if column.required}
        lacking: dict[str, list[date]] = {}
        for manifest in manifests:
            if delivered := manifest.tables.get(table.name):
                for name in required.intersection(table.demanded_columns(manifest.batch_date)) - {*delivered.columns}:
                    lacking.setdefault(name, []).append(manifest.batch_date)
        faults += [
            f"{table.name}.{name} is required, but {len(days)} files that are already landed lack it, the last one of "
            f"{max(days)}: say from which batch date on files have it, as `since: {max(days) + timedelta(days=1)}`"
            for name, days in sorted(lacking.items())
        ]
    if faults:
        source = tables[0].source
        head = f"contracts/{source}.odcs.yaml does not fit what is landed:"
        raise ContractError("\n  ".join([head, *faults]))


def _first_step(table: TableContract, manifest: Manifest, made: dict[StepName, str | None]) -> Pending | None:
    """The first step whose output is missing or outdated; all later steps must run after it."""
    for step, fingerprint in expected(table, manifest).items():
        if made[step] != fingerprint:
            delivered = manifest.tables[table.name]
            size = delivered.size if delivered else 0
            return Pending(step, table.name, manifest.batch_date, _why(manifest, table, made[step]), size)
    return None


def _fingerprint(entry: Entry | None) -> str | None:
    return entry.fingerprint if entry else None


def _why(manifest: Manifest, table: TableContract, found: str | None) -> str:
    if found is None:
        return "not done yet"
    if manifest.tables[table.name] is None:
        return "withdrawn since"
    return "delivered again, or its contract changed"
