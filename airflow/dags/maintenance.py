"""### Once a week: merge small files, remove old ones, check everything

Runs on Sundays at 03:00 UTC; by hand at any time, also beside other runs.

| Task | What | Again |
| --- | --- | --- |
| `maintain` | as `lakehouse maintain`: OPTIMIZE and VACUUM of the lake, ANALYZE of the warehouse, what killed runs left, every dbt test on all rows | finds less to do |
| `airflow_logs` | removes logs older than 30 days | finds nothing |
| `airflow_runs` | removes runs older than 90 days from Airflow's database | finds nothing |

#### When it fails

- `maintain`: the first line of its log says what to do. Daily builds test only what has changed: a dbt test that
  fails here alone found older rows. The message names it; nothing was changed by it.
- `airflow_logs`: full disk, or rights on the volume of the logs.
- `airflow_runs`: what `airflow db clean` said is in its log.
"""  # noqa: E501

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, dag, task

from lakehouse_airflow.defaults import DEFAULTS, LONGEST_RUN, SPARK_POOL

KEEP_LOGS = timedelta(days=30)
KEEP_RUNS = timedelta(days=90)


@dag(
    # Without a start date: with one, a new stack would begin with last Sunday's run.
    schedule=CronTriggerTimetable("0 3 * * 0", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=LONGEST_RUN,
    default_args=DEFAULTS,
    doc_md=__doc__,
    tags=["pipeline"],
)
def maintenance() -> None:
    """Three tasks that need nothing of each other."""

    @task(pool=SPARK_POOL, execution_timeout=timedelta(hours=2))
    def maintain() -> dict[str, Any]:
        from lakehouse.pipeline import tasks

        return tasks.clean_up()

    @task
    def airflow_logs() -> int:
        from lakehouse_airflow import cleanup

        return cleanup.remove_logs(older_than=KEEP_LOGS)

    @task
    def airflow_runs() -> None:
        from lakehouse_airflow import cleanup

        cleanup.remove_runs(older_than=KEEP_RUNS)

    maintain()
    airflow_logs()
    airflow_runs()


maintenance()
