"""New batches -> a run of `lake` for each, all started by one task.

A batch belongs to the run that was started for it as long as this run waits or works. Airflow knows, so nothing else
remembers it. A run that ended before it could claim its batch is started again.
"""

from __future__ import annotations

import logging
from typing import Any

log = logging.getLogger(__name__)

DAG = "lake"
ACTIVE = ["queued", "running"]
# The ids are part of the question's address, which the api-server reads up to 16 kB of.
RUNS_PER_QUESTION = 100


def start_all() -> None:
    """Start a run for each new batch. Raise AirflowRuntimeError at the first one that Airflow does not start."""
    from airflow.sdk.exceptions import AirflowRuntimeError
    from airflow.sdk.execution_time.comms import ErrorResponse, TriggerDagRun
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    from lakehouse.pipeline import tasks

    for run in tasks.runs_to_start(active):
        # `reset_dag_run`: if there is a run with this id, then it has ended without its batch.
        answer: Any = SUPERVISOR_COMMS.send(TriggerDagRun(dag_id=DAG, reset_dag_run=True, **run))
        if isinstance(answer, ErrorResponse):
            raise AirflowRuntimeError(answer)
        log.info("Started %s", run["run_id"])


def waiting() -> int:
    """How many runs wait for one of those that work to end."""
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    count: int = RuntimeTaskInstance.get_dr_count(dag_id=DAG, states=["queued"])
    return count


def active(run_ids: list[str]) -> set[str]:
    """Which of these runs wait or work."""
    found: set[str] = set()
    for begin in range(0, len(run_ids), RUNS_PER_QUESTION):
        found |= _active(run_ids[begin : begin + RUNS_PER_QUESTION])
    return found


def _active(run_ids: list[str]) -> set[str]:
    """Airflow tells only how many there are, so halve the list until it is all or none of them."""
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    count = RuntimeTaskInstance.get_dr_count(dag_id=DAG, run_ids=run_ids, states=ACTIVE)
    if count in (0, len(run_ids)):
        return set(run_ids) if count else set()
    middle = len(run_ids) // 2
    return _active(run_ids[:middle]) | _active(run_ids[middle:])
