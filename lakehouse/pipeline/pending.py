"""Landed batches, ledgers and load log -> what is still to be done and why; per table, batch and step.

Compares fingerprints only: no data is read, nothing is written, no Spark is started.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from lakehouse import warehouse
from lakehouse.bronze import step as bronze
from lakehouse.contract.model import Contract, TableContract
from lakehouse.lake.ledger import Entry, Ledger, read_ledger
from lakehouse.lake.store import open_store
from lakehouse.landing.manifest import Manifest
from lakehouse.load import step as load
from lakehouse.settings import Settings
from lakehouse.silver import step as silver

Step = Literal["bronze", "silver", "load"]
STEPS: tuple[Step, ...] = ("bronze", "silver", "load")


@dataclass(frozen=True)
class Pending:
    """One table of one batch that has to go through `step` and all steps after it, and why. `size`: bytes landed."""

    step: Step
    table: str
    batch_date: date
    why: str
    size: int


def pending_steps(settings: Settings, contract: Contract, manifests: list[Manifest]) -> list[Pending]:
    """The first step to be done of each table and batch that is not loaded as it was landed; by table, then date."""
    bronze_store, silver_store = open_store(settings, "bronze"), open_store(settings, "silver")
    loaded = loaded_fingerprints(settings, contract)
    found: list[Pending] = []
    for table in contract.tables:
        batches = [manifest for manifest in manifests if table.name in manifest.tables]
        if not batches:
            continue
        key = f"{contract.source}/{table.name}"
        in_bronze, in_silver = read_ledger(bronze_store, key), read_ledger(silver_store, key)
        for manifest in batches:
            first = _first_step(table, manifest, in_bronze, in_silver, loaded.get((table.name, manifest.batch_date)))
            if first:
                found.append(first)
    return found


def without_landing(settings: Settings, contract: Contract, manifests: list[Manifest]) -> list[tuple[str, date]]:
    """(table, batch date) with rows in the warehouse that landing no longer knows of: somebody wiped the lake."""
    landed = {(table, manifest.batch_date) for manifest in manifests for table in manifest.tables}
    return sorted(set(loaded_fingerprints(settings, contract)) - landed)


def loaded_fingerprints(settings: Settings, contract: Contract) -> dict[tuple[str, date], str]:
    """What is loaded: (table, batch date) -> fingerprint of the load."""
    with warehouse.connect(settings, "loader") as connection, connection.cursor() as cursor:
        cursor.execute(
            "select table_name, batch_date, fingerprint from ops.load_log where source = %s and is_current",
            (contract.source,),
        )
        return {(table, batch_date): fingerprint for table, batch_date, fingerprint in cursor.fetchall()}


def _first_step(
    table: TableContract, manifest: Manifest, in_bronze: Ledger, in_silver: Ledger, in_raw: str | None
) -> Pending | None:
    """The steps' own order: what an earlier step does anew, all later ones do anew."""
    day = manifest.batch_date
    done: tuple[tuple[Step, str, str | None], ...] = (
        ("bronze", bronze.expected_fingerprint(table, manifest), _fingerprint(in_bronze.entries.get(day))),
        ("silver", silver.expected_fingerprint(table, manifest), _fingerprint(in_silver.entries.get(day))),
        ("load", load.expected_fingerprint(table, manifest), in_raw),
    )
    for step, expected, found in done:
        if found != expected:
            delivered = manifest.tables[table.name]
            return Pending(step, table.name, day, _why(manifest, table, found), delivered.size if delivered else 0)
    return None


def _fingerprint(entry: Entry | None) -> str | None:
    return entry.fingerprint if entry else None


def _why(manifest: Manifest, table: TableContract, found: str | None) -> str:
    if found is None:
        return "not done yet"
    if manifest.tables[table.name] is None:
        return "withdrawn since"
    return "delivered again, or its contract changed"
