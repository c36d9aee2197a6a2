"""### Update the marts to everything that was loaded: one dbt process, a task per model

The DAG `lake` starts this DAG (through the asset `warehouse_raw`) whenever it has loaded something. You may also
trigger it manually. Only one run is active at a time. A run that finds the marts up to date ends immediately and skips
everything after `build`.

| Task | What | When repeated |
| --- | --- | --- |
| `build` | decides whether the marts are due, runs dbt once and returns what was built. The log names the tests that warn. While batches wait in the queue of `lake`, it begins five minutes after the last build (`up_for_reschedule`), with all that was loaded until then | continues where it stopped |
| `models.…` | one task per model, green when the model and its tests have succeeded. These tasks start neither dbt nor a process. Each log has a line for the model and one per test (seconds, rows, message). A task is skipped if its model is not part of this build (views, also `data_quality`, and `dim_date` are only built after a change of the project), or if a model that it reads failed | only shows the result: clear `build` instead |
| `compare` | checks that each fact has as many rows as its source has current keys; writes to `ops.mart_reconciliation` | compares again |
| `publish_report` | writes the report at [/report](/report/) when the marts, the counts of the files or the report itself have changed | writes the same report |
| `publish_docs` | publishes dbt's documentation of the models at [/dbt-docs](/dbt-docs/) after a change of the project | publishes the same pages |

#### When it fails

- `build`: its log names every model and test that failed. Fix the model or the data, then clear `build` and its
  downstream tasks. If a build was killed, the next try completes it.
- `models.…`: the model or one of its tests failed; the log says which, and how many rows violate the test. Clear
  `build`.
- `compare`: rows were lost or duplicated, which must not happen. Change nothing and report the output of
  `docker compose run --rm cli status --workspace main --format json`.
- `publish_report`, `publish_docs`: the marts are not affected. Clear the task to try again.
"""  # noqa: E501

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import TaskGroup, dag, task

from lakehouse_airflow.defaults import DEFAULTS, LONGEST_RUN, RAW
from lakehouse_airflow.model_graph import READS
from lakehouse_airflow.model_tasks import ModelTask


@dag(
    schedule=[RAW],
    max_active_runs=1,
    dagrun_timeout=LONGEST_RUN,
    doc_md=__doc__,
    tags=["pipeline"],
    default_args=DEFAULTS,
)
def marts() -> None:
    """The model tasks are downstream of `build`, so clearing `build` clears them. But they do not wait for `build`."""

    @task(execution_timeout=timedelta(hours=1))
    def build(**context: Any) -> dict[str, Any]:
        from lakehouse_airflow.build_marts import build_marts

        return build_marts(context)

    @task
    def compare() -> None:
        from lakehouse.pipeline import tasks

        tasks.reconcile_facts()

    @task
    def publish_report() -> str:
        from lakehouse.pipeline import tasks
        from lakehouse_airflow.build_marts import report_file

        return tasks.publish_report(report_file())

    @task
    def publish_docs() -> str:
        from lakehouse.pipeline import tasks
        from lakehouse_airflow.build_marts import docs_folder

        return tasks.publish_docs(docs_folder())

    built = build()
    built >> [compare(), publish_report(), publish_docs()]
    with TaskGroup("models", tooltip="what dbt builds") as models:
        tasks = {name: ModelTask(task_id=name, build="build") for name in READS}
        for name, read in READS.items():
            tasks[name] << [tasks[each] for each in read]
    built >> models


marts()
