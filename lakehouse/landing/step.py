"""A delivery of CSV files -> `landing/<source>/<batch_date>/r<n>/<file>` and the batch's manifest.

All checks of whole files happen here, on all files, before anything is accepted. No later step may refuse a file.
The manifests are written last. A landing that is killed before that leaves only files that no manifest names.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from lakehouse.contract.model import Contract, TableContract
from lakehouse.errors import DeliveryRefused, StoreError
from lakehouse.lake.conformance import ensure_conformance
from lakehouse.lake.store import Store
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import dates
from lakehouse.landing.delivery import Bounds, Delivery, FoundFile, Unreadable, find_files, read_sums
from lakehouse.landing.foreign import HEAD, is_not_a_csv
from lakehouse.landing.manifest import DeliveredFile, Manifest, manifest_key, read_manifest, read_manifests
from lakehouse.landing.quoting import CHUNK, Findings, scan
from lakehouse.text import quoted

# So many unknown columns of a file, and ignored files, are named.
MOST_NAMED = 20


@dataclass(frozen=True)
class Landed:
    """A batch after a delivery. `changed`: the tables with new content. Empty if everything had already been landed."""

    manifest: Manifest
    changed: tuple[str, ...]


@dataclass(frozen=True)
class _Checked:
    """A file that was read to its end and belongs to a table."""

    file: FoundFile
    table: TableContract
    stamp: tuple[int, int]
    findings: Findings

    def delivered(self, columns: tuple[str, ...], key: str) -> DeliveredFile:
        found = self.findings
        return DeliveredFile(
            key=key,
            name=self.file.name,
            size=found.size,
            sha256=found.sha256,
            records=found.records,
            longest_record=found.longest_record,
            is_utf8=found.is_utf8,
            has_nul=found.has_nul,
            columns=columns,
            data_starts=found.data_starts,
            ends_open=found.ends_open,
        )


def land(
    lakehouse: Lakehouse,
    paths: Sequence[Path],
    batch_date: date | None = None,
    log: Callable[[str], None] = lambda line: None,
    *,
    only: date | None = None,
    replace_today: bool = False,
) -> list[Landed]:
    """Accept the files under the paths as one batch or several. Returns the batches in the order of their dates.

    A delivery is accepted as a whole or not at all, even when it contains several batches: if one batch cannot be
    written, the batches before it are undone. The earlier batches stay accepted only if the process is killed, or loses
    the store, between two batches. Landing the same delivery again completes it. Each batch keeps the tables that this
    delivery does not contain. `log` gets the names of the ignored files, and of folders above the paths that date the
    files.

    A file without a date belongs to the newest batch that has exactly this delivery's content, else to today's (UTC).
    There it must not replace other content of its table, unless `replace_today`, since no name says this date.

    `only`: the path is the drop folder; take only the files of this batch date, if there are any. Files that belong to
    no day are then reported to `log`, since they must not stop the other files. No link may lead out of the folder.

    Raises DeliveryRefused with all faults of all files, and StoreError with the batches that cannot be undone.
    """
    if batch_date is not None:
        _check_date(lakehouse.contract, batch_date)
    bounds = Bounds.of(lakehouse.settings, within=paths[0] if only is not None else None)
    accepted = frozenset(name.casefold() for table in lakehouse.contract.tables for name in table.files)
    delivery = find_files(paths, batch_date, may_be_empty=only is not None, bounds=bounds, tables=accepted)
    if only is not None:
        delivery = _of_one_day(delivery, only)
    faults = list(delivery.faults)
    for why, names in delivery.ignored.items():
        more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
        log(f"ignored ({why}): {', '.join(names[:MOST_NAMED])}{more}")
    for folder, of_folder in delivery.dated_above.items():
        log(f"dated {of_folder} by the folder {quoted(folder)} above")
    checked = [c for file in delivery.files if (c := _check_bytes(lakehouse.contract, file, faults))]
    faults += _unlike_their_sums(delivery, checked)
    for c in checked:
        if c.findings.ends_open:
            log(f"{c.file.shown}: does not end with a newline, so its last record may be cut off")
    undated = [c for c in checked if c.file.batch_date is None]
    undated_date = _date_of_undated(lakehouse, undated) if undated else None
    if undated_date is not None and not replace_today:
        faults += _replaced_unasked(lakehouse, undated_date, undated)

    batches: dict[date, dict[str, DeliveredFile]] = {}
    sources: dict[tuple[date, str], _Checked] = {}
    for one in checked:
        day = one.file.batch_date or undated_date
        assert day is not None
        if earlier := sources.get((day, one.table.name)):
            faults.append(
                f"{one.file.shown}: batch {day} has {earlier.file.shown} for table {one.table.name} already "
                "(one file per table and batch)"
            )
            continue
        sources[day, one.table.name] = one
        columns = _check_header(one, day, faults)
        batches.setdefault(day, {})[one.table.name] = one.delivered(columns, key="")
    if faults:
        raise _refusal(lakehouse.contract, batch_date, batches, faults)
    return _accept(lakehouse, batches, sources)


def remove(lakehouse: Lakehouse, batch_date: date, table: str) -> Landed:
    """Withdraw a table from a batch. The next run removes the table's rows of this batch from all later stages.

    Raises DeliveryRefused if the batch never contained the table.
    """
    lakehouse.contract.table(table)
    manifest = read_manifest(lakehouse, batch_date)
    if manifest is None or table not in manifest.tables:
        held = [m.batch_date.isoformat() for m in read_manifests(lakehouse) if m.tables.get(table)]
        raise DeliveryRefused(
            f"{lakehouse.contract.source} {batch_date}",
            [f"{table}: was never delivered in this batch, so it cannot be removed"],
            f"Batches that hold {table}: {', '.join(held) or 'none'}.",
        )
    if manifest.tables[table] is None:
        return Landed(manifest, ())
    ensure_conformance(lakehouse.settings, "landing")
    return Landed(
        _update(lakehouse.landing, lakehouse.contract.source, batch_date, {table: None}),
        (table,),
    )


def _of_one_day(delivery: Delivery, day: date) -> Delivery:
    chosen = Delivery(bounds=delivery.bounds, files=[file for file in delivery.files if file.batch_date == day])
    around = {file.path if file.member else file.path.parent for file in chosen.files}
    chosen.sums = [listed for listed in delivery.sums if listed.place in around]
    chosen.elsewhere = frozenset((file.path, file.member) for file in delivery.files if file not in chosen.files)
    for file in delivery.files:
        if file.batch_date is None:
            chosen.ignore("no date in its name or its folder's", file.shown)
    for fault in delivery.faults:
        name, _, why = fault.partition(": ")
        chosen.ignore(why, name)
    return chosen


def _check_bytes(contract: Contract, file: FoundFile, faults: list[str]) -> _Checked | None:
    table = contract.table_of_file(file.stem)
    if table is None:
        names = ", ".join(f"{t.files[0]}.csv" for t in contract.tables)
        faults.append(f"{file.shown}: belongs to no table of {contract.source} (accepted names: {names})")
        return None
    try:
        stamp = file.stamp
        with file.open_csv() as stream:
            what = is_not_a_csv(stream.read(HEAD), table.column_names)
        if what is not None:
            faults.append(f"{file.shown}: {what}")
            return None
        with file.open_csv() as stream:
            findings = scan(stream)
    except Unreadable as error:
        faults.append(f"{file.shown}: is cut off, damaged or unreadable ({error})")
        return None
    faults += [f"{file.shown}: {fault}" for fault in findings.faults]
    return _Checked(file, table, stamp, findings)


def _unlike_their_sums(delivery: Delivery, checked: Sequence[_Checked]) -> list[str]:
    """A fault per listed file whose bytes are not those that its sender summed up, or that is not there."""
    faults = []
    hashed = {(c.file.path, c.file.member): c.findings.sha256 for c in checked if not c.file.is_gzip}
    files = {(file.path, file.member): file for file in delivery.files}
    zips = {file.path for file in delivery.files if file.member is not None}
    for listed in delivery.sums:
        try:
            sums = read_sums(listed, delivery.bounds)
        except (Unreadable, ValueError) as error:
            faults.append(f"{listed.shown}: cannot be used as a list of checksums ({error}); correct or remove it")
            continue
        for name, expected in sums.expected.items():
            place = sums.file_of(name)
            if place in delivery.elsewhere:
                continue
            if place in files:
                found = hashed.get(place) or _sha256(files[place])
            elif place[1] is None and place[0] in zips:
                found = _sha256(FoundFile(place[0], None, name, "", None, bounds=delivery.bounds))
            elif place[1] is None and place[0].is_file():
                continue  # why it is not one of the files is a fault of its own
            elif name.lower().endswith((".csv", ".csv.gz", ".zip")):
                faults.append(f"{sums.shown}: lists {quoted(name)}, which was not delivered")
                continue
            else:
                continue
            if found not in (None, expected):
                faults.append(f"{quoted(name)}: is not as it was sent: its SHA-256 is not the one in {sums.shown}")
    return faults


def _sha256(file: FoundFile) -> str | None:
    """The sum of the bytes as delivered; None if they cannot be read, which is a fault of its own."""
    digest = hashlib.sha256()
    try:
        with file.open_as_delivered() as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
    except Unreadable:
        return None
    return digest.hexdigest()


def _date_of_undated(lakehouse: Lakehouse, files: Sequence[_Checked]) -> date:
    """The date of the newest batch with exactly these contents, or today (UTC).

    It is today if there is no such batch, or if a later batch has other contents for these tables. Content that is sent
    again after other content is a new batch: filed under the old date, it would never be current.
    """
    delivered = {c.table.name: c.delivered((), "").fingerprint for c in files}
    for manifest in reversed(read_manifests(lakehouse)):
        held = {table: manifest.input_fingerprint(table) for table in delivered if manifest.tables.get(table)}
        if held == delivered:
            return manifest.batch_date
        if any(content != delivered[table] for table, content in held.items()):
            break
    return datetime.now(UTC).date()


def _replaced_unasked(lakehouse: Lakehouse, today: date, undated: Sequence[_Checked]) -> list[str]:
    """A fault per table of today's batch whose content these files would replace, though no name says that date."""
    current = read_manifest(lakehouse, today)
    return [
        f"{c.file.shown}: has no date in its name or a folder's, and today's batch, {today}, has another file for "
        f"{c.table.name}: give --batch-date, or --replace to replace that file"
        for c in undated
        if current and current.tables.get(c.table.name)
        if current.input_fingerprint(c.table.name) != c.delivered((), "").fingerprint
    ]


def _check_date(contract: Contract, batch_date: date) -> None:
    try:
        dates.check(batch_date)
    except ValueError as error:
        raise DeliveryRefused(f"{contract.source} {batch_date}", [str(error)], "Give the day that was meant.") from None


def _check_header(checked: _Checked, batch_date: date, faults: list[str]) -> tuple[str, ...]:
    """The file's columns under the contract's names, in the file's order."""
    table, found, shown = checked.table, checked.findings, checked.file.shown
    if found.faults and not found.header:
        return ()
    if not found.header:
        faults.append(f"{shown}: is empty, not even a header")
        return ()
    try:
        header = found.header.decode("utf-8")
        columns = tuple(n.strip().casefold() for n in next(csv.reader(io.StringIO(header, newline=""), strict=True)))
    except (UnicodeDecodeError, csv.Error) as error:
        faults.append(f"{shown}: the header cannot be read as UTF-8 CSV ({error})")
        return ()
    if len(columns) == 1 and columns[0] not in table.column_names and len(table.columns) > 1:
        # Nothing of it is quoted: without a comma it may be anything, and this text goes into logs and messages.
        faults.append(f"{shown}: the delimiter must be a comma, and the header has none")
        return columns
    missing = [name for name in table.demanded_columns(batch_date) if name not in columns]
    faults += [f"{shown}: column {name} is missing" for name in missing]
    unknown = sorted(set(columns) - set(table.column_names), key=columns.index)
    for name in unknown[:MOST_NAMED]:
        close = difflib.get_close_matches(name, missing or table.column_names, 1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        faults.append(f"{shown}: column {quoted(name) or '(without name)'} is unknown{hint}")
    if len(unknown) > MOST_NAMED:
        faults.append(f"{shown}: {len(unknown) - MOST_NAMED} more columns are unknown")
    repeated = sorted(name for name, times in Counter(columns).items() if times > 1)
    faults += [
        f"{shown}: column {quoted(name) or '(without name)'} stands there twice" for name in repeated[:MOST_NAMED]
    ]
    return columns


def _refusal(
    contract: Contract, batch_date: date | None, batches: Iterable[date], faults: Sequence[str]
) -> DeliveryRefused:
    days = [day.isoformat() for day in sorted({batch_date} if batch_date else set(batches))]
    span = ", ".join(days) if len(days) < 4 else f"{days[0]} to {days[-1]}"
    remedy = f"Correct the files and land them again, or change contracts/{contract.source}.odcs.yaml."
    by_file = sorted(faults, key=lambda fault: fault.partition(": ")[0])
    return DeliveryRefused(f"{contract.source} {span}".rstrip(), by_file, remedy)


def _accept(
    lakehouse: Lakehouse,
    batches: dict[date, dict[str, DeliveredFile]],
    sources: dict[tuple[date, str], _Checked],
) -> list[Landed]:
    """Copy all files, then write the manifests. If either fails, undo everything."""
    ensure_conformance(lakehouse.settings, "landing")
    store = lakehouse.landing
    staged: dict[date, dict[str, DeliveredFile | None]] = {}
    copied: list[str] = []
    before: dict[date, Manifest] = {}
    try:
        for day in sorted(batches):
            current = read_manifest(lakehouse, day) or Manifest(lakehouse.contract.source, day, {})
            new = {t: f for t, f in batches[day].items() if current.input_fingerprint(t) != f.fingerprint}
            folder = _claim_revision(store, lakehouse.contract.source, day, new) if new else ""
            staged[day] = {}
            for table, file in new.items():
                key = f"{folder}/{file.name}"
                copied.append(key)
                _copy(store, key, sources[day, table])
                staged[day][table] = sources[day, table].delivered(file.columns, key)
        return [
            Landed(_update(store, lakehouse.contract.source, day, staged[day], before), tuple(staged[day]))
            for day in sorted(staged)
        ]
    except BaseException as error:
        if kept := _take_back(store, lakehouse.contract.source, staged, before):
            raise StoreError(
                f"{error}\n"
                f"Part of this delivery may stay accepted, as it cannot be taken back: batch {', '.join(kept)}.\n"
                "Land the same delivery again to complete it."
            ) from error
        # It does no harm if a copied file stays, since no manifest names it.
        with suppress(StoreError):
            for key in copied:
                store.delete(key)
        raise


def _take_back(
    store: Store,
    source: str,
    staged: dict[date, dict[str, DeliveredFile | None]],
    before: dict[date, Manifest],
) -> list[str]:
    """Give each table of these batches the file it had `before`, unless another landing has changed it meanwhile.

    Returns the batches that may still contain staged files, because their manifests could not be written.
    """
    kept = []
    for day, old in before.items():
        try:
            _restore(store, manifest_key(source, day), staged[day], old)
        except StoreError:
            kept.append(day.isoformat())
    return kept


def _restore(store: Store, key: str, staged: dict[str, DeliveredFile | None], before: Manifest) -> None:
    while (data := store.read(key)) is not None:
        current = Manifest.from_json(data)
        to_restore = {table for table, file in staged.items() if current.tables.get(table) == file}
        if not to_restore:
            return
        others = {table: file for table, file in current.tables.items() if table not in to_restore}
        restored = {table: file for table, file in before.tables.items() if table in to_restore}
        if store.swap(key, data, replace(current, tables={}).with_tables({**others, **restored}).to_json()):
            return


def _claim_revision(store: Store, source: str, day: date, files: dict[str, DeliveredFile]) -> str:
    """The next folder `r<n>` of a batch, for this landing alone: only one landing can write its delivery.txt."""
    batch = f"{source}/{day.isoformat()}"
    taken = [int(name[1:]) for name in store.folders(batch) if name[1:].isdigit()]
    number = max(taken, default=0) + 1
    content = "".join(f"{file.sha256}  {file.name}\n" for file in files.values()).encode()
    while not store.write_new(f"{batch}/r{number}/delivery.txt", content):
        number += 1
    return f"{batch}/r{number}"


def _copy(store: Store, key: str, checked: _Checked) -> None:
    fault = "was changed while it was being landed"
    try:
        with checked.file.open_as_delivered() as stream:
            store.copy_in(key, stream)
        if checked.file.stamp == checked.stamp:
            return
    except Unreadable as error:
        fault += f" ({error})"
    raise DeliveryRefused(
        checked.table.source,
        [f"{checked.file.shown}: {fault}"],
        "Land it again when its sender has finished writing.",
    )


def _update(
    store: Store,
    source: str,
    day: date,
    changed: dict[str, DeliveredFile | None],
    before: dict[date, Manifest] | None = None,
) -> Manifest:
    """Change a batch's manifest in one step. Tables that another landing writes at the same time stay.

    `before` gets the old manifest ahead of the change, since the store may have made a write that it reports as failed.
    """
    key = manifest_key(source, day)
    while True:
        old = store.read(key)
        manifest = Manifest.from_json(old) if old is not None else Manifest(source, day, {})
        if not changed:
            return manifest
        if before is not None and any(manifest.tables.get(table) != file for table, file in changed.items()):
            before[day] = manifest
        manifest = manifest.with_tables(changed)
        if store.swap(key, old, manifest.to_json()):
            return manifest
