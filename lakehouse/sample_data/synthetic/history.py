"""A number of past orders -> batches before the first day, without faults, every order in its final state.

For benchmarks: millions of orders, made and counted in blocks of columns. The catalogue comes with the first batch.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.contract.model import Contract, Rule, TableContract
from lakehouse.sample_data.synthetic.days import conform, demanded
from lakehouse.sample_data.synthetic.marts_truth import FACTS
from lakehouse.sample_data.synthetic.shop import Shop, purchase_moments
from lakehouse.sample_data.synthetic.truth import FileTruth, Truth
from lakehouse.sample_data.writer import as_date, write_batches

BLOCK = 200_000  # orders made at a time: limits memory to about 1 GB
SPAN = 700  # days over which past orders were bought
SETTLED = 31  # days after which an order has passed its last milestone


@dataclass
class History:
    """What the history adds to the truth of the days."""

    batches: dict[str, dict[str, FileTruth]] = field(default_factory=dict)
    facts: Counter[str] = field(default_factory=Counter)
    amounts: dict[str, Decimal] = field(default_factory=dict)
    revenue_by_month: dict[str, Decimal] = field(default_factory=dict)
    delivered_orders: int = 0
    late_deliveries: int = 0
    statuses: Counter[str] = field(default_factory=Counter)

    def add_to(self, truth: Truth) -> None:
        """Add the history to the truth of the days. Versions, inferred members and dimensions become unknown."""
        truth.batches = {**self.batches, **truth.batches}
        truth.versions = truth.inferred = truth.dimensions = None
        for name in ("versions", "inferred", "dimensions"):
            truth.scope["leaves_out"].append(f"With past orders: {truth.scope['covers'].pop(name)}")
        truth.facts = {fact: rows + self.facts[FACTS[fact]] for fact, rows in truth.facts.items()}
        business = truth.business
        business["orders"] += self.facts["orders"]
        business["items"] += self.facts["order_items"]
        for name, amount in self.amounts.items():
            business[name] = str(Decimal(business[name]) + amount)
        months = business["revenue_by_month"]
        for month, amount in self.revenue_by_month.items():
            months[month] = str(Decimal(months.get(month, "0.00")) + amount)
        business["revenue_by_month"] = dict(sorted(months.items()))
        business["delivered_orders"] += self.delivered_orders
        business["late_deliveries"] += self.late_deliveries
        statuses = self.statuses + Counter(business["orders_by_status"])
        business["orders_by_status"] = dict(sorted(statuses.items()))


def write_history(folder: Path, shop: Shop, contract: Contract, start: int, orders: int, batches: int) -> History:
    """Write orders 0 to `orders` - 1 in `batches` batches, dated by the days before day number `start`."""
    history = History()
    _write(folder, shop.catalogue(), contract, shop, start - batches, history)
    for batch in range(batches):
        first, last = orders * batch // batches, orders * (batch + 1) // batches
        for block in range(first, last, BLOCK):
            index = np.arange(block, min(block + BLOCK, last), dtype=np.int64)
            bought = start - batches - SETTLED - SPAN + index * SPAN // orders
            tables = shop.orders(index, purchase_moments(shop.draws, index, bought))
            _write(folder, tables, contract, shop, start - batches + batch, history)
            _count(tables, history)
    return history


def _write(
    folder: Path, tables: dict[str, pa.Table], contract: Contract, shop: Shop, day: int, history: History
) -> None:
    files = history.batches.setdefault(as_date(day).isoformat(), {})
    for table in contract.tables:
        if table.name in tables:
            sent = [column.name for column in demanded(table.columns, day)]
            rows = conform(tables[table.name], table, shop.draws).select(sent)
            file = f"{table.files[0]}.csv"
            write_batches(folder, file, rows, np.full(len(rows), day))
            _add(files.setdefault(table.name, FileTruth(file, 0)), table, rows)


def _add(truth: FileTruth, table: TableContract, rows: pa.Table) -> None:
    """Count a block of clean rows. Only a table without a key has repeated rows."""
    distinct = len(rows) if table.key else len(rows.group_by(rows.column_names).aggregate([]))
    kept = rows if table.key else rows.group_by(rows.column_names).aggregate([])
    truth.records += len(rows)
    truth.bronze += len(rows)
    truth.duplicates += len(rows) - distinct
    truth.silver += distinct
    warnings = Counter(truth.warnings)
    for rule in table.rules:
        if rule.severity == "warning" and rule.column in rows.column_names:
            warnings[rule.reason] += _breaches(rule, kept[rule.column])
    truth.warnings = {reason: warnings[reason] for reason in sorted(warnings) if warnings[reason]}


def _breaches(rule: Rule, values: pa.ChunkedArray) -> int:
    if rule.check == "required":
        return int(pc.sum(pc.equal(values, "")).as_py() or 0)
    given = values.filter(pc.not_equal(values, ""))
    if rule.check == "valid_values":
        return int(pc.sum(pc.invert(pc.is_in(given, value_set=pa.array(rule.values, given.type)))).as_py() or 0)
    if rule.check == "pattern":
        return int(pc.sum(pc.invert(pc.match_substring_regex(given, f"^(?:{rule.pattern})$"))).as_py() or 0)
    numbers = given.cast(pa.decimal128(38, 15))
    low = [] if rule.minimum is None else [pc.less(numbers, pa.scalar(rule.minimum))]
    high = [] if rule.maximum is None else [pc.greater(numbers, pa.scalar(rule.maximum))]
    return sum(int(pc.sum(outside).as_py() or 0) for outside in (*low, *high))


def _count(tables: dict[str, pa.Table], history: History) -> None:
    """Add a block of orders to the business figures."""
    orders, items = tables["orders"], tables["order_items"]
    for name, rows in tables.items():
        history.facts[name] += len(rows)
    for name, column in (
        ("revenue", items["price"]),
        ("freight", items["freight_value"]),
        ("payments", tables["order_payments"]["payment_value"]),
    ):
        history.amounts[name] = history.amounts.get(name, Decimal("0.00")) + _sum(column)
    bought = orders["order_purchase_timestamp"].take(pc.index_in(items["order_id"], value_set=orders["order_id"]))
    months = pa.table({"month": pc.utf8_slice_codeunits(bought, 0, 7), "price": items["price"]})
    for month in pc.unique(months["month"]).to_pylist():
        revenue = _sum(months.filter(pc.equal(months["month"], month))["price"])
        history.revenue_by_month[month] = history.revenue_by_month.get(month, Decimal("0.00")) + revenue
    delivered = orders.filter(pc.not_equal(orders["order_delivered_customer_date"], ""))
    arrived = pc.utf8_slice_codeunits(delivered["order_delivered_customer_date"], 0, 10)
    promised = pc.utf8_slice_codeunits(delivered["order_estimated_delivery_date"], 0, 10)
    history.delivered_orders += len(delivered)
    history.late_deliveries += int(pc.sum(pc.greater(arrived, promised)).as_py() or 0)
    history.statuses.update(
        {count["values"]: count["counts"] for count in pc.value_counts(orders["order_status"]).to_pylist()}
    )


def _sum(amounts: pa.ChunkedArray) -> Decimal:
    return Decimal(pc.sum(amounts.cast(pa.decimal128(18, 2))).as_py() or 0)
