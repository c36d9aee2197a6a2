"""Airflow's LocalExecutor, with workers that may be killed at any moment, and tasks that need not import.

Every task is a process, forked from a worker, and a worker is forked from the scheduler. What the scheduler imports
before, no task has to import: half of the CPU that a small task takes.

Idle workers queue for work; the first one holds the lock of the queue. In LocalExecutor this lock is a semaphore, which
a killed process never releases. The other workers would wait indefinitely, while the scheduler would still be healthy
(Airflow 3.3.2). Here the kernel releases the lock.
"""

from __future__ import annotations

import ctypes
import importlib
import multiprocessing
from multiprocessing.queues import SimpleQueue
from typing import TYPE_CHECKING, Any

from airflow.executors.local_executor import LocalExecutor

from lakehouse_airflow.kernel_lock import KernelLock

if TYPE_CHECKING:
    from airflow.models.taskinstance import TaskInstance

# What the tasks of `lake` import, and reading their file, the largest first. Importing them opens no connection.
MODULES_OF_TASKS = (
    "pyspark.sql.connect.session",
    "lakehouse.lake.s3",
    "lakehouse.silver.rules",
    "lakehouse.pipeline.tasks",
    "lakehouse.contract.odcs",
    "airflow.dag_processing.dagbag",
    "airflow.providers.standard.decorators.python",
    "airflow.sdk.definitions.decorators",
    "airflow.sdk.definitions.asset.metadata",
    "airflow.sdk.definitions.retry_policy",
    "lakehouse_airflow.defaults",
    "lakehouse_airflow.unreported",
)


class RobustLocalExecutor(LocalExecutor):
    """LocalExecutor with other locks. It can also revoke a task whose worker was killed before the task began."""

    def start(self) -> None:
        """LocalExecutor creates its queues and forks its workers in one method; this method replaces it."""
        for module in MODULES_OF_TASKS:
            importlib.import_module(module)
        self.activity_queue = _queue()
        self.result_queue = _queue()
        self.workers: dict[int, multiprocessing.Process] = {}
        self._unread_messages = multiprocessing.Value(ctypes.c_uint, lock=KernelLock())  # type: ignore[call-overload]
        self._spawn_workers_with_gc_freeze(self.parallelism)

    def revoke_task(self, *, ti: TaskInstance) -> None:
        """The scheduler calls this if a task did not begin after it was sent to a worker (`task_queued_timeout`).

        If a worker takes the task later, the api-server refuses it, since the task is no longer queued.
        """
        for key in (ti.id, ti.key):
            self.queued_tasks.pop(key, None)
            self.running.discard(key)


def _queue() -> SimpleQueue[Any]:
    queue: SimpleQueue[Any] = SimpleQueue(ctx=multiprocessing.get_context("fork"))
    queue._rlock, queue._wlock = KernelLock(), KernelLock()  # type: ignore[attr-defined]
    return queue
