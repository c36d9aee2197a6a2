"""A lock between processes that ends with the process that holds it, however that ends."""

from __future__ import annotations

import fcntl
import os
import tempfile
from typing import Any


class KernelLock:
    """As `multiprocessing.RLock`, without which a process that was killed keeps others out for ever.

    A record lock on a file of its own (`man 2 fcntl`): the kernel takes it back when its holder dies, and a child that
    is forked meanwhile does not have it. It keeps out processes, not threads: one thread of each may use it.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - as long as this is
        self._holder: int | None = None
        self._depth = 0

    def acquire(self) -> None:
        """Waits as long as another process has it."""
        if self._holder != os.getpid():
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            self._holder, self._depth = os.getpid(), 0
        self._depth += 1

    def release(self) -> None:
        """As often as it was acquired."""
        self._depth -= 1
        if self._depth == 0:
            self._holder = None
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: Any) -> None:
        self.release()
