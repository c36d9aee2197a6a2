"""Paths from the user -> the CSV files under them, one entry per file, with batch date. No file is read yet, but the
directories of zips.

Folders are searched recursively. Zip archives are opened. Only .csv, .csv.gz and .zip count. Hidden files (the name
starts with a dot) are left out. Anything else that cannot be read, or is beyond the bounds of a delivery, is a fault.
Links are followed; in a drop folder, where others may write, only to places within the folder.
dates.py says which date a file has.
"""

from __future__ import annotations

import gzip
import os
import re
import stat
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, cast

from lakehouse.landing import dates
from lakehouse.landing.checksums import LARGEST_LIST, Sums, SumsFile, is_list
from lakehouse.landing.foreign import is_wrapped
from lakehouse.text import quoted

if TYPE_CHECKING:
    from lakehouse.settings import Settings

NOT_CSV = "neither .csv nor .csv.gz nor .zip"
HIDDEN = "hidden"
NESTED = "a zip in a zip: take it out first"

# A tree of deliveries that is deeper or larger is a mistake, such as a link to the root of the disk.
DEEPEST_FOLDER = 32
MOST_ENTRIES = 200_000
# A smaller file may have any ratio: a few repeated lines compress a thousandfold.
ANY_RATIO_BELOW = 100_000_000
CONTROL_CHARACTER = "its name has a control character, such as a newline: rename it"
OUTSIDE = "is a link to a place outside the drop folder"


class Unreadable(Exception):
    """A file is gone, inaccessible or damaged; the text says which."""


@dataclass(frozen=True)
class Bounds:
    """Limits of what is read from a delivery.

    `within`: the folder that no link may leave; None: links may lead anywhere, since a user chose the paths.
    `largest_file`: most bytes of a CSV, or of all CSVs in an archive, unpacked.
    `largest_ratio`: most unpacked bytes per packed byte.
    """

    within: Path | None = None
    largest_file: int = 20_000_000_000
    largest_ratio: int = 200

    @classmethod
    def of(cls, settings: Settings, within: Path | None = None) -> Bounds:
        """The bounds of the settings."""
        return cls(within, int(settings.largest_file_gb * 1e9), settings.largest_ratio)

    def unpacked(self, packed: int) -> int:
        """To how many bytes at most this many may unpack."""
        return min(self.largest_file, max(ANY_RATIO_BELOW, self.largest_ratio * packed))


@dataclass(frozen=True)
class FoundFile:
    """A CSV file, plain or gzipped, possibly in a zip. `stem` is the file's name without date and extensions.

    `size`: bytes as delivered; those of a member of a zip are unpacked.
    """

    path: Path
    member: str | None
    name: str
    stem: str
    batch_date: date | None
    size: int = 0
    bounds: Bounds = Bounds()

    @property
    def shown(self) -> str:
        """The file's name in messages."""
        return _shown(self.path, self.member)

    @property
    def is_gzip(self) -> bool:
        """Whether the bytes as delivered are compressed."""
        return self.name.lower().endswith(".gz")

    @property
    def stamp(self) -> tuple[int, int]:
        """A value that changes when the file is written. Raises Unreadable if it is gone."""
        with reading():
            status = self.path.stat()
        return status.st_mtime_ns, status.st_size

    @contextmanager
    def open_as_delivered(self) -> Iterator[BinaryIO]:
        """The bytes to keep in landing. Opening and reading them raise only Unreadable."""
        with ExitStack() as stack:
            with reading():
                stream = stack.enter_context(_open(self.path, self.bounds))
                if self.member is not None:
                    archive = stack.enter_context(zipfile.ZipFile(stream))
                    stream = cast(BinaryIO, stack.enter_context(archive.open(self.member)))
            yield cast(BinaryIO, _Reader(stream, self.bounds.largest_file))

    @contextmanager
    def open_csv(self) -> Iterator[BinaryIO]:
        """The bytes of the CSV. Raises the same as `open_as_delivered`."""
        with self.open_as_delivered() as stream:
            if not self.is_gzip:
                yield stream
                return
            with gzip.GzipFile(fileobj=stream) as plain:
                yield cast(BinaryIO, _Reader(cast(BinaryIO, plain), self.bounds.unpacked(self.size)))


@dataclass
class Delivery:
    """What was found under the paths of one delivery. `ignored`: why -> names. `faults` are sentences.

    `sums`: the lists of checksums beside the files. `elsewhere`: (path, member) of the files of other deliveries there.

    `tables`: the file names that the contract accepts, in lower case. `above`: the names of the folders above the path
    that is being searched, nearest first. `dated_above`: those that date files, with their dates. `entries`: how many
    files, folders and members of archives there are. `changed_at`: when one of them last changed.
    """

    batch_date: date | None = None
    bounds: Bounds = Bounds()
    entries: int = 0
    changed_at: float = 0.0
    files: list[FoundFile] = field(default_factory=list)
    ignored: dict[str, list[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    sums: list[SumsFile] = field(default_factory=list)
    elsewhere: frozenset[tuple[Path, str | None]] = frozenset()
    tables: frozenset[str] = frozenset()
    above: tuple[str, ...] = ()
    dated_above: dict[str, date] = field(default_factory=dict)

    def ignore(self, why: str, name: str) -> None:
        """Leave a file out, and note its name and why."""
        self.ignored.setdefault(why, []).append(name)


@contextmanager
def reading() -> Iterator[None]:
    """Turn every error of opening or reading a file into Unreadable."""
    try:
        yield
    except Unreadable:
        raise
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from error
    # A damaged zip makes zipfile raise a dozen types of error, few of them documented.
    except Exception as error:
        raise Unreadable(str(error) or type(error).__name__) from error


def find_files(
    paths: Sequence[Path],
    batch_date: date | None = None,
    *,
    may_be_empty: bool = False,
    bounds: Bounds = Bounds(),
    tables: frozenset[str] = frozenset(),
) -> Delivery:
    """All CSV files under the paths, sorted by path. `batch_date` takes precedence over every date in a name.

    These are faults: absent or unreadable paths, folders and archives, what is beyond the bounds, contradictory dates,
    and unless `may_be_empty` a delivery without files.
    """
    found = Delivery(batch_date, bounds, tables=tables)
    seen: set[Path] = set()
    for given in paths:
        path = Path(os.path.abspath(given))  # noqa: PTH100 - resolve() would replace a link's dated name by its target's
        status = _status(found, path, str(given))
        if status is None:
            continue
        is_folder = stat.S_ISDIR(status.st_mode)
        parents = path.parents if is_folder else path.parent.parents
        found.above = () if bounds.within else tuple(parent.name for parent in parents)
        if is_folder:
            _add_folder(found, path, (path.name,), {_identity(status)}, seen)
        elif path not in seen:
            seen.add(path)
            _add(found, path, status, (path.parent.name,), is_given=True)
    if not found.files and not found.faults and not may_be_empty:
        places = ", ".join(map(str, paths)) or "no path given"
        what = "nothing but a zip in a zip: take it out" if NESTED in found.ignored else "no .csv, .csv.gz or .zip file"
        found.faults.append(f"{places}: holds {what}")
    return found


def read_sums(listed: SumsFile, bounds: Bounds) -> Sums:
    """What a list of checksums says. Raises Unreadable, and ValueError if it is no such list."""
    with reading(), _open(listed.path, bounds) as stream:
        if listed.member is None:
            content = stream.read(LARGEST_LIST + 1)
        else:
            with zipfile.ZipFile(stream) as archive, archive.open(listed.member) as member:
                content = member.read(LARGEST_LIST + 1)
    return listed.sums(content)


def _add_folder(
    found: Delivery, folder: Path, names: Sequence[str], around: Set[tuple[int, int]], seen: set[Path]
) -> None:
    """Add all files below a folder. `names`: the folder's name and the names of the enclosing folders, nearest first.

    `around`: the identities of these folders. A link back to one of these folders is not followed: it would lead in
    circles indefinitely, and everything behind the link is found anyway.
    """
    if len(names) > DEEPEST_FOLDER:
        found.faults.append(f"{_shown(folder)}: is {DEEPEST_FOLDER} folders deep")
        return
    try:
        found.changed_at = max(found.changed_at, folder.lstat().st_ctime)
        with os.scandir(folder) as entries:
            inside = sorted(entry.name for entry in islice(entries, MOST_ENTRIES + 1))
    except OSError as error:
        found.faults.append(f"{_shown(folder)}: cannot be read ({error.strerror})")
        return
    for path in [folder / name for name in inside]:
        if path in seen:
            continue
        seen.add(path)
        if not _counts(found):
            return
        if _is_hidden([path.name]):
            found.ignore(HIDDEN, quoted(path.name))
        elif _has_control_character(path.name):
            found.faults.append(f"{_shown(path)}: {CONTROL_CHARACTER}")
        elif (status := _status(found, path, _shown(path))) is None:
            continue
        elif not stat.S_ISDIR(status.st_mode):
            _add(found, path, status, names, is_given=False)
        elif (identity := _identity(status)) not in around:
            _add_folder(found, path, (path.name, *names), {*around, identity}, seen)


def _status(found: Delivery, path: Path, shown: str) -> os.stat_result | None:
    """The status of a file, a folder or a link's target. None, and a fault is added, if it is inaccessible."""
    try:
        own = path.lstat()
        found.changed_at = max(found.changed_at, own.st_ctime)
        # Only a link leaves the folder; the triggerer looks at every entry every few seconds.
        if found.bounds.within is not None and stat.S_ISLNK(own.st_mode) and not _is_within(path, found.bounds.within):
            found.faults.append(f"{shown}: {OUTSIDE}")
            return None
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        link = path.is_symlink()
        found.faults.append(f"{shown}: {'is a link to nothing' if link else 'there is no such file or folder'}")
    except OSError as error:
        found.faults.append(f"{shown}: cannot be read ({error.strerror})")
    return None


def _counts(found: Delivery) -> bool:
    """Count an entry. False if there are too many; the first time, this is noted as a fault."""
    found.entries += 1
    if found.entries == MOST_ENTRIES + 1:
        found.faults.append(f"more than {MOST_ENTRIES:,} files and folders: the rest was not looked at")
    return found.entries <= MOST_ENTRIES


def _is_within(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _open(path: Path, bounds: Bounds) -> BinaryIO:
    """Open an ordinary file. A sender may have put something else in its place since it was found.

    Raises Unreadable for a pipe or a device, without waiting for it, for a file that a link leads to from outside the
    bounds, and for a file with holes, whose bytes have not been written yet.
    """
    stream = open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb")  # noqa: SIM115, PTH123
    try:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("is no ordinary file")
        if bounds.within is not None:
            really = Path(os.path.realpath(path))
            if not _is_within(really, bounds.within) or _identity(really.lstat()) != _identity(status):
                raise Unreadable(OUTSIDE)
        if hasattr(os, "SEEK_HOLE") and status.st_size:
            if os.lseek(stream.fileno(), 0, os.SEEK_HOLE) < status.st_size:
                raise Unreadable("has holes: it was not written completely")
            os.lseek(stream.fileno(), 0, os.SEEK_SET)
        return stream
    except BaseException:
        stream.close()
        raise


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _shown(path: Path, member: str | None = None) -> str:
    return quoted(f"{path.name}:{member}" if member else f"{path.parent.name}/{path.name}")


def _has_control_character(name: str) -> bool:
    return any(unicodedata.category(each) == "Cc" for each in name)


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:,.1f} GB"


def _add(found: Delivery, path: Path, status: os.stat_result, folders: Sequence[str], is_given: bool) -> None:
    """Add one file on the disk. `folders`: the names of the enclosing folders, nearest first."""
    is_zip = path.name.lower().endswith(".zip")
    if is_list(path.name):
        found.sums.append(SumsFile(_shown(path), path, None))
    elif not is_zip and _stem(path.name) is None:
        if what := is_wrapped(path.name, found.tables, is_dropped=found.bounds.within is not None):
            found.faults.append(f"{_shown(path)}: {what}")
        elif is_given:
            found.faults.append(f"{quoted(path.name)}: is {NOT_CSV}")
        else:
            found.ignore(NOT_CSV, quoted(path.name))
    elif not stat.S_ISREG(status.st_mode):
        found.faults.append(f"{_shown(path)}: is no ordinary file")
    elif status.st_size > found.bounds.largest_file:
        found.faults.append(f"{_shown(path)}: has {_gigabytes(status.st_size)}, {_limit(found.bounds.largest_file)}")
    elif is_zip:
        _add_members(found, path, status.st_size, folders)
    else:
        _add_csv(found, path, None, path.name, status.st_size, folders)


def _limit(most: int) -> str:
    return f"and {_gigabytes(most)} is the limit (LAKEHOUSE_LARGEST_FILE_GB, LAKEHOUSE_LARGEST_RATIO)"


def _add_members(found: Delivery, path: Path, packed: int, folders: Sequence[str]) -> None:
    try:
        with reading(), _open(path, found.bounds) as stream, zipfile.ZipFile(stream) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
    except Unreadable as error:
        found.faults.append(f"{path.name}: is no zip archive, or is damaged ({error})")
        return
    # zipfile unpacks no member beyond the size that the archive states.
    if sum(sizes.values()) > (most := found.bounds.unpacked(packed)):
        unpacked = _gigabytes(sum(sizes.values()))
        found.faults.append(f"{path.name}: unpacks to {unpacked}, {_limit(most)}")
        return
    for member in sorted(sizes):
        if not _counts(found):
            return
        # Some Windows archivers write backslashes.
        name = member.replace("\\", "/")
        if name.endswith("/"):
            continue
        parts = PurePosixPath(name).parts
        shown = _shown(path, member)
        if ".." in parts[:-1]:
            found.faults.append(f"{shown}: its name leads out of the archive; pack it again")
        elif _is_hidden(parts):
            found.ignore(HIDDEN, shown)
        elif _has_control_character(member):
            found.faults.append(f"{shown}: {CONTROL_CHARACTER}")
        elif name.lower().endswith(".zip"):
            found.ignore(NESTED, shown)
        elif parts and is_list(parts[-1]):
            found.sums.append(SumsFile(shown, path, member))
        elif not parts or _stem(parts[-1]) is None:
            if parts and (what := is_wrapped(parts[-1], found.tables, is_dropped=False)):
                found.faults.append(f"{shown}: {what}")
            else:
                found.ignore(NOT_CSV, shown)
        else:
            _add_csv(found, path, member, parts[-1], sizes[member], [*parts[-2::-1], path.stem, *folders])


def _add_csv(found: Delivery, path: Path, member: str | None, name: str, size: int, around: Sequence[str]) -> None:
    stem = _stem(name) or ""
    batch_date = found.batch_date
    try:
        if batch_date is None and (dated := dates.date_of(stem, around, found.above)):
            batch_date = dated.day
            if dated.above is not None:
                found.dated_above[dated.above] = batch_date
    except ValueError as error:
        found.faults.append(f"{_shown(path, member)}: {error}")
        return
    found.files.append(FoundFile(path, member, name, dates.without_date(stem), batch_date, size, found.bounds))


def _stem(name: str) -> str | None:
    """The name without .csv or .csv.gz; None if it is neither."""
    match = re.fullmatch(r"(.*)\.csv(\.gz)?", name, re.IGNORECASE | re.DOTALL)
    return match[1] if match else None


def _is_hidden(parts: Iterable[str]) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in parts)


class _Reader:
    """A stream for reading that turns every error of the layers below into Unreadable, and so does a byte too many."""

    def __init__(self, stream: BinaryIO, most: int) -> None:
        self._stream = stream
        self._most = self._left = most

    def read(self, size: int = -1) -> bytes:
        with reading():
            found = self._stream.read(size)
        self._left -= len(found)
        if self._left < 0:
            raise Unreadable(f"unpacks to more, {_limit(self._most)}")
        return found
