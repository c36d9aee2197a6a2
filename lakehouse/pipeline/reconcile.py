"""Every stage -> ops.reconciliation: where each record of each file went; one row per table and batch, one per fact.

Per table and batch:
    records in file = bronze + rejected
    bronze          = silver + duplicates + superseded + quarantined
    silver          = raw; of a held batch nothing is in raw, where rows of what was loaded before may stay
Per fact: its rows = the current keys of its source, which the dbt model names in `meta.reconciles_with`. After a daily
build only the rebuilt keys are compared; after a full refresh and in maintenance, all keys.

Rows are counted where they are (Parquet files, warehouse), not taken from what a step reports. Only the number of
duplicates is reported by the step, since a dropped row can be counted nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from datetime import date
from itertools import groupby

import pyarrow as pa
from deltalake import QueryBuilder
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import Json, execute_values

from lakehouse.contract.model import TableContract
from lakehouse.errors import MartsError, ReconciliationError
from lakehouse.lake.bad_records import SUPERSEDED, reasons_of_table
from lakehouse.lake.delta import open_table
from lakehouse.lake.ledger import read_ledger
from lakehouse.lake.places import quarantine_path, rejected_path, table_path
from lakehouse.lake.store import Store
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing.manifest import Manifest, read_manifest
from lakehouse.marts.manifest import Model, read_models
from lakehouse.pipeline.pending import pending_steps
from lakehouse.steps import StepResult

# What a run has loaded it counts within minutes. Afterwards another run does.
LEFT_OVER = "15 minutes"
# How many reasons are kept per table and batch; the lake has all of them.
REASONS = 20


@dataclass(frozen=True)
class Count:
    """Records of one table in one batch, stage by stage. `quarantined` excludes the superseded.

    `raw` excludes what was loaded before a held batch.
    """

    table: str
    batch_date: date
    records: int
    rejected: int
    bronze: int
    duplicates: int
    superseded: int
    quarantined: int
    silver: int
    raw: int
    is_held: bool = False

    def broken_equations(self) -> list[str]:
        """One sentence per equation that does not hold, with both sides."""
        where = f"{self.table} in batch {self.batch_date}"
        typed = self.silver + self.duplicates + self.superseded + self.quarantined
        found: list[str] = []
        if self.records != self.bronze + self.rejected:
            found.append(
                f"{where}: {self.records} records in file, but {self.bronze} in bronze + {self.rejected} rejected"
            )
        if self.bronze != typed:
            found.append(
                f"{where}: {self.bronze} in bronze, but {self.silver} in silver + {self.duplicates} duplicates "
                f"+ {self.superseded} superseded + {self.quarantined} quarantined"
            )
        if self.is_held and self.raw:
            found.append(f"{where}: it is held, but {self.raw} rows of it are in the warehouse")
        if not self.is_held and self.silver != self.raw:
            found.append(f"{where}: {self.silver} in silver, but {self.raw} in the warehouse")
        return found


def tables(
    lakehouse: Lakehouse,
    results: Iterable[StepResult] = (),
    *,
    batch_date: date | None = None,
    held: Iterable[tuple[str, date]] = (),
) -> list[Count]:
    """Count the tables and batches that these results are about, and note the counts in ops.reconciliation.

    Tables and batches that a killed run loaded but did not count are counted, too, and so are those whose equations
    did not hold last time. Those that are due again by now are left out: the run that processes them counts them.
    `batch_date`: the caller's own batch. Other runs count theirs, so of those only what is left over is counted.
    `held`: held tables of batches, as (table, batch date), since no load has noted them.
    Raises ReconciliationError naming every equation that does not hold.
    """
    units = {(result.table, result.batch_date) for result in results} | {*held} | _uncounted(lakehouse, batch_date)
    counts: list[Count] = []
    for name, of_table in groupby(sorted(units), key=lambda unit: unit[0]):
        # No other run may replace what is being counted.
        with lakehouse.lock_table(name):
            found = (read_manifest(lakehouse, day) for _, day in of_table)
            manifests = [manifest for manifest in found if manifest is not None and name in manifest.tables]
            pending = pending_steps(lakehouse, manifests, name)
            due = {unit.batch_date for unit in pending if not unit.is_held}
            are_held = {unit.batch_date for unit in pending if unit.is_held}
            table = lakehouse.contract.table(name)
            counted = [
                _count(lakehouse, table, m, is_held=m.batch_date in are_held)
                for m in manifests
                if m.batch_date not in due
            ]
            _note(lakehouse, counted, [_reasons(lakehouse, count) for count in counted])
        counts += counted
    _stop_if([fault for count in counts for fault in count.broken_equations()])
    return counts


def facts_are_due(lakehouse: Lakehouse) -> bool:
    """Whether the marts were built after the last comparison of the facts, or that comparison failed."""
    (due,) = lakehouse.one(
        """
        select coalesce(min(compared.checked_at) < marts.finished_at or not bool_and(compared.holds), true)
        from ops.marts_state as marts
        left join ops.mart_reconciliation as compared on compared.source = marts.source
        where marts.source = %s and marts.status = 'complete'
        group by marts.finished_at
        """,
        lakehouse.contract.source,
    ) or (False,)
    return bool(due)


def facts(lakehouse: Lakehouse, *, all_keys: bool = False) -> None:
    """Compare the rows of each fact with the current rows of its source; note both in ops.mart_reconciliation.

    Only the keys that the last build rebuilt are compared, so the cost grows with the day and not with the history.
    After a full refresh, or with `all_keys`, all keys are compared.
    Raises ReconciliationError naming every fact that has too many or too few rows, MartsError if dbt's manifest is not
    on this machine.
    """
    with lakehouse.lock("publish", shared=True):
        models = _models(lakehouse)
        with lakehouse.cursor("transformer") as cursor:
            counted = [_count_fact(cursor, models, fact, all_keys) for fact in models.values() if fact.reconciles_with]
        _note_facts(lakehouse, counted)
    _stop_if([str(count) for count in counted if not count.holds])


@dataclass(frozen=True)
class _FactCount:
    mart: str
    source_rows: int
    mart_rows: int

    @property
    def holds(self) -> bool:
        return self.source_rows == self.mart_rows

    def __str__(self) -> str:
        return f"{self.mart}: {self.mart_rows} rows, but {self.source_rows} current keys in its source"


def _models(lakehouse: Lakehouse) -> dict[str, Model]:
    """The source's models by name, from the manifest of the last build."""
    path = lakehouse.settings.workspace_dir / "dbt" / "manifest.json"
    try:
        models = read_models(path)
    except FileNotFoundError as error:
        raise MartsError(
            f"The marts were built elsewhere: {path}, which says what to compare them with, is not here.\n"
            "Compare where they were built, or build them here: `lakehouse marts --full-refresh`."
        ) from error
    return {name: model for name, model in models.items() if model.is_of(lakehouse.contract.source)}


def _count_fact(cursor: Cursor, models: dict[str, Model], fact: Model, all_keys: bool) -> _FactCount:
    assert fact.reconciles_with is not None
    source, changed_keys = models[fact.reconciles_with], models.get("int_changed_keys")
    if all_keys or changed_keys is None or not fact.column or _rows(cursor, changed_keys.relation) == 0:
        return _FactCount(fact.relation, _rows(cursor, source.relation), _rows(cursor, fact.relation))
    counts = []
    for relation in (source.relation, fact.relation):
        cursor.execute(
            sql.SQL("select count(*) from {} where {} in (select changed_key from {} where entity = %s)").format(
                _identifier(relation), sql.Identifier(fact.column), _identifier(changed_keys.relation)
            ),
            (fact.entity,),
        )
        (rows,) = cursor.fetchone() or (0,)
        counts.append(rows)
    return _FactCount(fact.relation, *counts)


def _note_facts(lakehouse: Lakehouse, counts: list[_FactCount]) -> None:
    with lakehouse.cursor() as cursor:
        for count in counts:
            cursor.execute(
                """
                insert into ops.mart_reconciliation (source, mart, source_rows, mart_rows, holds)
                values (%s, %s, %s, %s, %s)
                on conflict (source, mart) do update set
                    source_rows = excluded.source_rows, mart_rows = excluded.mart_rows,
                    holds = excluded.holds, checked_at = now()
                """,
                (lakehouse.contract.source, count.mart, count.source_rows, count.mart_rows, count.holds),
            )


def _uncounted(lakehouse: Lakehouse, own: date | None) -> set[tuple[str, date]]:
    """Each (table, batch date) that was not counted since it was loaded, or whose equations did not hold.

    With a batch of its `own`, a run leaves those of other batches to their runs, which count them soon.
    """
    with lakehouse.cursor() as cursor:
        cursor.execute(
            """
            select loads.table_name, loads.batch_date
            from ops.load_log as loads
            left join ops.reconciliation as counted using (source, table_name, batch_date)
            where loads.source = %s and loads.is_current
                and (counted.holds is not true or counted.checked_at < loads.loaded_at)
                and (
                    %s::date is null or loads.batch_date = %s
                    or counted.holds is false or loads.loaded_at < now() - %s::interval
                )
            """,
            (lakehouse.contract.source, own, own, LEFT_OVER),
        )
        known = {table.name for table in lakehouse.contract.tables}
        return {(table, day) for table, day in cursor.fetchall() if table in known}


def _reasons(lakehouse: Lakehouse, count: Count) -> dict[str, int]:
    """The most frequent reasons why records of this table and batch were rejected or quarantined."""
    if not (count.rejected or count.quarantined):
        return {}
    table = lakehouse.contract.table(count.table)
    return dict(reasons_of_table(lakehouse.bronze, lakehouse.silver, table, count.batch_date)[:REASONS])


def _note(lakehouse: Lakehouse, counts: list[Count], reasons: list[dict[str, int]]) -> None:
    rows = [
        (lakehouse.contract.source, *astuple(count), not count.broken_equations(), Json(of_count))
        for count, of_count in zip(counts, reasons, strict=True)
    ]
    with lakehouse.cursor() as cursor:
        execute_values(
            cursor,
            """
            insert into ops.reconciliation as old (
                source, table_name, batch_date, records, rejected, bronze, duplicates, superseded, quarantined,
                silver, raw, is_held, holds, reasons
            ) values %s
            on conflict (source, table_name, batch_date) do update set
                records = excluded.records, rejected = excluded.rejected, bronze = excluded.bronze,
                duplicates = excluded.duplicates, superseded = excluded.superseded,
                quarantined = excluded.quarantined, silver = excluded.silver, raw = excluded.raw,
                is_held = excluded.is_held, holds = excluded.holds, reasons = excluded.reasons, checked_at = now()
            -- A run with nothing new writes nothing, even if something is still held.
            where not excluded.is_held or not old.is_held
                or (old.records, old.rejected, old.bronze, old.quarantined, old.silver, old.holds)
                is distinct from (
                    excluded.records, excluded.rejected, excluded.bronze, excluded.quarantined, excluded.silver,
                    excluded.holds
                )
            """,
            rows,
        )


def _count(lakehouse: Lakehouse, table: TableContract, manifest: Manifest, *, is_held: bool) -> Count:
    bronze, silver = lakehouse.bronze, lakehouse.silver
    day, delivered = manifest.batch_date, manifest.tables.get(table.name)
    path = table_path(table)
    duplicates = read_ledger(silver, path).entries[day].counts["duplicates"]
    quarantined = _parquet_rows(silver, quarantine_path(table), day)
    superseded = _superseded_rows(silver, quarantine_path(table), day) if quarantined else 0
    with lakehouse.cursor() as cursor:
        relation = sql.Identifier(lakehouse.contract.raw_schema, table.name)
        cursor.execute(sql.SQL("select count(*) from {} where _batch_date = %s").format(relation), (day,))
        (raw,) = cursor.fetchone() or (0,)
        if is_held:
            raw -= _rows_loaded_before(cursor, table, day)
    return Count(
        table=table.name,
        batch_date=day,
        records=delivered.records if delivered else 0,
        rejected=_parquet_rows(bronze, rejected_path(table), day),
        bronze=_parquet_rows(bronze, path, day),
        duplicates=duplicates,
        superseded=superseded,
        quarantined=quarantined - superseded,
        silver=_parquet_rows(silver, path, day),
        raw=raw,
        is_held=is_held,
    )


def _rows_loaded_before(cursor: Cursor, table: TableContract, day: date) -> int:
    """Rows of the current load of a batch, which stays while another delivery of the batch is held."""
    cursor.execute(
        "select rows from ops.load_log where source = %s and table_name = %s and batch_date = %s and is_current",
        (table.source, table.name, day),
    )
    (rows,) = cursor.fetchone() or (0,)
    return int(rows)


def _parquet_rows(store: Store, key: str, day: date) -> int:
    """Rows in the files of a batch's partition; 0 if the table does not exist (yet)."""
    table = open_table(store, key)
    if table is None:
        return 0
    partition = [("_batch_date", "=", day.isoformat())]
    rows: int = table.to_pyarrow_dataset(file_pruning_predicate=partition).count_rows()
    return rows


def _superseded_rows(store: Store, key: str, day: date) -> int:
    table = open_table(store, key)
    if table is None:
        return 0
    # Not a pyarrow dataset; lake/bad_records.py says why.
    lake = QueryBuilder().register("records", table)
    found = pa.table(lake.execute(f"select reasons from records where _batch_date = '{day.isoformat()}'"))  # noqa: S608
    return sum(SUPERSEDED in row for row in found.column("reasons").to_pylist())


def _rows(cursor: Cursor, relation: str) -> int:
    cursor.execute(sql.SQL("select count(*) from {}").format(_identifier(relation)))
    (rows,) = cursor.fetchone() or (0,)
    return int(rows)


def _identifier(relation: str) -> sql.Identifier:
    return sql.Identifier(*relation.split("."))


def _stop_if(faults: list[str]) -> None:
    if faults:
        raise ReconciliationError(
            "\n  ".join(["Records were lost or doubled between two stages:", *faults])
            + "\nThis is a defect of the pipeline, not of the data. Keep the workspace as it is and report it "
            "with `lakehouse status --format json`."
        )
