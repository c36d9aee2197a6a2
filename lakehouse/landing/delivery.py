"""Paths from the user -> the CSV files under them, one entry per file, with batch date. No CSV file is read yet.

Folders are searched recursively, and links are followed. Zip archives are opened. Only .csv, .csv.gz and .zip count.
Hidden files (the name starts with a dot) are left out. Anything else that cannot be read is a fault.
A file's date is at the end of its stem. Otherwise it is in the name of the nearest enclosing folder or archive with a
date.
"""

from __future__ import annotations

import gzip
import os
import re
import stat
import zipfile
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

NOT_CSV = "neither .csv nor .csv.gz nor .zip"
HIDDEN = "hidden"
NESTED = "a zip in a zip: take it out first"

_DATE = re.compile(r"(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)")
_DATE_AT_END = re.compile(r"(?P<stem>.*?)[ _.-]*(?<!\d)(?P<date>\d{4}-\d{2}-\d{2})")


class Unreadable(Exception):
    """A file is gone, inaccessible or damaged; the text says which."""


@dataclass(frozen=True)
class FoundFile:
    """A CSV file, plain or gzipped, possibly in a zip. `stem` is the file's name without date and extensions."""

    path: Path
    member: str | None
    name: str
    stem: str
    batch_date: date | None

    @property
    def shown(self) -> str:
        """The file's name in messages."""
        return f"{self.path.name}:{self.member}" if self.member else f"{self.path.parent.name}/{self.name}"

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
                if self.member is None:
                    stream: BinaryIO = stack.enter_context(self.path.open("rb"))
                else:
                    archive = stack.enter_context(zipfile.ZipFile(self.path))
                    stream = cast(BinaryIO, stack.enter_context(archive.open(self.member)))
            yield cast(BinaryIO, _Reader(stream))

    @contextmanager
    def open_csv(self) -> Iterator[BinaryIO]:
        """The bytes of the CSV. Raises the same as `open_as_delivered`."""
        with self.open_as_delivered() as stream:
            if not self.is_gzip:
                yield stream
                return
            with gzip.GzipFile(fileobj=stream) as plain:
                yield cast(BinaryIO, _Reader(cast(BinaryIO, plain)))


@dataclass
class Delivery:
    """What was found under the paths of one delivery. `ignored`: why -> names. `faults` are sentences."""

    batch_date: date | None = None
    files: list[FoundFile] = field(default_factory=list)
    ignored: dict[str, list[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

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


def find_files(paths: Sequence[Path], batch_date: date | None = None, *, may_be_empty: bool = False) -> Delivery:
    """All CSV files under the paths, sorted by path. `batch_date` takes precedence over every date in a name.

    These are faults: absent or unreadable paths, folders and archives, contradictory dates, and unless `may_be_empty`
    a delivery without files.
    """
    found = Delivery(batch_date)
    seen: set[Path] = set()
    for given in paths:
        path = Path(os.path.abspath(given))  # noqa: PTH100 - resolve() would replace a link's dated name by its target's
        status = _status(found, path, str(given))
        if status is None:
            continue
        if stat.S_ISDIR(status.st_mode):
            _add_folder(found, path, (path.name,), {_identity(status)}, seen)
        elif path not in seen:
            seen.add(path)
            _add(found, path, status, (path.parent.name,), is_given=True)
    if not found.files and not found.faults and not may_be_empty:
        places = ", ".join(map(str, paths)) or "no path given"
        what = "nothing but a zip in a zip: take it out" if NESTED in found.ignored else "no .csv, .csv.gz or .zip file"
        found.faults.append(f"{places}: holds {what}")
    return found


def _add_folder(
    found: Delivery, folder: Path, names: Sequence[str], around: Set[tuple[int, int]], seen: set[Path]
) -> None:
    """Add all files below a folder. `names`: the folder's name and the names of the enclosing folders, nearest first.

    `around`: the identities of these folders. A link back to one of these folders is not followed: it would lead in
    circles indefinitely, and everything behind the link is found anyway.
    """
    try:
        with os.scandir(folder) as entries:
            inside = sorted(entry.name for entry in entries)
    except OSError as error:
        found.faults.append(f"{_shown(folder)}: cannot be read ({error.strerror})")
        return
    for path in [folder / name for name in inside]:
        if path in seen:
            continue
        seen.add(path)
        if _is_hidden([path.name]):
            found.ignore(HIDDEN, path.name)
        elif (status := _status(found, path, _shown(path))) is None:
            continue
        elif not stat.S_ISDIR(status.st_mode):
            _add(found, path, status, names, is_given=False)
        elif (identity := _identity(status)) not in around:
            _add_folder(found, path, (path.name, *names), {*around, identity}, seen)


def _status(found: Delivery, path: Path, shown: str) -> os.stat_result | None:
    """The status of a file, a folder or a link's target. None, and a fault is added, if it is inaccessible."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        link = path.is_symlink()
        found.faults.append(f"{shown}: {'is a link to nothing' if link else 'there is no such file or folder'}")
    except OSError as error:
        found.faults.append(f"{shown}: cannot be read ({error.strerror})")
    return None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _add(found: Delivery, path: Path, status: os.stat_result, folders: Sequence[str], is_given: bool) -> None:
    """Add one file on the disk. `folders`: the names of the enclosing folders, nearest first."""
    is_zip = path.name.lower().endswith(".zip")
    if not is_zip and _stem(path.name) is None:
        if is_given:
            found.faults.append(f"{path.name}: is {NOT_CSV}")
        else:
            found.ignore(NOT_CSV, path.name)
    elif not stat.S_ISREG(status.st_mode):
        found.faults.append(f"{_shown(path)}: is no ordinary file")
    elif is_zip:
        _add_members(found, path, folders)
    else:
        _add_csv(found, path, None, path.name, folders)


def _add_members(found: Delivery, path: Path, folders: Sequence[str]) -> None:
    try:
        with reading(), zipfile.ZipFile(path) as archive:
            members = sorted(info.filename for info in archive.infolist())
    except Unreadable as error:
        found.faults.append(f"{path.name}: is no zip archive, or is damaged ({error})")
        return
    for member in members:
        # Some Windows archivers write backslashes.
        name = member.replace("\\", "/")
        if name.endswith("/"):
            continue
        parts = PurePosixPath(name).parts
        if _is_hidden(parts):
            found.ignore(HIDDEN, f"{path.name}:{member}")
        elif name.lower().endswith(".zip"):
            found.ignore(NESTED, f"{path.name}:{member}")
        elif not parts or _stem(parts[-1]) is None:
            found.ignore(NOT_CSV, f"{path.name}:{member}")
        else:
            _add_csv(found, path, member, parts[-1], [*parts[-2::-1], path.stem, *folders])


def _add_csv(found: Delivery, path: Path, member: str | None, name: str, around: Sequence[str]) -> None:
    stem = _stem(name) or ""
    if at_end := _DATE_AT_END.fullmatch(stem):
        dated, stem = stem, at_end["stem"]
    else:
        dated = next((folder for folder in around if _DATE.search(folder)), "")
    try:
        batch_date = found.batch_date or _only_date(dated)
    except ValueError as error:
        found.faults.append(f"{name}: {error}")
        return
    found.files.append(FoundFile(path, member, name, stem, batch_date))


def _stem(name: str) -> str | None:
    """The name without .csv or .csv.gz; None if it is neither."""
    match = re.fullmatch(r"(.*)\.csv(\.gz)?", name, re.IGNORECASE | re.DOTALL)
    return match[1] if match else None


def _only_date(name: str) -> date | None:
    texts = sorted(set(_DATE.findall(name)))
    if len(texts) > 1:
        raise ValueError(f"{name} holds two dates, {' and '.join(texts)}: which is the batch's? (or give --batch-date)")
    if not texts:
        return None
    try:
        return date.fromisoformat(texts[0])
    except ValueError:
        raise ValueError(f"{name} holds {texts[0]}, which is no day of the calendar") from None


def _is_hidden(parts: Iterable[str]) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in parts)


class _Reader:
    """A stream for reading that turns every error of the layers below into Unreadable."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        with reading():
            return self._stream.read(size)
