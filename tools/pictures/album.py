"""The folder docs/pictures, and what it says about each picture that shows a moment: what, when, which version.

`pictures.json` is that list, with the hash of each file, so that a picture and its caption stay together. Diagrams are
not in it: they carry the hash of what they are drawn from.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lakehouse.settings import PROJECT_DIR

FOLDER = PROJECT_DIR / "docs" / "pictures"
LIST = FOLDER / "pictures.json"


def taken() -> str:
    """Day and version of what is shown: the project's version, and the commit that it is built from."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short=7", "HEAD"], cwd=PROJECT_DIR, capture_output=True, text=True, check=True
    ).stdout.strip()
    return f"{datetime.now(UTC).date()}, version {version('ecommerce-data-pipeline')} ({commit})"


def keep_text(name: str, shows: str, when: str, svg: str) -> None:
    """A picture of text, which shows its caption itself."""
    keep(f"{name}.svg", shows, when, svg.encode())


def keep(file: str, shows: str, when: str, content: bytes) -> None:
    """Write the picture, and its line of the list."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / file).write_bytes(content)
    entries = read_list(FOLDER) if LIST.is_file() else {}
    entries[file] = {"shows": shows, "taken": when, "sha256": hashlib.sha256(content).hexdigest()}
    LIST.write_text(json.dumps(dict(sorted(entries.items())), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_list(folder: Path) -> dict[str, dict[str, Any]]:
    """File name -> what it shows, when it was taken, the hash of its content."""
    found: dict[str, dict[str, Any]] = json.loads((folder / "pictures.json").read_text(encoding="utf-8"))
    return found
