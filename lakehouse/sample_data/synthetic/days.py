"""A shop and its disturbances -> the clean records sent per day and table, in the order of the file.

The shop's final state is cut into days as replay cuts the real archive. Then some rows are sent late, again or changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.contract.model import Column, Contract, TableContract
from lakehouse.sample_data.replay import FIRST, Cut, first_sales, last_milestones, order_versions, review_versions
from lakehouse.sample_data.synthetic.draws import Draws, Integers
from lakehouse.sample_data.synthetic.shop import Shop, purchase_moments
from lakehouse.sample_data.writer import Days, as_date

Values = tuple[str, ...]
Sent = dict[int, dict[str, list[Values]]]  # day number -> table -> rows

MAX_LATENESS = 3  # days


@dataclass(frozen=True)
class Disturbances:
    """What disturbs the deliveries; each value is a share from 0 to 1.

    `late_*`: orders, customers, products and sellers that come 1 to 3 days after the rows that refer to them.
    `duplicates`, `superseded`: records that are twice in their file, or follow an older version of the same record.
    `product_changes`, `seller_changes`: products and sellers sent again, mostly changed, per order of the day.
    `corrected_customers`: customer rows sent again with a different address, per order of the day.
    `people_return`: orders whose person may have ordered before. `people_move`: which of these have a new address.
    """

    late_orders: float = 0.02
    late_customers: float = 0.02
    late_products: float = 0.02
    late_sellers: float = 0.02
    duplicates: float = 0.01
    superseded: float = 0.01
    product_changes: float = 0.02
    seller_changes: float = 0.01
    corrected_customers: float = 0.01
    people_return: float = 0.15
    people_move: float = 0.4


@dataclass(frozen=True)
class Daily:
    """The orders of the daily batches: `per_day` a day from day number `start`, numbered from `first_order`."""

    shop: Shop
    disturbances: Disturbances
    contract: Contract
    start: int
    days: int
    per_day: int
    first_order: int
    with_catalogue: bool

    def sent(self) -> Sent:
        """The content of each day's files, before faults."""
        sent: Sent = {day: {} for day in range(self.start, self.start + self.days)}
        cuts = self._cuts()
        for table in self.contract.tables:
            if table.name in cuts:
                rows = conform(cuts[table.name].rows, table, self._draws)
                for day, values in zip(cuts[table.name].days.tolist(), _tuples(rows), strict=True):
                    if day in sent:
                        sent[day].setdefault(table.name, []).append(values)
        self._change(sent, "products", self.disturbances.product_changes)
        self._change(sent, "sellers", self.disturbances.seller_changes)
        self._correct_customers(sent)
        for day, tables in sent.items():
            for table in self.contract.tables:
                if table.name in tables:
                    tables[table.name] = list(self._repeated(table, day, tables[table.name]))
        return sent

    @property
    def _draws(self) -> Draws:
        return self.shop.draws

    def _cuts(self) -> dict[str, Cut]:
        index = self.first_order + np.arange(self.days * self.per_day, dtype=np.int64)
        bought = self.start + (index - self.first_order) // self.per_day
        tables = self.shop.orders(index, purchase_moments(self._draws, index, bought))
        shares = self.disturbances
        first_seen = bought + self._lateness("orders", index, shares.late_orders)
        orders, items, payments = tables["orders"], tables["order_items"], tables["order_payments"]
        item_days = _days_of(items, orders, bought)
        review_days = _days_of(tables["order_reviews"], orders, last_milestones(orders, first_seen))
        cuts = {
            "orders": order_versions(orders, first_seen, "day"),
            "customers": Cut(tables["customers"], bought + self._lateness("customers", index, shares.late_customers)),
            "order_items": Cut(items, item_days),
            "order_payments": Cut(payments, _days_of(payments, orders, bought)),
            "order_reviews": review_versions(tables["order_reviews"], review_days, "day"),
        }
        if self.with_catalogue:
            catalogue = self.shop.catalogue()
            for name, key, share in (
                ("products", "product_id", shares.late_products),
                ("sellers", "seller_id", shares.late_sellers),
            ):
                sold = first_sales(pa.chunked_array(catalogue[name][key]), pa.chunked_array(items[key]), item_days)
                late = self._lateness(name, np.arange(len(sold), dtype=np.int64), share)
                cuts[name] = Cut(catalogue[name], np.where(sold == FIRST, self.start, sold + late))
            for name in ("geolocation", "category_translation"):
                cuts[name] = Cut(catalogue[name], np.full(len(catalogue[name]), self.start))
        return cuts

    def _lateness(self, what: str, index: Integers, share: float) -> Days:
        days = 1 + self._draws.below(f"{what} late by", index, MAX_LATENESS)
        return np.where(self._draws.happens(f"{what} late", index, share), days, 0)

    def _change(self, sent: Sent, name: str, share: float) -> None:
        """Resend some products or sellers of earlier days, in one of three versions."""
        if all(table.name != name for table in self.contract.tables):
            return
        table = self.contract.table(name)
        everyone = self.shop.products if name == "products" else self.shop.sellers
        numbers = {
            row: number
            for number, row in enumerate(self._draws.ids(name.removesuffix("s"), np.arange(everyone)).to_pylist())
        }
        known = [] if self.with_catalogue else list(range(everyone))
        key = table.column_names.index(table.key[0])
        for day, tables in sent.items():
            wanted = round(share * self.per_day + 0.5) if share else 0
            new = [numbers[values[key]] for values in tables.get(name, [])]
            if known and wanted:
                draw = (day - self.start) * 100_000 + np.arange(wanted)
                chosen = np.unique(np.array(known)[self._draws.below(f"{name} changed", draw, len(known))])
                version = self._draws.below(f"{name} version", chosen + day * 1_000_003, 3)
                rows_of = self.shop.product_rows if name == "products" else self.shop.seller_rows
                rows = _tuples(conform(rows_of(chosen, version), table, self._draws))
                tables[name] = [*tables.get(name, []), *rows]
            known += new

    def _correct_customers(self, sent: Sent) -> None:
        """Resend some customers of earlier days with a different customer's address.

        This is a correction, so it must not create a new version.
        """
        names = self.contract.table("customers").column_names
        first, last = names.index("customer_zip_code_prefix"), names.index("customer_state") + 1
        known: list[Values] = []
        for day, tables in sent.items():
            new = list(tables.get("customers", []))
            wanted = round(self.disturbances.corrected_customers * self.per_day + 0.5)
            if known and self.disturbances.corrected_customers:
                draw = (day - self.start) * 100_000 + np.arange(wanted)
                whom = np.unique(self._draws.below("corrected", draw, len(known))).tolist()
                others = self._draws.below("corrected to", draw, len(known)).tolist()
                for mine, other in zip(whom, others, strict=False):
                    row, address = known[mine], known[other][first:last]
                    tables.setdefault("customers", []).append((*row[:first], *address, *row[last:]))
            known += new

    def _repeated(self, table: TableContract, day: int, rows: list[Values]) -> Iterator[Values]:
        """The rows of a file. Some follow an older version of the same row; some are repeated at the end."""
        index = np.arange(len(rows), dtype=np.int64)
        where = f"{table.name}/{day}"
        is_superseding = self._draws.happens(f"{where} superseded", index, self.disturbances.superseded)
        is_repeated = self._draws.happens(f"{where} duplicate", index, self.disturbances.duplicates)
        for values, superseding in zip(rows, is_superseding.tolist(), strict=True):
            if superseding and table.key and (older := _older_version(table, values)):
                yield older
            yield values
        yield from (rows[position] for position in np.flatnonzero(is_repeated))


def conform(rows: pa.Table, table: TableContract, draws: Draws) -> pa.Table:
    """The contract's columns, in its order; a column that the shop does not know gets values of its type."""
    return pa.table(
        {
            column.name: rows[column.name] if column.name in rows.column_names else _made_up(column, len(rows), draws)
            for column in table.columns
        }
    )


def _made_up(column: Column, rows: int, draws: Draws) -> pa.Array:
    values = (
        next((rule.values for rule in column.rules if rule.check == "valid_values"), None)
        or {
            "integer": ("1", "2", "3"),
            "bigint": ("1", "2", "3"),
            "decimal": ("1.5", "2") if column.type.scale else ("1", "2"),
            "double": ("1.5", "2"),
            "timestamp": ("2018-01-01 00:00:00", "2018-06-30 12:30:15"),
            "date": ("2018-01-01", "2018-06-30"),
            "text": ("this", "that"),
        }[column.type.kind]
    )
    position = draws.below(column.name, np.arange(rows, dtype=np.int64), len(values))
    return pa.array(values, pa.large_string()).take(pa.array(position))


def _older_version(table: TableContract, values: Values) -> Values | None:
    """The row with another, equally valid value in one column outside the key; None if there is none."""
    texts = {"product_category_name_english", "customer_city", "seller_city"}
    for position, column in enumerate(table.columns):
        if column.name in table.key or not values[position]:
            continue
        if column.type.kind == "decimal":
            older = "1" + values[position]
        elif column.name == "review_score":
            older = str(int(values[position]) % 5 + 1)
        elif column.type.kind == "timestamp":
            older = values[position][:-2] + f"{(int(values[position][-2:]) + 1) % 60:02d}"
        elif column.name in texts:
            older = values[position] + " old"
        elif column.name in ("product_weight_g", "product_length_cm"):
            older = "1" + values[position]
        else:
            continue
        return (*values[:position], older, *values[position + 1 :])
    return None


def demanded(columns: Sequence[Column], day: int) -> list[Column]:
    """The columns in a file of this day; a column with a later `since` is not sent yet."""
    return [column for column in columns if column.since is None or column.since <= as_date(day)]


def _days_of(rows: pa.Table, orders: pa.Table, days: Days) -> Days:
    """The day of each row's order."""
    position: Integers = pc.index_in(rows["order_id"], value_set=orders["order_id"]).combine_chunks().to_numpy()
    return days[position]


def _tuples(rows: pa.Table) -> list[Values]:
    return list(zip(*(column.to_pylist() for column in rows.columns), strict=True))
