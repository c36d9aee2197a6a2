"""Shared by the tasks of all the pipeline's DAGs. DAG files import this, so it reads no files and needs no network."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from airflow.sdk import Asset, ExceptionRetryPolicy, RetryAction, RetryRule

# The asset for everything loaded into the warehouse: `lake` reports changes to it, and each change starts `marts`.
RAW = Asset(name="warehouse_raw", uri="lakehouse://warehouse/raw", group="lakehouse")

# The pool of tasks with a Spark client of 200 MB each; airflow/bin/init.py creates it.
SPARK_POOL = "spark"

# Ends a run that would never end: a task that hangs in a library ignores its own time limit.
LONGEST_RUN = timedelta(hours=6)

# Errors that no retry can fix: a person has to fix the cause.
NO_RETRY = [
    "lakehouse.errors.BatchHeld",
    "lakehouse.errors.ConfigurationError",
    "lakehouse.errors.ContractError",
    "lakehouse.errors.DeliveryRefused",
    "lakehouse.errors.ReconciliationError",
]

# Retries after 15 to 30 seconds, 30 to 60, one to two minutes: a restarting service is back by then.
DEFAULTS: dict[str, Any] = {
    "owner": "lakehouse",
    "retries": 3,
    "retry_delay": timedelta(seconds=15),
    "retry_exponential_backoff": 2,
    "max_retry_delay": timedelta(minutes=5),
    "retry_policy": ExceptionRetryPolicy(rules=[RetryRule(exception=NO_RETRY, action=RetryAction.FAIL)]),
    "execution_timeout": timedelta(minutes=30),
}


def day_of(run: Any) -> date:
    """Batch date for a run without one in its conf.

    The UTC day that had just ended when a scheduled run was due, or today for a manual run.
    """
    day: date = (run.logical_date or run.run_after).date()
    return day
