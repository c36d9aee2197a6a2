"""Nothing -> the source of `lakehouse run --demo`: some days of a small shop, with faults, late rows and changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from lakehouse.contract import Contract
from lakehouse.settings import Settings

SEED = 20180101
DAYS = 4
PAST_ORDERS = 3000  # one batch of orders long delivered, so that there are reviews and late deliveries to look at


def source_folder(settings: Settings, contract: Contract, note: Callable[[str], None]) -> Path:
    """Folder of the generated deliveries; made on the first call, the same bytes on every machine."""
    folder = settings.state_dir / "source"
    made = settings.state_dir / "source.json"
    wanted = json.dumps([SEED, DAYS, PAST_ORDERS, [table.rules_hash for table in contract.tables]])
    if made.is_file() and folder.is_dir() and made.read_text() == wanted:
        return folder
    from lakehouse.synthetic import generate

    note("Generating a small source")
    generate(folder, contract=contract, seed=SEED, days=DAYS, history_orders=PAST_ORDERS)
    made.write_text(wanted)
    return folder
