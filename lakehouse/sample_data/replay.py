"""The Olist archive (zip or folder) -> the batches the shop would have sent, `<directory>/<YYYY-MM-DD>/<file>.csv`.

A batch is a day, week, month or quarter, dated by its last day. It contains each order that passed a milestone in
the period, with what was known at the period's end. An order's customer, items and payments come when the order first
appears, and products and sellers with their first sale. Reviews come when created and again when answered. All other
rows come in the first batch. The newest row of each key, over all batches, is the archive's row. Values are never
changed, but they stay empty until they are known.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from lakehouse.errors import ConfigurationError
from lakehouse.landing.delivery import Unreadable, reading
from lakehouse.sample_data.period import Period
from lakehouse.sample_data.writer import Days, as_date, whole_folder, write_batches

FILES: dict[str, str] = {
    "customers": "olist_customers_dataset.csv",
    "geolocation": "olist_geolocation_dataset.csv",
    "order_items": "olist_order_items_dataset.csv",
    "order_payments": "olist_order_payments_dataset.csv",
    "order_reviews": "olist_order_reviews_dataset.csv",
    "orders": "olist_orders_dataset.csv",
    "products": "olist_products_dataset.csv",
    "sellers": "olist_sellers_dataset.csv",
    "category_translation": "product_category_name_translation.csv",
}

# The status of an order whose furthest known milestone is this one, and the column with the milestone's time.
MILESTONES: tuple[tuple[str, str], ...] = (
    ("approved", "order_approved_at"),
    ("shipped", "order_delivered_carrier_date"),
    ("delivered", "order_delivered_customer_date"),
)

# The columns that decide when a row is sent; all others are sent unchanged.
DECIDING: dict[str, tuple[str, ...]] = {
    "customers": ("customer_id",),
    "geolocation": (),
    "order_items": ("order_id", "product_id", "seller_id"),
    "order_payments": ("order_id",),
    "order_reviews": ("order_id", "review_creation_date", "review_answer_timestamp"),
    "orders": (
        "order_id",
        "customer_id",
        "order_status",
        "order_purchase_timestamp",
        *(column for _, column in MILESTONES),
    ),
    "products": ("product_id",),
    "sellers": ("seller_id",),
    "category_translation": (),
}

NEVER = np.iinfo(np.int64).max  # the day of an event that has not happened
FIRST = np.iinfo(np.int64).min  # the day of rows that go into the first batch, whatever its date


@dataclass(frozen=True)
class Cut:
    """The rows of one table as they are sent, and the day number of each row's batch."""

    rows: pa.Table
    days: Days


@dataclass(frozen=True)
class Replayed:
    """What a replay wrote: its batches, and the records per table over all of them."""

    batches: tuple[date, ...]
    records: dict[str, int]


def replay(archive: Path, directory: Path, by: Period) -> Replayed:
    """Cut the archive into batches below `directory`, which must be absent or empty.

    Raises ConfigurationError when the archive lacks a file or column, cannot be read or has no order, or when
    `directory` is in use.
    """
    with whole_folder(directory) as folder:
        cuts = cut(read_archive(archive), by)
        for table, part in cuts.items():
            write_batches(folder, FILES[table], part.rows, part.days)
    days = np.unique(np.concatenate([part.days for part in cuts.values()]))
    return Replayed(tuple(as_date(day) for day in days), {table: len(part.rows) for table, part in cuts.items()})


def read_archive(archive: Path) -> dict[str, pa.Table]:
    """Read the nine tables with every value as text, exactly as in the archive, except that `""` becomes empty."""
    files = _files(archive)
    missing = [file for file in FILES.values() if file not in files]
    if missing:
        raise ConfigurationError(
            f"{archive} is not the Olist archive: it lacks {', '.join(missing)}.\n"
            "Name the zip as published, or a folder with its nine CSV files."
        )
    tables: dict[str, pa.Table] = {}
    faults: list[str] = []
    for table, file in FILES.items():
        try:
            tables[table] = _read_csv(files[file])
        except (pa.ArrowInvalid, UnicodeDecodeError, Unreadable) as error:
            faults.append(f"{file} is damaged: {error}")
            continue
        names = tables[table].column_names
        faults += [f"{file} lacks the column {name}" for name in DECIDING[table] if name not in names]
        faults += [f"{file} has the column {name} twice" for name in sorted({n for n in names if names.count(n) > 1})]
    if faults:
        raise ConfigurationError(
            "\n".join(
                [
                    f"{archive} is not the Olist archive as published:",
                    *(f"  {fault}" for fault in faults),
                    "Fetch it again.",
                ]
            )
        )
    return tables


def cut(archive: Mapping[str, pa.Table], by: Period) -> dict[str, Cut]:
    """Each table's rows with the batch they are sent in; the rows of a batch keep the archive's order."""
    orders, items, reviews = archive["orders"], archive["order_items"], archive["order_reviews"]
    purchased = _days(orders["order_purchase_timestamp"])
    if not len(purchased) or purchased.min() == NEVER:
        raise ConfigurationError("This archive holds no order with a purchase date: there is nothing to replay.")
    first_seen = np.where(purchased == NEVER, purchased.min(), purchased)
    last_seen = last_milestones(orders, first_seen)
    item_days = _lookup(items["order_id"], orders["order_id"], first_seen)
    review_days = _lookup(reviews["order_id"], orders["order_id"], last_seen)
    appearance = {
        "customers": _lookup(archive["customers"]["customer_id"], orders["customer_id"], first_seen),
        "order_items": item_days,
        "order_payments": _lookup(archive["order_payments"]["order_id"], orders["order_id"], first_seen),
        "products": first_sales(archive["products"]["product_id"], items["product_id"], item_days),
        "sellers": first_sales(archive["sellers"]["seller_id"], items["seller_id"], item_days),
        "geolocation": np.full(len(archive["geolocation"]), FIRST),
        "category_translation": np.full(len(archive["category_translation"]), FIRST),
    }
    cuts = {table: Cut(archive[table], period_end(days, by)) for table, days in appearance.items()}
    cuts["orders"] = order_versions(orders, first_seen, by)
    cuts["order_reviews"] = review_versions(reviews, review_days, by)
    first = min(part.days[part.days != FIRST].min(initial=NEVER) for part in cuts.values())
    return {table: Cut(cuts[table].rows, np.maximum(cuts[table].days, first)) for table in FILES}


def order_versions(orders: pa.Table, first_seen: Days, by: Period) -> Cut:
    """Each order at the end of every period in which it appeared or passed a milestone: one row per order and period.

    `first_seen`: the day an order first appears; earlier milestones are known from that day on. A milestone not yet
    passed is empty, and the status is that of the furthest known milestone. An order's last row is the archive's.
    """
    passed = _milestone_days(orders, first_seen)
    known_from = period_end(np.column_stack([first_seen, passed]), by)
    periods = np.sort(known_from, axis=1)
    is_version = periods != NEVER
    is_version[:, 1:] &= periods[:, 1:] != periods[:, :-1]
    order, column = np.nonzero(is_version)
    period = periods[order, column]
    is_last = period == np.where(periods == NEVER, FIRST, periods).max(axis=1)[order]
    is_known = known_from[order, 1:] <= period[:, None]

    rows = orders.take(pa.array(order))
    status = pa.array(np.full(len(order), "created", dtype=object), pa.string())
    for milestone, (name, column_name) in enumerate(MILESTONES):
        known = pa.array(is_known[:, milestone])
        status = pc.if_else(known, name, status)
        kept = pc.if_else(pc.or_(known, pa.array(is_last)), rows[column_name], "")
        rows = _replace(rows, column_name, kept)
    return Cut(_replace(rows, "order_status", pc.if_else(pa.array(is_last), rows["order_status"], status)), period)


def review_versions(reviews: pa.Table, undated: Days, by: Period) -> Cut:
    """Each review when it was created, without its answer, and again if it was answered in a later period.

    `undated`: the day on which a review without a creation date is sent.
    """
    created = _days(reviews["review_creation_date"])
    created = np.where(created == NEVER, undated, created)
    answered = _days(reviews["review_answer_timestamp"])
    first, second = period_end(created, by), period_end(np.maximum(created, answered), by)
    is_sent_again = (second != NEVER) & (second > first)
    everyone, again = np.arange(len(reviews)), np.flatnonzero(is_sent_again)
    open_reviews = _replace(
        reviews,
        "review_answer_timestamp",
        pc.if_else(pa.array(is_sent_again), "", reviews["review_answer_timestamp"]),
    )
    # Interleaved by review, so that a batch lists its reviews in the archive's order.
    order = np.argsort(np.concatenate([everyone, again]), kind="stable")
    rows = pa.concat_tables([open_reviews, reviews.take(pa.array(again))]).take(pa.array(order))
    return Cut(rows, np.concatenate([first, second[again]])[order])


def first_sales(names: pa.ChunkedArray, sold: pa.ChunkedArray, sold_days: Days) -> Days:
    """The day each name was first sold; FIRST if it never was."""
    days = np.full(len(names), NEVER)
    position = pc.index_in(sold, value_set=names).combine_chunks()
    known = position.is_valid().to_numpy(zero_copy_only=False)
    np.minimum.at(days, position.drop_null().to_numpy(), sold_days[known])
    return np.where(days == NEVER, FIRST, days)


def last_milestones(orders: pa.Table, first_seen: Days) -> Days:
    """The day of each order's last milestone; the purchase counts as a milestone."""
    passed = _milestone_days(orders, first_seen)
    latest: Days = np.where(passed == NEVER, FIRST, passed).max(axis=1)
    return np.maximum(latest, first_seen)


def period_end(days: Days, by: Period) -> Days:
    """The last day of each day's period (weeks end on Sunday); NEVER and FIRST stay unchanged."""
    if by == "day":
        return days
    is_day = (days != NEVER) & (days != FIRST)
    inside = np.where(is_day, days, 0)
    if by == "week":
        ends = inside + 6 - (inside + 3) % 7  # day 0, 1970-01-01, was a Thursday
    else:
        length = 3 if by == "quarter" else 1
        months = inside.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        next_period = (months // length + 1) * length
        ends = next_period.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - 1
    return np.where(is_day, ends, days)


def _milestone_days(orders: pa.Table, first_seen: Days) -> npt.NDArray[np.int64]:
    """The day each order (row) passed each milestone (column), not before `first_seen`; NEVER if it was not passed."""
    return np.column_stack([np.maximum(_days(orders[column]), first_seen) for _, column in MILESTONES])


def _days(moments: pa.ChunkedArray) -> Days:
    """Day numbers of `YYYY-MM-DD HH:MM:SS`; NEVER for anything else."""
    parsed = pc.strptime(moments, format="%Y-%m-%d %H:%M:%S", unit="s", error_is_null=True)
    seconds = pc.fill_null(parsed.cast(pa.int64()), NEVER).combine_chunks().to_numpy()
    return np.where(seconds == NEVER, NEVER, seconds // 86_400)


def _lookup(keys: pa.ChunkedArray, known_keys: pa.ChunkedArray, days: Days) -> Days:
    """The day of each key. `days` are the days of `known_keys`; a key that is not in `known_keys` gets FIRST."""
    position = pc.fill_null(pc.index_in(keys, value_set=known_keys), -1).combine_chunks().to_numpy()
    return np.where(position >= 0, days[position], FIRST)


def _replace(rows: pa.Table, name: str, values: pa.ChunkedArray) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, values)


def _files(archive: Path) -> dict[str, Path | zipfile.Path]:
    if archive.is_dir():
        return {path.name: path for path in sorted(archive.rglob("*.csv"))}
    try:
        with reading():
            container = zipfile.ZipFile(archive)
    except Unreadable as error:
        raise ConfigurationError(
            f"{archive} is neither a folder nor a zip, or is damaged ({error}). Name the Olist archive."
        ) from error
    return {Path(name).name: zipfile.Path(container, name) for name in container.namelist()}


def _read_csv(file: Path | zipfile.Path) -> pa.Table:
    with reading():
        content = file.read_bytes()
    header, _, records = content.partition(b"\n")
    names = [name.strip().strip('"') for name in header.decode("utf-8-sig").split(",")]
    text = pa.schema([(name, pa.large_string()) for name in names])
    if not records.strip():
        return text.empty_table()
    return csv.read_csv(
        pa.BufferReader(records),
        read_options=csv.ReadOptions(column_names=names, block_size=16 << 20),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(column_types=text, strings_can_be_null=False),
    )
