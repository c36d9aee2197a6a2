"""### One batch: landing → bronze → silver → load → reconcile

Runs at midnight UTC for the day that has just ended, and for every batch that `arrivals` notices. By hand: trigger it
with a `batch_date`.

| Task | What | Again |
| --- | --- | --- |
| `batch` | lands what the drop folder holds for the day, if there is one; names the tables of the batch that are due | lands nothing twice |
| `table.bronze` | the table's file, record by record as it was sent | what is done stays as it is |
| `table.silver` | typed and unique rows; the rest into quarantine, with the reason | the same |
| `table.load` | the batch's rows in the warehouse, all at once | the same |
| `reconcile` | counts every record at every stage; `marts` starts if they are behind | counts what was not counted |

A day without a batch has nothing to do for the tables. A table that fails does not stop the others, but `marts` does
not start. Several runs may go on side by side: a table is worked on by one of them at a time.

#### When it fails

The first line of the failed task's log says what to do. Every task was tried three more times already, unless that
could not help.

- `batch`, *does not keep the contract*: the delivery was refused as a whole, every fault is listed. Let the sender
  correct it and put the files into the drop folder, in place of the old ones: the corrected batch runs by itself.
- `bronze`, `silver`, `load`: store, Spark or warehouse. Mend it, clear the failed tasks. The DAG `check_stack` tells
  which of them does not answer.
- `reconcile`: records were lost between two stages, which must not happen. Keep everything as it is and report it.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import CronDataIntervalTimetable, Metadata, Param, dag, task, task_group
from airflow.sdk.exceptions import AirflowSkipException

from lakehouse_airflow.defaults import DEFAULTS, LONGEST_RUN, RAW, SPARK_POOL, day_of


@dag(
    # The logical date is the day that has just ended: with @daily it would be the one that begins.
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2000, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=4,
    dagrun_timeout=LONGEST_RUN,
    params={"batch_date": Param(None, type=["null", "string"], format="date", title="Batch date, else the day")},
    default_args=DEFAULTS,
    doc_md=__doc__,
    tags=["pipeline"],
)
def lake() -> None:
    """The tables of a batch side by side, then one count of them all."""

    @task
    def batch(params: Any = None, dag_run: Any = None) -> list[dict[str, str]]:
        from lakehouse.pipeline import tasks

        return tasks.prepare_batch(params["batch_date"] or str(day_of(dag_run)), dag_run.run_id)

    @task(map_index_template="{{ task.op_kwargs['table'] }}")
    def bronze(table: str, batch_date: str) -> dict[str, int]:
        from lakehouse.pipeline import tasks

        return tasks.run_step("bronze", table, batch_date)

    @task(map_index_template="{{ task.op_kwargs['table'] }}", pool=SPARK_POOL)
    def silver(table: str, batch_date: str) -> dict[str, int]:
        from lakehouse.pipeline import tasks

        return tasks.run_step("silver", table, batch_date)

    @task(map_index_template="{{ task.op_kwargs['table'] }}", pool=SPARK_POOL)
    def load(table: str, batch_date: str) -> dict[str, int]:
        from lakehouse.pipeline import tasks

        return tasks.run_step("load", table, batch_date)

    @task_group
    def table(table: str, batch_date: str) -> None:
        of_batch = {"table": table, "batch_date": batch_date}
        bronze(**of_batch) >> silver(**of_batch) >> load(**of_batch)

    # Also when there was nothing to do: an earlier run may have ended before it counted.
    @task(outlets=[RAW], trigger_rule="none_failed")
    def reconcile() -> Iterator[Metadata]:
        from lakehouse.pipeline import tasks

        counted = tasks.reconcile_tables()
        if counted is None:
            raise AirflowSkipException("The marts hold everything that was loaded")
        yield Metadata(RAW, counted)

    table.expand_kwargs(batch()) >> reconcile()


lake()
