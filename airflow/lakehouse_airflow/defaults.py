"""What the tasks of all the pipeline's DAGs have in common. Imported by DAG files: reads nothing, needs no network."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from airflow.sdk import Asset, ExceptionRetryPolicy, RetryAction, RetryRule

# Everything that was loaded into the warehouse: `lake` says when it has changed, `marts` is started by it.
RAW = Asset(name="warehouse_raw", uri="lakehouse://warehouse/raw", group="lakehouse")

# Tasks that hold a Spark client of 200 MB each; airflow/bin/init.py makes the pool.
SPARK_POOL = "spark"

# When a run ends that would go on for ever: a task that hangs in a library ends by no time limit of its own.
LONGEST_RUN = timedelta(hours=6)

# What no second try can mend: somebody has to look.
NO_RETRY = [
    "lakehouse.errors.ConfigurationError",
    "lakehouse.errors.ContractError",
    "lakehouse.errors.DeliveryRefused",
    "lakehouse.errors.ReconciliationError",
]

# After 15 to 30 seconds, 30 to 60, one to two minutes: a service that restarts is back by then.
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
    """The batch of a run whose conf names none: the day that had ended when it was due; begun by hand, today (UTC)."""
    day: date = (run.logical_date or run.run_after).date()
    return day
