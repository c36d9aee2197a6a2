"""Airflow's LocalExecutor, with workers that may be killed at any moment.

Idle workers wait for work one behind the other: the first has the lock of the queue. In LocalExecutor that lock is a
semaphore, which nobody gives back for a process that was killed: the other workers then wait for ever, and the
scheduler stays healthy (Airflow 3.3.2). Here the kernel gives it back.
"""

from __future__ import annotations

import ctypes
import multiprocessing
from multiprocessing.queues import SimpleQueue
from typing import TYPE_CHECKING, Any

from airflow.executors.local_executor import LocalExecutor

from lakehouse_airflow.kernel_lock import KernelLock

if TYPE_CHECKING:
    from airflow.models.taskinstance import TaskInstance


class RobustLocalExecutor(LocalExecutor):
    """Differs in its locks, and in that it lets go of a task whose worker was killed before it began."""

    def start(self) -> None:
        """LocalExecutor makes its queues and forks its workers in one method: this is the whole of it."""
        self.activity_queue = _queue()
        self.result_queue = _queue()
        self.workers: dict[int, multiprocessing.Process] = {}
        self._unread_messages = multiprocessing.Value(ctypes.c_uint, lock=KernelLock())  # type: ignore[call-overload]
        self._spawn_workers_with_gc_freeze(self.parallelism)

    def revoke_task(self, *, ti: TaskInstance) -> None:
        """Asked for by the scheduler when a task was handed over and did not begin (`task_queued_timeout`).

        Should a worker come to it after all, the api-server refuses to begin a task that is not queued.
        """
        for key in (ti.id, ti.key):
            self.queued_tasks.pop(key, None)
            self.running.discard(key)


def _queue() -> SimpleQueue[Any]:
    queue: SimpleQueue[Any] = SimpleQueue(ctx=multiprocessing.get_context("fork"))
    queue._rlock, queue._wlock = KernelLock(), KernelLock()  # type: ignore[attr-defined]
    return queue
