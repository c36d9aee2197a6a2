"""A folder -> the folder without what this project made in it: by name, since others may keep things there, too."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path


def remove_only(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """Remove what is called so (`binaries-*`), then the folder if it is empty; what is left in it.

    A link stays, whatever its name: this project makes none.
    """
    wanted = tuple(patterns)
    for path in _inside(folder):
        if path.is_symlink() or not any(fnmatchcase(path.name, pattern) for pattern in wanted):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # something is left in it, or there is no such folder
        folder.rmdir()
    return _inside(folder)


def _inside(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
