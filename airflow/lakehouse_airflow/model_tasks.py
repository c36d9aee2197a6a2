"""A task per dbt model. The task `build` runs dbt; a model's task ends the way its model ended there.

A model task starts no process: the triggerer follows the progress file that the build writes on the volume of the logs
(lakehouse/marts/progress.py), copies dbt's results into the task's log and ends the task. If a build failed, was killed
or never began, the trigger asks Airflow whether another try follows. It asks no earlier, since the first question
makes the triggerer start its own execution API, which takes 70 MB.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator, TriggerRule
from airflow.sdk.configuration import conf
from airflow.triggers.base import BaseTrigger, StartTriggerArgs, TaskFailedEvent, TaskSkippedEvent, TaskSuccessEvent

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
ASK_SECONDS = 3.0
# How long to wait for a build to begin before asking Airflow about it.
BEGIN_SECONDS = 20.0
# Enough for a build that waits for others and is retried.
LONGEST = timedelta(hours=6)

OVER = {"success", "failed", "skipped", "upstream_failed", "removed"}
EVENTS = {"success": TaskSuccessEvent, "failed": TaskFailedEvent, "skipped": TaskSkippedEvent}
LEVELS = {"warn": logging.WARNING, "error": logging.ERROR, "fail": logging.ERROR}


def progress_file(dag_id: str, run_id: str) -> Path:
    """The build's progress file. It is beside the logs of the run's tasks, so that it is removed with them."""
    return Path(conf.get("logging", "base_log_folder"), f"dag_id={dag_id}", f"run_id={run_id}", "progress.jsonl")


class ModelTask(BaseOperator):
    """`task_id` is the model's name. It watches the build from the run's start. Arrows show what the model reads."""

    ui_color = "#fff4ee"
    start_from_trigger = True

    def __init__(self, *, build: str, **arguments: Any) -> None:
        arguments |= {"retries": 0, "trigger_rule": TriggerRule.ALWAYS, "execution_timeout": LONGEST}
        super().__init__(**arguments)
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls="lakehouse_airflow.model_tasks.ModelTrigger",
            trigger_kwargs={"model": self.label, "build": build},
            next_method="execute_complete",
        )

    def execute_complete(self, context: Any, event: Any) -> None:
        """Never called: the trigger ends the task."""
        raise NotImplementedError(event)


class ModelTrigger(BaseTrigger):
    """Waits until it is known how `model` ended in the run's task `build`."""

    timeout_after: Any  # set by the triggerer: the task's start plus LONGEST

    def __init__(self, model: str, build: str) -> None:
        super().__init__()
        self.model = model
        self.build = build

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and its arguments, for Airflow's database."""
        return "lakehouse_airflow.model_tasks.ModelTrigger", {"model": self.model, "build": self.build}

    async def run(self) -> AsyncIterator[Any]:
        """Yield one event, which ends the task."""
        from lakehouse.marts.progress import judge, report

        run = self.task_instance
        path = progress_file(run.dag_id, run.run_id)
        since = (self.timeout_after - LONGEST).timestamp()
        ask_at = time.monotonic() + BEGIN_SECONDS
        is_over = False
        while True:
            attempt, goes_on = await asyncio.to_thread(_look, path)
            verdict = judge(self.model, attempt, since=since, is_over=is_over)
            if verdict:
                break
            if attempt and attempt.began_at >= since and not goes_on:
                ask_at = min(ask_at, time.monotonic() + ASK_SECONDS)
            if time.monotonic() > ask_at and not goes_on:
                is_over = await _is_over(run.dag_id, run.run_id, self.build)
                ask_at = time.monotonic() + ASK_SECONDS
            else:
                await asyncio.sleep(LOOK_SECONDS)
        for node in report(self.model, attempt):
            self.log.log(LEVELS.get(node.status, logging.INFO), described(node))
        if verdict.reason:
            self.log.log(logging.ERROR if verdict.state == "failed" else logging.INFO, verdict.reason)
        yield EVENTS[verdict.state]()


def described(node: Any) -> str:
    """Describe a model or test in a line for the log."""
    facts = [node.status]
    if node.rows is not None and node.status != "skipped":
        facts.append(f"{node.rows:,} rows" + (" against it" if node.kind == "test" else ""))
    return f"{node.kind} {node.name}: {', '.join(facts)}, {node.seconds:.2f} s; {' '.join(node.message.split())}"


def _look(path: Path) -> tuple[Any, bool]:
    """The build's last attempt, and whether it is still running.

    Thirty triggers watch one file, so read it only when it has changed.
    """
    from lakehouse.marts.progress import is_being_written

    goes_on = is_being_written(path)
    try:
        found = path.stat()
    except FileNotFoundError:
        return None, goes_on
    return _read_version(path, found.st_ino, found.st_size), goes_on


@lru_cache(maxsize=8)
def _read_version(path: Path, _inode: int, _size: int) -> Any:
    from lakehouse.marts.progress import read_attempt

    return read_attempt(path)


# (DAG, run, task) -> time and answer of the last question to Airflow, shared by all model tasks of a run.
_answers: dict[tuple[str, str, str], tuple[float, bool]] = {}
_asking = asyncio.Lock()


async def _is_over(dag_id: str, run_id: str, task_id: str) -> bool:
    """Whether a task of this run has ended and will not be retried."""
    from airflow.sdk.exceptions import AirflowRuntimeError
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    key = (dag_id, run_id, task_id)
    async with _asking:
        asked_at, answer = _answers.get(key, (0.0, False))
        if time.monotonic() - asked_at > LOOK_SECONDS:
            ask = RuntimeTaskInstance.get_task_states
            try:
                states = await asyncio.to_thread(ask, dag_id=dag_id, task_ids=[task_id], run_ids=[run_id])
            except AirflowRuntimeError as error:  # its database is unreachable for a while
                log.warning("Whether %s is over is not known yet; asking again: %s", task_id, error)
                states = {}
            answer = states.get(run_id, {}).get(task_id) in OVER
            _answers.clear()
            _answers[key] = (time.monotonic(), answer)
    return answer
