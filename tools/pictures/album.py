"""The folder docs/pictures, and what it says about each picture that shows a moment: what, when, which version.

`pictures.json` is that list, with the hash of each file, so that a picture and its caption stay together. Diagrams are
not in it: they carry the hash of what they are drawn from.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from lakehouse.settings import PROJECT_DIR

FOLDER = PROJECT_DIR / "docs" / "pictures"
LIST = FOLDER / "pictures.json"
COLOURS = 128  # of a PNG: pages have few, and the file is a third of the size
_STRIP = 26  # height of the caption below a picture, in pixels of a page


def taken() -> str:
    """Day and version of what is shown: the project's version, and the commit that it is built from."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short=7", "HEAD"], cwd=PROJECT_DIR, capture_output=True, text=True, check=True
    ).stdout.strip()
    return f"{datetime.now(UTC).date()}, version {version('ecommerce-data-pipeline')} ({commit})"


def keep_screenshot(name: str, shows: str, png: bytes, scale: int = 1) -> None:
    """A screenshot with its caption below it, in few colours. `scale`: its pixels per pixel of the page."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    strip = _STRIP * scale
    whole = Image.new("RGB", (picture.width, picture.height + strip), "#f1f5f9")
    whole.paste(picture, (0, 0))
    when = taken()
    ImageDraw.Draw(whole).text(
        (10 * scale, picture.height + strip // 2),
        f"{shows} · {when}",
        fill="#334155",
        font=ImageFont.load_default(13 * scale),
        anchor="lm",
    )
    out = io.BytesIO()
    whole.quantize(COLOURS, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    _keep(f"{name}.png", shows, when, out.getvalue())


def keep_text(name: str, shows: str, when: str, svg: str) -> None:
    """A picture of text, which shows its caption itself."""
    _keep(f"{name}.svg", shows, when, svg.encode())


def _keep(file: str, shows: str, when: str, content: bytes) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / file).write_bytes(content)
    entries = read_list(FOLDER) if LIST.is_file() else {}
    entries[file] = {"shows": shows, "taken": when, "sha256": hashlib.sha256(content).hexdigest()}
    LIST.write_text(json.dumps(dict(sorted(entries.items())), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_list(folder: Path) -> dict[str, dict[str, Any]]:
    """File name -> what it shows, when it was taken, the hash of its content."""
    found: dict[str, dict[str, Any]] = json.loads((folder / "pictures.json").read_text(encoding="utf-8"))
    return found
