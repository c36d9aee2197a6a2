"""Readers that are in the way of a build -> ended. Who reads a mart blocks its replacement until its transaction ends.

The defaults of the role `bi_reader` end a transaction after five minutes, but a session may switch them off.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lakehouse.errors import WarehouseError
from lakehouse.lakehouse import Lakehouse
from lakehouse.repeating import repeated

EVERY_SECONDS = 30
OLD = "10 minutes"


@contextmanager
def old_readers_ended(lakehouse: Lakehouse) -> Iterator[None]:
    """Inside the block, end readers whose transaction is older than ten minutes, immediately and every half minute."""
    end_old_readers(lakehouse)

    def again() -> None:
        # Without a warehouse the build itself fails, and says why.
        with suppress(WarehouseError):
            end_old_readers(lakehouse)

    with repeated(again, every=EVERY_SECONDS, name="readers"):
        yield


def end_old_readers(lakehouse: Lakehouse) -> int:
    """End them now; return how many there were."""
    with lakehouse.cursor("transformer", autocommit=True) as cursor:
        cursor.execute("select ops.end_old_readers(%s)", (OLD,))
        (count,) = cursor.fetchone() or (0,)
    return int(count)
