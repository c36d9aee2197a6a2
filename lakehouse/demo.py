"""Nothing -> the source of `lakehouse run --demo`: a week of a small shop, with faults, late rows and changes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from lakehouse.contract import Contract
from lakehouse.settings import Settings
from lakehouse.synthetic import generate

SEED, DAYS = 20180101, 5


def source_folder(settings: Settings, contract: Contract, note: Callable[[str], None]) -> Path:
    """Folder of the generated deliveries; made on the first call, the same bytes on every machine."""
    folder = settings.state_dir / "source"
    wanted = {"seed": SEED, "days": DAYS}
    made = folder / "parameters.json"
    if made.is_file() and json.loads(made.read_text()) == wanted:
        return folder
    note("Generating a small source")
    shutil.rmtree(folder, ignore_errors=True)
    generate(folder, contract, seed=SEED, days=DAYS)
    made.write_text(json.dumps(wanted))
    return folder
