"""The contract -> the source of `lakehouse run --demo`: days of a small shop, with faults, late rows and changes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from lakehouse.lakehouse import Lakehouse

SEED = 20180101
DAYS = 4
PAST_ORDERS = 3000  # one batch of orders delivered long ago, so that there are reviews and late deliveries to see


def deliveries(lakehouse: Lakehouse, note: Callable[[str], None]) -> list[Path]:
    """A folder per day, the same bytes everywhere. Generated on the first call and whenever the contract changes."""
    folder = lakehouse.settings.workspace_dir / "source"
    made = lakehouse.settings.workspace_dir / "source.json"
    wanted = json.dumps([SEED, DAYS, PAST_ORDERS, [table.rules_hash for table in lakehouse.contract.tables]])
    if not (made.is_file() and folder.is_dir() and made.read_text() == wanted):
        from lakehouse.sample_data.synthetic import generate

        note("Generating a small source")
        shutil.rmtree(folder, ignore_errors=True)
        generate(folder, contract=lakehouse.contract, seed=SEED, days=DAYS, history_orders=PAST_ORDERS)
        made.write_text(wanted)
    return sorted(path for path in folder.iterdir() if path.is_dir())
