"""Work that is repeated in a thread while something else goes on: watching Spark's executors, ending old readers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeated(work: Callable[[], None], *, every: float, name: str) -> Iterator[None]:
    """Inside the block, call `work` every so many seconds, in a thread of this name. The end waits for a begun call."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(every):
            work()

    thread = threading.Thread(target=repeat, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
