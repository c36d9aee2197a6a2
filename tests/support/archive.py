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
ARCHIVE_MARTS: dict[str, tuple[int, str]] = {}
