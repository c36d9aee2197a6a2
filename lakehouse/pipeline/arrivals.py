"""Landing and the drop folder -> the batches that lie there, and of them those that no run has begun with.

Nothing is remembered but in ops.taken_up: whoever looks later, or again, finds the same news. So nothing that came
while nobody looked is lost.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Literal

from psycopg2.extras import execute_values

from lakehouse import warehouse
from lakehouse.errors import Busy
from lakehouse.lake.store import open_store
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing.delivery import find_files
from lakehouse.landing.manifest import MANIFEST, is_date, read_manifest
from lakehouse.pipeline.pending import pending_steps
from lakehouse.settings import Settings

# A dropped file that nobody wrote to for so long is complete. If it was not, it is news again.
AT_REST_SECONDS = 5.0

# Who has taken up a batch: a run of the orchestrator, by its id, or one of these.
BY_HAND = "lakehouse run"  # also the lock that such a run holds
LOADED = "loaded by somebody else"
LANDED = "landed from the drop folder"


@dataclass(frozen=True)
class Arrival:
    """A batch that lies somewhere. `content` is another as soon as what lies there is another."""

    place: Literal["landing", "drop"]
    batch_date: date
    content: str

    @property
    def name(self) -> str:
        """For who watches."""
        return f"{self.place}__{self.batch_date}__{self.content[:16]}"


@dataclass(frozen=True)
class TakenUp:
    """What was taken up last of a batch in a place, by whom last, and when first."""

    arrival: Arrival
    who: str
    at: datetime


@dataclass(frozen=True)
class News:
    """A batch that no run has begun with. `since`: when one began with what lay there before; None: never."""

    arrival: Arrival
    since: datetime | None

    @property
    def run_id(self) -> str:
        """Of the run that is to take it up: the same until one has, another when the same content comes back later."""
        before = f"{self.since or ''}|{self.arrival.content}"
        return f"{self.arrival.place}__{self.arrival.batch_date}__{hashlib.sha256(before.encode()).hexdigest()[:16]}"


def there(settings: Settings) -> list[Arrival]:
    """Every batch in landing and in the drop folder. Only lists, reads no file."""
    return [*landed(settings), *dropped(settings)]


def landed(settings: Settings, day: date | None = None) -> list[Arrival]:
    """The batches in landing, or that of one day. Raises StoreError when they cannot be listed."""
    folder = f"{settings.source}/{day}" if day else settings.source
    found: list[Arrival] = []
    for key, version in open_store(settings, "landing").versions(folder).items():
        name, _, file = key.removeprefix(f"{settings.source}/").partition("/")
        if file == MANIFEST and is_date(name):
            found.append(Arrival("landing", date.fromisoformat(name), version))
    return found


def dropped(settings: Settings, day: date | None = None) -> list[Arrival]:
    """The batches in the drop folder that are complete, or that of one day if it is."""
    if settings.drop_dir is None:
        return []
    files: dict[date, set[Path]] = defaultdict(set)
    names: dict[date, list[str]] = defaultdict(list)
    for file in find_files([settings.drop_dir], may_be_empty=True).files:
        if file.batch_date is not None and day in (None, file.batch_date):
            files[file.batch_date].add(file.path)
            names[file.batch_date].append(f"{file.path.relative_to(settings.drop_dir.absolute())}:{file.member}")
    found: list[Arrival] = []
    for batch_date, paths in files.items():
        try:
            states = [path.stat() for path in sorted(paths)]
        except FileNotFoundError:
            continue  # somebody is clearing up
        # ctime: a copy may carry the times of its original.
        if time.time() - max(state.st_ctime for state in states) > AT_REST_SECONDS:
            content = [*names[batch_date], *(f"{state.st_size} {state.st_mtime_ns}" for state in states)]
            found.append(Arrival("drop", batch_date, hashlib.sha256("\n".join(content).encode()).hexdigest()))
    return found


def unreadable(settings: Settings) -> list[str]:
    """What in the drop folder cannot be looked into, in sentences; none while somebody still writes there."""
    if settings.drop_dir is None or not (faults := find_files([settings.drop_dir], may_be_empty=True).faults):
        return []
    newest = 0.0
    for path in [settings.drop_dir, *settings.drop_dir.rglob("*")]:
        with suppress(OSError):  # somebody is clearing up, or it is one of the faults
            newest = max(newest, path.lstat().st_ctime)
    return faults if time.time() - newest > AT_REST_SECONDS else []


def news(lakehouse: Lakehouse) -> list[News]:
    """What is there and no run has begun with. What somebody has loaded already, as it is, is none; that is noted."""
    taken_up = _taken_up(lakehouse)
    begun = {last.arrival for last in taken_up.values() if last.who != BY_HAND}
    # Somebody may have begun by hand, and not be at it any more: killed, perhaps.
    begun_by_hand = {last.arrival for last in taken_up.values() if last.who == BY_HAND}
    if begun_by_hand and _somebody_is_at_it(lakehouse.settings):
        begun |= begun_by_hand
    found = [arrival for arrival in there(lakehouse.settings) if arrival not in begun]
    in_landing = [arrival for arrival in found if arrival.place == "landing"]
    manifests = [manifest for arrival in in_landing if (manifest := read_manifest(lakehouse, arrival.batch_date))]
    due = {unit.batch_date for unit in pending_steps(lakehouse, manifests)}
    done = [arrival for arrival in in_landing if arrival.batch_date not in due]
    take_up(lakehouse, done, LOADED)
    since = {batch: last.at for batch, last in taken_up.items()}
    return [News(each, since.get((each.place, each.batch_date))) for each in found if each not in done]


def to_land(lakehouse: Lakehouse, day: date) -> list[Arrival]:
    """What the drop folder holds for a day, unless it was landed as it is, or the day was landed otherwise since.

    It may lie there for years: it must neither undo a correction, nor stop one by being refused again.
    """
    taken_up = _taken_up(lakehouse)
    last, landing = taken_up.get(("drop", day)), taken_up.get(("landing", day))
    found = dropped(lakehouse.settings, day)
    if last is None or last.arrival not in found:
        return found
    is_landed_since = any(
        landing is None or landing.arrival != there or landing.at > last.at for there in landed(lakehouse.settings, day)
    )
    return [] if last.who == LANDED or is_landed_since else found


@contextmanager
def by_hand(lakehouse: Lakehouse) -> Iterator[None]:
    """Inside, somebody takes through everything that is landed. What they leave undone is news again."""
    with lakehouse.lock(BY_HAND, shared=True):
        take_up(lakehouse, landed(lakehouse.settings), BY_HAND)
        yield


def take_up(lakehouse: Lakehouse, arrivals: list[Arrival], who: str) -> None:
    """A run begins with these, or has done with them: they are no news any more."""
    rows = [
        (lakehouse.contract.source, arrival.place, arrival.batch_date, arrival.content, who) for arrival in arrivals
    ]
    with lakehouse.cursor() as cursor:
        execute_values(
            cursor,
            "insert into ops.taken_up (source, place, batch_date, content, run_id) values %s "
            "on conflict (source, place, batch_date) do update "
            "set content = excluded.content, run_id = excluded.run_id, "
            "taken_up_at = case when taken_up.content = excluded.content then taken_up.taken_up_at else now() end",
            rows,
        )


def _somebody_is_at_it(settings: Settings) -> bool:
    try:
        with warehouse.lock(settings, BY_HAND, wait_seconds=0):
            return False
    except Busy:
        return True


def _taken_up(lakehouse: Lakehouse) -> dict[tuple[str, date], TakenUp]:
    """By place and day."""
    with lakehouse.cursor() as cursor:
        cursor.execute(
            "select place, batch_date, content, run_id, taken_up_at from ops.taken_up where source = %s",
            (lakehouse.contract.source,),
        )
        return {(row[0], row[1]): TakenUp(Arrival(*row[:3]), *row[3:]) for row in cursor.fetchall()}
