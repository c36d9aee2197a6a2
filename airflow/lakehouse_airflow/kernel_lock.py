"""A lock between processes that the kernel releases when its holder ends, even if it was killed."""

from __future__ import annotations

import fcntl
import os
import tempfile
from typing import Any


class KernelLock:
    """Replaces `multiprocessing.RLock`, which a killed process never releases.

    It is a record lock on a temporary file (`man 2 fcntl`): the kernel releases it when its holder dies, and a child
    forked meanwhile does not inherit the lock. It excludes processes, not threads, so only one thread of each process
    may use it.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the lock exists
        self._holder: int | None = None
        self._depth = 0

    def acquire(self) -> None:
        """Wait until no other process holds the lock, then take it."""
        if self._holder != os.getpid():
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            self._holder, self._depth = os.getpid(), 0
        self._depth += 1

    def release(self) -> None:
        """Release the lock. Call this as often as `acquire`."""
        self._depth -= 1
        if self._depth == 0:
            self._holder = None
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: Any) -> None:
        self.release()
