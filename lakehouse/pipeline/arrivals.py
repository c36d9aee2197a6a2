"""Landing and the drop folder -> the batches that are present, and which of these are new (claimed by no run).

The only state is ops.claims and the orchestrator's own runs, so a later or repeated check finds the same new batches,
and a batch that arrives between two checks is not lost.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Literal

from psycopg2.extras import execute_values

from lakehouse.errors import Busy
from lakehouse.lake.store import open_store
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing.delivery import Bounds, Delivery, find_files
from lakehouse.landing.manifest import MANIFEST, is_date, read_manifest
from lakehouse.pipeline.pending import pending_steps
from lakehouse.settings import Settings

# A dropped file counts as complete when it has not been written to for this long. If the file changes later, its batch
# is new again.
AT_REST_SECONDS = 5.0
LARGEST_CLOCK_ERROR_SECONDS = 60.0

# A batch is claimed by a run of the orchestrator (its id) or for one of these reasons.
COMMAND = "lakehouse run"  # also the name of the lock that this command holds
LOADED = "loaded without a run of the orchestrator"
LANDED = "landed from the drop folder"


@dataclass(frozen=True)
class Arrival:
    """A batch in landing or in the drop folder. `content` changes whenever its files change."""

    place: Literal["landing", "drop"]
    batch_date: date
    content: str

    @property
    def name(self) -> str:
        """A name, unique per place, day and content."""
        return f"{self.place}__{self.batch_date}__{self.content[:16]}"


@dataclass(frozen=True)
class Claim:
    """The last claimed content of a batch in a place. `claimed_by`: its last claim; `at`: when the first was made."""

    arrival: Arrival
    claimed_by: str
    at: datetime


@dataclass(frozen=True)
class NewBatch:
    """A batch that no run has claimed. `since`: when its previous content was claimed; None if it had none."""

    arrival: Arrival
    since: datetime | None

    @property
    def run_id(self) -> str:
        """The id of the run that will claim the batch: stable until then, but new if the content returns later."""
        before = f"{self.since or ''}|{self.arrival.content}"
        return f"{self.arrival.place}__{self.arrival.batch_date}__{hashlib.sha256(before.encode()).hexdigest()[:16]}"


def present(settings: Settings) -> list[Arrival]:
    """Every batch in landing and in the drop folder. Files are listed, but not read."""
    return [*landed(settings), *dropped(settings)]


def landed(settings: Settings, day: date | None = None) -> list[Arrival]:
    """The batches in landing, or only the batch of one day. Raises StoreError when landing cannot be listed."""
    folder = f"{settings.source}/{day}" if day else settings.source
    found: list[Arrival] = []
    for key, version in open_store(settings, "landing").versions(folder).items():
        name, _, file = key.removeprefix(f"{settings.source}/").partition("/")
        if file == MANIFEST and is_date(name):
            found.append(Arrival("landing", date.fromisoformat(name), version))
    return found


def dropped(settings: Settings, day: date | None = None) -> list[Arrival]:
    """The complete batches in the drop folder, or only the batch of one day."""
    if settings.drop_dir is None:
        return []
    files: dict[date, set[Path]] = defaultdict(set)
    names: dict[date, list[str]] = defaultdict(list)
    for file in _in_drop_folder(settings, settings.drop_dir).files:
        if file.batch_date is not None and day in (None, file.batch_date):
            files[file.batch_date].add(file.path)
            names[file.batch_date].append(f"{file.path.relative_to(settings.drop_dir.absolute())}:{file.member}")
    found: list[Arrival] = []
    for batch_date, paths in files.items():
        try:
            states = [path.stat() for path in sorted(paths)]
        except FileNotFoundError:
            continue  # deleted in the meantime
        # ctime: a copy may carry the times of its original.
        if _is_at_rest(max(state.st_ctime for state in states)):
            content = [*names[batch_date], *(f"{state.st_size} {state.st_mtime_ns}" for state in states)]
            # A name on a disk may be no UTF-8.
            data = "\n".join(content).encode("utf-8", "surrogateescape")
            found.append(Arrival("drop", batch_date, hashlib.sha256(data).hexdigest()))
    return found


def unreadable(settings: Settings) -> list[str]:
    """One sentence per thing in the drop folder that cannot be read; none while files there are still being written."""
    if settings.drop_dir is None:
        return []
    found = _in_drop_folder(settings, settings.drop_dir)
    return found.faults if _is_at_rest(found.changed_at) else []


def _is_at_rest(changed_at: float) -> bool:
    """Whether nothing was written for a while. A time far in the future, of a clock that was wrong, says nothing."""
    age = time.time() - changed_at
    return age > AT_REST_SECONDS or age < -LARGEST_CLOCK_ERROR_SECONDS


def _in_drop_folder(settings: Settings, folder: Path) -> Delivery:
    """What is there. Others may write there, so no link may lead out of it: this process can read more than they."""
    return find_files([folder], may_be_empty=True, bounds=Bounds.of(settings, within=folder))


def new_batches(lakehouse: Lakehouse, active: Callable[[list[str]], set[str]] = lambda _: set()) -> list[NewBatch]:
    """Batches that no run has claimed. A batch that is already loaded unchanged is claimed here and not returned.

    `active` tells which of these runs were started and have not ended: they will claim their batches, so those are not
    returned either.
    """
    there = present(lakehouse.settings)
    if not (found := _unclaimed(lakehouse, there)):
        return []
    to_come = active([each.run_id for each in found])
    # A run may have claimed its batch and ended before `active` was asked.
    found = [each for each in _unclaimed(lakehouse, there) if each.run_id not in to_come]
    in_landing = [each.arrival for each in found if each.arrival.place == "landing"]
    manifests = [manifest for arrival in in_landing if (manifest := read_manifest(lakehouse, arrival.batch_date))]
    due = {unit.batch_date for unit in pending_steps(lakehouse, manifests)}
    done = [arrival for arrival in in_landing if arrival.batch_date not in due]
    claim(lakehouse, done, LOADED)
    return [each for each in found if each.arrival not in done]


def _unclaimed(lakehouse: Lakehouse, found: list[Arrival]) -> list[NewBatch]:
    """Those of the arrivals that no run has claimed by now."""
    claims = _claims(lakehouse)
    claimed = {last.arrival for last in claims.values() if last.claimed_by != COMMAND}
    # A command may have claimed batches and then died.
    claimed_by_commands = {last.arrival for last in claims.values() if last.claimed_by == COMMAND}
    if claimed_by_commands and _a_command_works(lakehouse):
        claimed |= claimed_by_commands
    since = {batch: last.at for batch, last in claims.items()}
    return [
        NewBatch(arrival, since.get((arrival.place, arrival.batch_date))) for arrival in found if arrival not in claimed
    ]


def not_yet_landed(lakehouse: Lakehouse, day: date) -> list[Arrival]:
    """The drop folder's content for a day; empty if this content is landed, or other content was landed since.

    A file may stay in the folder for years. It must not undo a later correction, nor block one by being refused again.
    """
    claims = _claims(lakehouse)
    last, landing = claims.get(("drop", day)), claims.get(("landing", day))
    found = dropped(lakehouse.settings, day)
    if last is None or last.arrival not in found:
        return found
    is_landed_since = any(
        landing is None or landing.arrival != arrival or landing.at > last.at
        for arrival in landed(lakehouse.settings, day)
    )
    return [] if last.claimed_by == LANDED or is_landed_since else found


@contextmanager
def claimed_by_command(lakehouse: Lakehouse) -> Iterator[None]:
    """Claim everything landed for a command. Batches that the command does not finish become new again."""
    with lakehouse.lock(COMMAND, shared=True):
        claim(lakehouse, landed(lakehouse.settings), COMMAND)
        yield


def claim(lakehouse: Lakehouse, arrivals: list[Arrival], claimed_by: str) -> None:
    """Claim these batches for a run, or for one of the reasons at the top of this file."""
    rows = [
        (lakehouse.contract.source, arrival.place, arrival.batch_date, arrival.content, claimed_by)
        for arrival in arrivals
    ]
    with lakehouse.cursor() as cursor:
        execute_values(
            cursor,
            "insert into ops.claims (source, place, batch_date, content, claimed_by) values %s "
            "on conflict (source, place, batch_date) do update "
            "set content = excluded.content, claimed_by = excluded.claimed_by, "
            "claimed_at = case when claims.content = excluded.content then claims.claimed_at else now() end "
            # A run with nothing new writes nothing.
            "where (claims.content, claims.claimed_by) is distinct from (excluded.content, excluded.claimed_by)",
            rows,
        )


def _a_command_works(lakehouse: Lakehouse) -> bool:
    try:
        with lakehouse.lock(COMMAND, wait_seconds=0):
            return False
    except Busy:
        return True


def _claims(lakehouse: Lakehouse) -> dict[tuple[str, date], Claim]:
    """The claims by place and day."""
    with lakehouse.cursor() as cursor:
        cursor.execute(
            "select place, batch_date, content, claimed_by, claimed_at from ops.claims where source = %s",
            (lakehouse.contract.source,),
        )
        return {(row[0], row[1]): Claim(Arrival(*row[:3]), *row[3:]) for row in cursor.fetchall()}
