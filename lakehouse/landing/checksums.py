"""Checksums that a sender delivers beside the files -> the faults of files that are not as they were sent.

    SHA256SUMS, sha256sums.txt, ...   a line per file, as `sha256sum` or `shasum --tag` print it
    <file>.sha256                     the sum of one file, alone or as `sha256sum` prints it

A sum is that of the bytes as delivered: of the .csv.gz, not of the CSV in it. This is the only way to see that a file
was cut between two records.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

# A list of sums is small: this is enough for ten thousand files.
LARGEST_LIST = 1_000_000
_LISTS = re.compile(r"sha256sums?(?:\.txt)?", re.IGNORECASE)
_OF_ONE = re.compile(r"(?P<file>.+)\.sha256(?:sum)?", re.IGNORECASE)
_LINE = re.compile(r"\\?(?P<sum>[0-9a-f]{64})(?:[ \t]+\*?(?P<name>.+))?", re.IGNORECASE)
_TAGGED = re.compile(r"SHA256 ?\((?P<name>.+)\) ?= ?(?P<sum>[0-9a-f]{64})", re.IGNORECASE)


@dataclass(frozen=True)
class SumsFile:
    """A list that was found, but not read yet. `member`: its name in the zip `path`; None: `path` is the list."""

    shown: str
    path: Path
    member: str | None

    @property
    def place(self) -> Path:
        """The folder or the zip that holds the list."""
        return self.path if self.member else self.path.parent

    def sums(self, content: bytes) -> Sums:
        """What it says. Raises ValueError if the content is not a list of SHA-256 sums."""
        inside = PurePosixPath(self.member.replace("\\", "/")) if self.member else None
        expected = read_list(inside.name if inside else self.path.name, content)
        return Sums(self.shown, self.place, inside.parent if inside else None, expected)


@dataclass(frozen=True)
class Sums:
    """The sums of one list. `place`: the folder or the zip that holds the list; `within`: the list's folder in the zip.

    `expected`: names relative to the list, with their sums in lower case.
    """

    shown: str
    place: Path
    within: PurePosixPath | None
    expected: dict[str, str]

    def file_of(self, name: str) -> tuple[Path, str | None]:
        """Path and member of a listed file."""
        if self.within is None:
            return self.place / name, None
        return self.place, str(self.within / name)


def is_list(name: str) -> bool:
    """Whether a file with this name is a list of checksums."""
    return bool(_LISTS.fullmatch(name) or _OF_ONE.fullmatch(name))


def read_list(name: str, content: bytes) -> dict[str, str]:
    """The sums by name. Raises ValueError if the content is not a list of SHA-256 sums."""
    if len(content) > LARGEST_LIST:
        raise ValueError(f"has more than {LARGEST_LIST:,} bytes")
    expected: dict[str, str] = {}
    of_one = _OF_ONE.fullmatch(name)
    for number, line in enumerate(content.decode("utf-8-sig", "surrogateescape").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _TAGGED.fullmatch(line.strip()) or _LINE.fullmatch(line.strip())
        listed = found and (found["name"] or (of_one["file"] if of_one else None))
        if not found or not listed:
            raise ValueError(f"line {number} is not a SHA-256 sum and the name of a file")
        path = PurePosixPath(listed.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"line {number} names a file outside the folder")
        expected[str(path)] = found["sum"].lower()
    if not expected:
        raise ValueError("holds no SHA-256 sum")
    return expected
