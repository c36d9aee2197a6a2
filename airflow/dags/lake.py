"""### One batch: landing → bronze → silver → load → reconcile

Runs at midnight UTC for the day that has just ended, and for every new batch that `arrivals` finds. To run this DAG
manually, trigger it with a `batch_date`.

| Task | What | When repeated |
| --- | --- | --- |
| `batch` | lands what the drop folder (if there is one) contains for the day; lists the batch's tables that are due | lands nothing twice |
| `table.bronze` | stores the table's file, each record as it was sent | keeps finished work |
| `table.silver` | writes typed and unique rows; quarantines invalid records, with the reasons | keeps finished work |
| `table.load` | loads the batch's rows into the warehouse, in one transaction | keeps finished work |
| `reconcile` | counts every record of the batch at every stage, and what a killed run left uncounted; starts `marts` if the marts are outdated | counts only uncounted records |
| `outcome` | green if no table failed or is held | |

A table is held, and its `load` fails, if more than half of its records are bad (`LAKEHOUSE_HOLD_ABOVE_SHARE`): what was
loaded before stays. The other tables are loaded and the marts built, but the run ends red (`outcome`).

On a day without a batch, the tables have nothing to do. A table that fails does not stop the others, but `marts` does
not start. Several runs may be active at the same time; only one of them works on a table.

#### When it fails

The first line of the failed task's log says what to do. Airflow has already retried the task three times, unless a
retry could not help.

- `batch`, *does not keep the contract*: the delivery was refused as a whole; the log lists every fault. Let the sender
  correct it and put the files into the drop folder, in place of the old ones. The corrected batch then starts
  automatically.
- `load`, *too many records are bad*: the log names the commonest reasons, with an example each. Let the sender correct
  the file and put it into the drop folder, in place of the old one. Or accept it as it is, with the command that the
  log names, then clear the failed task.
- `bronze`, `silver`, `load`: the store, Spark or the warehouse has a problem. Fix it, then clear the failed tasks. The
  DAG `check_stack` shows which service does not answer.
- `reconcile`: records were lost between two stages, which must not happen. Change nothing and report the problem.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import CronDataIntervalTimetable, Metadata, Param, dag, task, task_group
from airflow.sdk.exceptions import AirflowSkipException

from lakehouse_airflow.defaults import DEFAULTS, LONGEST_RUN, RAW, SPARK_POOL, day_of


def batch_date(params: Any, dag_run: Any) -> str:
    """The batch that the run works on."""
    return params["batch_date"] or str(day_of(dag_run))


@dag(
    # The logical date is the day that has just ended; with @daily it would be the day that begins.
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2000, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=4,
    dagrun_timeout=LONGEST_RUN,
    params={"batch_date": Param(None, type=["null", "string"], format="date", title="Batch date, else the run's day")},
    default_args=DEFAULTS,
    doc_md=__doc__,
    tags=["pipeline"],
)
def lake() -> None:
    """Process the tables of a batch in parallel, then count the records of all of them."""

    @task
    def batch(params: Any = None, dag_run: Any = None) -> list[dict[str, str]]:
        from lakehouse.pipeline import tasks
        from lakehouse_airflow.unreported import note_claimed

        day = batch_date(params, dag_run)
        note_claimed(tasks.claim_batch(day, dag_run.run_id))
        return tasks.due_tables(day)

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

    # Runs even if there was nothing to do, since an earlier run may have ended before it counted; and even if a table
    # is held, since the others are loaded.
    @task(outlets=[RAW], trigger_rule="all_done")
    def reconcile(params: Any = None, dag_run: Any = None) -> Iterator[Metadata]:
        from lakehouse.pipeline import tasks

        counted = tasks.reconcile_tables(batch_date(params, dag_run))
        if counted is None:
            raise AirflowSkipException("The marts hold everything that was loaded, or wait for a table")
        yield Metadata(RAW, counted)

    # The run ends red if a table failed or is held. Airflow sets the state of such a task without a worker.
    outcome = EmptyOperator(task_id="outcome", trigger_rule="none_failed")
    tables = table.expand_kwargs(batch())
    tables >> reconcile() >> outcome
    tables >> outcome


lake()
