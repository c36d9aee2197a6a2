"""### Once a week: merge small files, remove old ones, check everything

Runs on Sundays at 03:00 UTC. It may be triggered manually at any time, even during other runs.

| Task | What | When repeated |
| --- | --- | --- |
| `maintain` | what `lakehouse maintain` does: OPTIMIZE and VACUUM of the lake, ANALYZE of the warehouse, cleanup of leftovers from killed runs, and every dbt test on all rows | finds less to do |
| `airflow_logs` | removes logs older than 30 days | finds nothing |
| `airflow_runs` | removes runs older than 90 days from Airflow's database | finds nothing |

#### When it fails

- `maintain`: the first line of its log says what to do. Daily builds test only what has changed, so a dbt test that
  fails only here has found older rows. The message names the test; the failure has changed no data.
- `airflow_logs`: the disk is full, or the volume of the logs has wrong permissions.
- `airflow_runs`: its log contains the output of `airflow db clean`.
"""  # noqa: E501

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, dag, task

from lakehouse_airflow.defaults import DEFAULTS, LONGEST_RUN, SPARK_POOL

KEEP_LOGS = timedelta(days=30)
KEEP_RUNS = timedelta(days=90)


@dag(
    # No start date: with one, a new stack would begin with last Sunday's run.
    schedule=CronTriggerTimetable("0 3 * * 0", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=LONGEST_RUN,
    default_args=DEFAULTS,
    doc_md=__doc__,
    tags=["pipeline"],
)
def maintenance() -> None:
    """Three independent tasks."""

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
