"""The real Olist archive, beside the checkout: its licence forbids copying it into the project."""

from __future__ import annotations

import pytest

from lakehouse.settings import PROJECT_DIR

ARCHIVE = PROJECT_DIR.parent / "shared" / "data" / "olist" / "brazilian-ecommerce.zip"

NEEDS_ARCHIVE = [
    pytest.mark.olist,
    pytest.mark.skipif(not ARCHIVE.is_file(), reason=f"the real archive is not at {ARCHIVE}"),
]

# Mart -> its rows, and a hash of them all (lake.digests).
ARCHIVE_MARTS = {
    "dim_customer": (96_356, "8f011870aaad84dc"),
    "dim_date": (18_264, "eab1372330f39a9d"),
    "dim_geography": (19_016, "76a785f7ce9aa2eb"),
    "dim_order": (99_442, "42904b4d478c14d9"),
    "dim_product": (32_952, "6a5d324701f0312d"),
    "dim_seller": (3_096, "80e0ec0fa018abcf"),
    "fct_order_items": (112_650, "bcbb7e88076d506e"),
    "fct_orders": (99_441, "a207f44333437e43"),
    "fct_payments": (103_886, "e711c7bd57a31a8f"),
    "fct_reviews": (99_224, "3438598b82acee8d"),
}

# Table -> the records of its file. All are loaded; only geolocation has repetitions, which are not.
ARCHIVE_ROWS = {
    "customers": 99_441,
    "geolocation": 1_000_163,
    "order_items": 112_650,
    "order_payments": 103_886,
    "order_reviews": 99_224,
    "orders": 99_441,
    "products": 32_951,
    "sellers": 3_095,
    "category_translation": 71,
}
REPEATED = {"geolocation": 261_831}

# What marts.data_quality says of it in one batch: table_name, records, rejected, duplicates, superseded, quarantined,
# loaded, is_held.
ARCHIVE_QUALITY = [
    (table, rows, 0, REPEATED.get(table, 0), 0, 0, rows - REPEATED.get(table, 0), False)
    for table, rows in sorted(ARCHIVE_ROWS.items())
]
