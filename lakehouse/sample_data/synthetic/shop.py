"""Numbers of orders, people, products -> the final shop as clean Olist-shaped tables of text, not yet cut into batches.

Everything about order, person, product or zip number i is drawn from i. So blocks of orders fit together however they
are cut, and a history of any length does not change the days that follow it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.sample_data.synthetic.draws import Draws, Integers, Mask
from lakehouse.sample_data.writer import Days

DAY = 86_400  # seconds
EMPTY = -1  # stands for "no value" in integer columns

CITIES = (
    *("sao paulo,SP", "rio de janeiro,RJ", "belo horizonte,MG", "brasilia,DF", "curitiba,PR", "campinas,SP"),
    *("porto alegre,RS", "salvador,BA", "guarulhos,SP", "sao bernardo do campo,SP", "niteroi,RJ", "santo andre,SP"),
    *("osasco,SP", "santos,SP", "goiania,GO", "fortaleza,CE", "recife,PE", "florianopolis,SC", "belem,PA", "natal,RN"),
    *("santa barbara d'oeste,SP", "manaus,AM", "vitoria,ES", "cuiaba,MT"),
)
# (Portuguese, English); the last two are missing from the translation, as two are in the real data
CATEGORIES = (
    *(("beleza_saude", "health_beauty"), ("informatica_acessorios", "computers_accessories"), ("artes", "art")),
    *(("automotivo", "auto"), ("cama_mesa_banho", "bed_bath_table"), ("moveis_decoracao", "furniture_decor")),
    *(("esporte_lazer", "sports_leisure"), ("perfumaria", "perfumery"), ("telefonia", "telephony"), ("bebes", "baby")),
    *(("brinquedos", "toys"), ("relogios_presentes", "watches_gifts"), ("papelaria", "stationery")),
    *(("pc_gamer", ""), ("portateis_cozinha", "")),
)
STATUSES: tuple[str, ...] = (
    *(("delivered",) * 960 + ("canceled",) * 15 + ("unavailable",) * 8 + ("shipped",) * 9 + ("invoiced",) * 3),
    *(("processing",) * 3 + ("approved",) + ("created",)),
)
TITLES = ("recomendo", "Ótimo", "super recomendo", "10", 'produto "original"')
MESSAGES = (
    *("Chegou antes do prazo.", "Produto bom, entrega rápida", 'Veio "quebrado", quero trocar', "Não recebi\nainda"),
    *("Excelente, recomendo!", "Linha um\n\nlinha três, com vírgula", "ok", "Muito bom o atendimento, parabéns"),
)


@dataclass(frozen=True)
class Shop:
    """The shop's sizes and habits. `products`, `sellers` and `zips` are the numbers of products, sellers and zips.

    `people_return`: share of the orders whose person may have ordered before. `people_move`: share of these orders
    whose person has a different address than before.
    """

    draws: Draws
    products: int
    sellers: int
    zips: int
    people_return: float
    people_move: float

    def orders(self, index: Integers, purchased: Integers) -> dict[str, pa.Table]:
        """The orders with these numbers, purchased at these Unix timestamps, with all related rows, in final state."""
        draws = self.draws
        status = np.array(STATUSES)[draws.below("status", index, len(STATUSES))]
        approved, carrier, delivered = self._milestones(index, purchased, status)
        promised = (purchased // DAY + 4 + draws.below("promised", index, 10)) * DAY
        order_id = draws.ids("order", index)
        columns = {
            "order_id": order_id,
            "customer_id": draws.ids("customer", index),
            "order_status": pa.array(status),
            "order_purchase_timestamp": _moments(purchased),
            "order_approved_at": _moments(approved),
            "order_delivered_carrier_date": _moments(carrier),
            "order_delivered_customer_date": _moments(delivered),
            "order_estimated_delivery_date": _moments(promised),
        }
        items, totals = self._items(index, order_id, purchased, status == "unavailable")
        return {
            "orders": pa.table(columns),
            "customers": self._customers(index),
            "order_items": items,
            "order_payments": self._payments(index, order_id, totals),
            "order_reviews": self._reviews(index, order_id, np.where(delivered == EMPTY, promised, delivered)),
        }

    def catalogue(self) -> dict[str, pa.Table]:
        """All products, sellers, zip prefixes and the category translation."""
        translated = [pair for pair in CATEGORIES if pair[1]]
        return {
            "products": self.product_rows(np.arange(self.products), np.zeros(self.products, dtype=np.int64)),
            "sellers": self.seller_rows(np.arange(self.sellers), np.zeros(self.sellers, dtype=np.int64)),
            "geolocation": self._geolocation(),
            "category_translation": pa.table(
                {
                    "product_category_name": [pair[0] for pair in translated],
                    "product_category_name_english": [pair[1] for pair in translated],
                }
            ),
        }

    def product_rows(self, product: Integers, version: Integers) -> pa.Table:
        """These products, each in its version; version 0 is the first."""
        draws, state = self.draws, product + version * self.products
        category = draws.below("category", product + (version // 2) * self.products, len(CATEGORIES))
        has_category = ~draws.happens("no category", product, 0.02)
        sizes = {
            "product_name_lenght": 20 + draws.below("name", product, 44),
            "product_description_lenght": 100 + draws.below("description", product, 2000),
            "product_photos_qty": 1 + draws.below("photos", state, 6),
            "product_weight_g": np.where(
                draws.happens("no weight", product, 0.001), 0, 50 * (1 + draws.below("weight", state, 200))
            ),
            "product_length_cm": 16 + draws.below("length", product, 80),
            "product_height_cm": 2 + draws.below("height", product, 60),
            "product_width_cm": 11 + draws.below("width", product, 60),
        }
        names = _choose([name for name, _ in CATEGORIES], category, has_category)
        is_described = dict.fromkeys(list(sizes)[:3], has_category)  # as in the real data: all or none of these
        columns = {name: _numbers(np.where(is_described.get(name, True), size, EMPTY)) for name, size in sizes.items()}
        return pa.table({"product_id": draws.ids("product", product), "product_category_name": names, **columns})

    def seller_rows(self, seller: Integers, version: Integers) -> pa.Table:
        """These sellers, each with the address of its version."""
        zips = self.draws.below("seller zip", seller + version * self.sellers, self.zips)
        return self._addresses({"seller_id": self.draws.ids("seller", seller)}, "seller", zips)

    def _milestones(self, index: Integers, purchased: Integers, status: np.ndarray) -> tuple[Integers, ...]:
        below, happens = self.draws.below, self.draws.happens
        slow = 2 * DAY * happens("boleto", index, 0.05)
        approved = purchased + 600 + below("approved", index, 90_000) + slow
        carrier = approved + DAY // 2 + below("carrier", index, 2 * DAY)
        delivered = carrier + DAY // 2 + below("delivered", index, 6 * DAY)
        # as in the real data, some milestones are recorded in the wrong order
        approved = np.where(
            happens("approved late", index, 0.014), carrier + below("approved", index, 40_000), approved
        )
        is_sent = np.isin(status, ["delivered", "shipped"])
        is_lost = happens("no delivery date", index, 0.0005)
        is_approved = (status != "created") & ~happens("no approval", index, 0.001)
        return (
            np.where(is_approved, approved, EMPTY),
            np.where(is_sent, carrier, EMPTY),
            np.where((status == "delivered") & ~is_lost, delivered, EMPTY),
        )

    def _customers(self, index: Integers) -> pa.Table:
        """The customer row of each order; a person who ordered before may have moved."""
        draws = self.draws
        may_return = draws.happens("returns", index, self.people_return)
        person = np.where(may_return, draws.below("person", index, np.maximum(index, 1)), index)
        has_moved = may_return & draws.happens("moves", index, self.people_move)
        zips = draws.below("zip", np.where(has_moved, -1 - index, person), self.zips)
        ids = {"customer_id": draws.ids("customer", index), "customer_unique_id": draws.ids("person", person)}
        return self._addresses(ids, "customer", zips)

    def _items(
        self, index: Integers, order_id: pa.LargeStringArray, purchased: Integers, is_unavailable: Mask
    ) -> tuple[pa.Table, Integers]:
        """The items of each order, and the cost of each order in cents (freight included)."""
        draws = self.draws
        pieces = np.array([1] * 86 + [2] * 10 + [3] * 3 + [6])[draws.below("pieces", index, 100)]
        pieces = np.where(is_unavailable, 0, pieces)
        order = np.repeat(np.arange(len(index)), pieces)
        number = np.arange(len(order)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        piece = index[order] * 8 + number
        product = draws.below("bought", piece, self.products)
        price = 490 + draws.below("price", product, 40_000)
        freight = np.where(draws.happens("free", piece, 0.005), 0, 700 + draws.below("freight", piece, 3_000))
        cost = np.zeros(len(index), dtype=np.int64)
        np.add.at(cost, order, price + freight)
        columns = {
            "order_id": order_id.take(pa.array(order)),
            "order_item_id": _numbers(number + 1),
            "product_id": draws.ids("product", product),
            "seller_id": draws.ids("seller", draws.below("sold by", product, self.sellers)),
            "shipping_limit_date": _moments(purchased[order] + 5 * DAY),
            "price": _money(price),
            "freight_value": _money(freight),
        }
        return pa.table(columns), cost

    def _payments(self, index: Integers, order_id: pa.LargeStringArray, cost: Integers) -> pa.Table:
        """One payment per order, or a voucher and a second payment; their sum is the cost of the order."""
        draws = self.draws
        total = np.where(cost > 0, cost, 1_000 + draws.below("service", index, 20_000))
        voucher = np.where(
            draws.happens("voucher", index, 0.05), total * (1 + draws.below("voucher part", index, 98)) // 100, 0
        )
        voucher = np.where(draws.happens("empty voucher", index, 0.002), EMPTY, voucher)  # a voucher of 0.00
        number = np.arange(len(index))
        with_voucher = np.flatnonzero(voucher != 0)
        row = np.argsort(np.concatenate([number, with_voucher]), kind="stable")
        order = np.concatenate([number, with_voucher])[row]
        is_voucher = row >= len(index)
        paid = np.maximum(voucher, 0)
        kind = draws.below("payment", index, 100)
        kinds = np.where(kind < 76, 0, np.where(kind < 97, 1, 2))[order]
        instalments = np.where(kinds == 0, 1 + draws.below("instalments", index, 10)[order], 1)
        columns = {
            "order_id": order_id.take(pa.array(order)),
            "payment_sequential": _numbers(np.where(is_voucher, 2, 1)),
            "payment_type": _choose(["credit_card", "boleto", "debit_card", "voucher"], np.where(is_voucher, 3, kinds)),
            "payment_installments": _numbers(np.where(is_voucher, 1, instalments)),
            "payment_value": _money(np.where(is_voucher, paid[order], (total - paid)[order])),
        }
        return pa.table(columns)

    def _reviews(self, index: Integers, order_id: pa.LargeStringArray, since: Integers) -> pa.Table:
        draws = self.draws
        reviewed = np.flatnonzero(draws.happens("reviewed", index, 0.95))
        index = index[reviewed]
        # one review may cover several orders: review_id alone is no key
        review = np.where(draws.happens("covers two", index, 0.004), np.maximum(index - 1, 0), index)
        created = (since[reviewed] // DAY + 1) * DAY
        answered = created + DAY // 4 + draws.below("answered", index, 3 * DAY)
        comment = draws.below("comment", index, 10)
        columns = {
            "review_id": draws.ids("review", review),
            "order_id": order_id.take(pa.array(reviewed)),
            "review_score": _numbers(np.array([1, 1, 2, 3, 4, 4, 5, 5, 5, 5])[draws.below("score", index, 10)]),
            "review_comment_title": _choose(TITLES, draws.below("title", index, len(TITLES)), comment < 1),
            "review_comment_message": _choose(MESSAGES, draws.below("message", index, len(MESSAGES)), comment < 4),
            "review_creation_date": _moments(np.where(draws.happens("undated", index, 0.0005), EMPTY, created)),
            "review_answer_timestamp": _moments(np.where(draws.happens("unanswered", index, 0.001), EMPTY, answered)),
        }
        return pa.table(columns)

    def _geolocation(self) -> pa.Table:
        """Sightings of the zip prefixes: several each, some repeated exactly, some with another city or far away."""
        draws = self.draws
        zips = np.repeat(np.arange(self.zips), 5)
        row = np.arange(len(zips))
        zips, row = (values[~draws.happens("unknown zip", zips, 0.02)] for values in (zips, row))
        sighting = np.where(draws.happens("seen again", row, 0.2), row // 5 * 5, row)  # an exact repetition
        city = self._city(zips)
        south = 3 + draws.below("lat", city, 28)
        west = np.where(draws.happens("abroad", sighting, 0.001), 9, 36 + draws.below("lng", city, 20))
        fraction = [_padded(draws.below(axis, sighting, 10**9), 9) for axis in ("lat fraction", "lng fraction")]
        other = np.where(draws.happens("other city", sighting, 0.1), (city + 1) % len(CITIES), city)
        columns = {
            "geolocation_zip_code_prefix": _zip_prefixes(zips),
            "geolocation_lat": pc.binary_join_element_wise(
                _large("-"), _numbers(south), _large("."), fraction[0], _large("")
            ),
            "geolocation_lng": pc.binary_join_element_wise(
                _large("-"), _numbers(west), _large("."), fraction[1], _large("")
            ),
            "geolocation_city": _choose([city.split(",")[0] for city in CITIES], other),
            "geolocation_state": _choose([city.split(",")[1] for city in CITIES], other),
        }
        return pa.table(columns)

    def _addresses(self, ids: dict[str, pa.LargeStringArray], prefix: str, zips: Integers) -> pa.Table:
        city = self._city(zips)
        address = {
            f"{prefix}_zip_code_prefix": _zip_prefixes(zips),
            f"{prefix}_city": _choose([place.split(",")[0] for place in CITIES], city),
            f"{prefix}_state": _choose([place.split(",")[1] for place in CITIES], city),
        }
        return pa.table({**ids, **address})

    def _city(self, zips: Integers) -> Integers:
        return self.draws.below("city", zips, len(CITIES))


def purchase_moments(draws: Draws, index: Integers, days: Days) -> Integers:
    """A second of the day for each order."""
    return days * DAY + draws.below("second", index, DAY)


def _zip_prefixes(zips: Integers) -> pa.LargeStringArray:
    return _padded((1_001 + 17 * zips) % 100_000, 5)  # 17 and 100,000 share no factor: different below 100,000 zips


def _moments(seconds: Integers) -> pa.LargeStringArray:
    """`YYYY-MM-DD HH:MM:SS`; EMPTY is empty."""
    moments = pa.array(seconds, mask=seconds == EMPTY).cast(pa.timestamp("s")).cast(pa.large_string())
    return pc.fill_null(moments, "")


def _numbers(values: Integers) -> pa.LargeStringArray:
    """Digits; EMPTY is empty."""
    return pc.fill_null(pa.array(values, mask=values == EMPTY).cast(pa.large_string()), "")


def _money(cents: Integers) -> pa.LargeStringArray:
    return pc.binary_join_element_wise(_numbers(cents // 100), _padded(cents % 100, 2), _large("."))


def _padded(values: Integers, width: int) -> pa.LargeStringArray:
    return pc.utf8_lpad(pa.array(values).cast(pa.large_string()), width, "0")


def _choose(words: list[str] | tuple[str, ...], position: Integers, kept: Mask | None = None) -> pa.LargeStringArray:
    """The word at each position; empty where not `kept`."""
    chosen = pa.array(words, pa.large_string()).take(pa.array(position))
    return chosen if kept is None else pc.if_else(pa.array(kept), chosen, _large(""))


def _large(text: str) -> pa.LargeStringScalar:
    return pa.scalar(text, pa.large_string())
