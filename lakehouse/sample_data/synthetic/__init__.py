"""A seed and a few sizes -> daily batches of an Olist-shaped shop, with faults, and truth.json beside them.

The same arguments give the same bytes, on every OS and Python. The modules, in the order of the flow: `draws` (the only
source of chance), `shop` (clean tables), `history` (past orders, for benchmarks), `days` (what is sent when), `faults`,
`rules` and `truth` (the expected result of each file), `marts_truth` (the expected marts).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from itertools import compress
from pathlib import Path

import numpy as np

from lakehouse.contract.model import Column, Contract
from lakehouse.contract.odcs import read_contract
from lakehouse.errors import ConfigurationError
from lakehouse.sample_data.synthetic.days import Daily, Disturbances, Values, demanded
from lakehouse.sample_data.synthetic.draws import Draws
from lakehouse.sample_data.synthetic.faults import KINDS, Record, concerned_columns, spoiled, write_refused_delivery
from lakehouse.sample_data.synthetic.history import History, write_history
from lakehouse.sample_data.synthetic.marts_truth import complete
from lakehouse.sample_data.synthetic.shop import Shop
from lakehouse.sample_data.synthetic.truth import EndState, Fault, FileTruth, Truth
from lakehouse.sample_data.writer import as_date, as_day, header_line, whole_folder
from lakehouse.settings import PROJECT_DIR

__all__ = ["KINDS", "Disturbances", "Fault", "FileTruth", "Truth", "generate", "write_refused_delivery"]

ORDERS_PER_DAY = 300
TRUTH = "truth.json"


def generate(
    directory: Path,
    *,
    seed: int = 42,
    scale: float = 1.0,
    days: int = 7,
    start: date = date(2018, 1, 1),
    faults: float | Mapping[str, float] = 0.0005,
    disturbances: Disturbances = Disturbances(),  # noqa: B008 - frozen
    history_orders: int = 0,
    history_batches: int = 1,
    contract: Contract | None = None,
) -> Truth:
    """Write `days` batches `<directory>/<YYYY-MM-DD>/<file>.csv`, and truth.json, replacing an earlier generation.

    `scale`: orders a day, in units of 300. `faults`: share of the records with each kind of fault, or kind -> share; a
    kind whose share is not 0 occurs at least once. `history_orders`: clean orders in batches before `start` (if there
    are any, no later batch sends the catalogue). `contract`: default contracts/olist.odcs.yaml.
    Raises ConfigurationError for invalid arguments, or when `directory` contains other files.
    """
    shares = dict.fromkeys(KINDS, faults) if isinstance(faults, int | float) else dict(faults)
    _check(days, scale, shares, history_orders, history_batches)
    contract = contract or read_contract(PROJECT_DIR / "contracts", "olist")
    per_day = max(1, round(ORDERS_PER_DAY * scale))
    shop = _shop(seed, history_orders + days * per_day, disturbances)
    first_day = as_day(start)
    daily = Daily(shop, disturbances, contract, first_day, days, per_day, history_orders, not history_orders)
    truth = Truth(
        {
            "seed": seed,
            "start": start.isoformat(),
            "days": days,
            "orders_per_day": per_day,
            "history_orders": history_orders,
            "history_batches": history_batches if history_orders else 0,
            "faults": shares,
            "disturbances": asdict(disturbances),
        }
    )
    with whole_folder(directory, marker=TRUTH) as folder:
        history = History()
        if history_orders:
            history = write_history(folder, shop, contract, first_day, history_orders, history_batches)
        _write_days(folder, daily, shares, truth)
        if history_orders:
            history.add_to(truth)
        (folder / TRUTH).write_bytes(truth.to_json().encode())
    return truth


def _check(days: int, scale: float, shares: Mapping[str, float], history_orders: int, history_batches: int) -> None:
    faults = [
        f"there is no fault of kind {kind} (there are: {', '.join(KINDS)})" for kind in shares if kind not in KINDS
    ]
    faults += [
        f"the share of {kind} must be from 0 to 1, not {share}" for kind, share in shares.items() if not 0 <= share <= 1
    ]
    if days < 1 or scale <= 0 or history_orders < 0 or history_batches < 1:
        faults.append("days and scale must be positive, a history not negative")
    if faults:
        raise ConfigurationError("\n  ".join(["Nothing was generated:", *faults]))


def _shop(seed: int, orders: int, disturbances: Disturbances) -> Shop:
    """Catalogues grow with the orders, as in the real data, to keep the number of orders per product constant."""
    return Shop(
        Draws(seed),
        products=max(60, orders // 3),
        sellers=max(20, orders // 30),
        zips=min(max(200, orders // 5), 5_000),
        people_return=disturbances.people_return,
        people_move=disturbances.people_move,
    )


def _write_days(folder: Path, daily: Daily, shares: Mapping[str, float], truth: Truth) -> None:
    end = EndState(daily.contract)
    for day, tables in daily.sent().items():
        batch = folder / as_date(day).isoformat()
        batch.mkdir()
        sent = [table for table in daily.contract.tables if table.name in tables]
        columns = {table.name: demanded(table.columns, day) for table in sent}
        records = {table.name: _records(tables[table.name], table.columns, columns[table.name]) for table in sent}
        _inject(records, columns, shares, daily, day)
        counts = truth.batches[batch.name] = {}
        for name, content in records.items():
            counts[name], found = end.add(day, name, columns[name], content)
            truth.faults += found
            header = header_line([column.name for column in columns[name]])
            (batch / counts[name].file).write_bytes(header + b"".join(record.content for record in content))
    complete(truth, end)


def _records(rows: Sequence[Values], columns: Sequence[Column], wanted: Sequence[Column]) -> list[Record]:
    """The rows, reduced to the wanted columns, wherever these are."""
    is_wanted = [column in wanted for column in columns]
    return [Record(tuple(compress(row, is_wanted))) for row in rows]


def _inject(
    records: dict[str, list[Record]],
    columns: Mapping[str, Sequence[Column]],
    shares: Mapping[str, float],
    daily: Daily,
    day: int,
) -> None:
    """Put faults into records, in place: for each kind, its share of the records and at least one over all days."""
    draws, number = daily.shop.draws, day - daily.start
    for order, kind in enumerate(shares):
        if not shares[kind]:
            continue
        possible = [name for name in records if concerned_columns(kind, columns[name])]
        for name in possible:
            index = np.arange(len(records[name]), dtype=np.int64)
            for row in np.flatnonzero(draws.happens(f"{name}/{day}/{kind}", index, shares[kind])).tolist():
                _spoil(records[name], row, kind, columns[name], draws, f"{name}/{day}")
        if possible and order % daily.days == number:
            name = possible[draws.one(f"table of {kind}", 0, len(possible))]
            row = draws.one(f"row of {kind}", 0, len(records[name]))
            rows = [*range(row, len(records[name])), *range(row)]
            # at most one fault per record, so take the next row that can have it
            any(_spoil(records[name], row, kind, columns[name], draws, f"{name}/{day}") for row in rows)


def _spoil(records: list[Record], row: int, kind: str, columns: Sequence[Column], draws: Draws, where: str) -> bool:
    if records[row].kind:
        return False
    positions = concerned_columns(kind, columns)
    position = positions[draws.one(f"{where}/{kind}/column", row, len(positions))]
    record = spoiled(records[row], kind, columns, position)
    if record:
        records[row] = record
    return record is not None
