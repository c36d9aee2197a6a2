"""A folder -> the folder without the files that this project created (matched by name); everything else stays."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path


def remove_only(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """Remove what matches a pattern (`binaries-*`), then the folder if it is empty. Returns the paths that are left.

    Links stay, whatever their names, since this project makes no links.
    """
    wanted = tuple(patterns)
    for path in _inside(folder):
        if path.is_symlink() or not any(fnmatchcase(path.name, pattern) for pattern in wanted):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # it is not empty, or does not exist
        folder.rmdir()
    return _inside(folder)


def _inside(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
