"""### Update the marts to everything that was loaded: one dbt process, a task per model

The DAG `lake` starts it whenever it has loaded something (asset `warehouse_raw`); it may also be triggered manually.
One run at a time. A run that finds the marts up to date ends immediately and skips everything after `build`.

| Task | What | When repeated |
| --- | --- | --- |
| `build` | decides whether the marts are due and runs dbt once; returns what it did. Its log names the tests that warn | continues where it stopped |
| `models.…` | a task per model, green when the model and its tests have passed. They start no dbt and no process; each log has a line for the model and one per test (seconds, rows, message). Skipped: the model is not part of this build (views and `dim_date` are only built when the project changed), or a model that it reads failed | only shows the result: clear `build` instead |
| `compare` | checks that each fact has as many rows as its source has current keys; writes to `ops.mart_reconciliation` | compares again |
| `publish_docs` | publishes dbt's pages of the models at [/dbt-docs](/dbt-docs/), when the project changed | the same pages |

#### When it fails

- `build`: its log names every model and test that failed. Fix the model or the data, then clear `build` with what is
  downstream. The next try completes a build that was killed.
- `models.…`: the model or one of its tests failed; the log says which, and how many rows violate the test. Clear
  `build`.
- `compare`: rows were lost or doubled, which must not happen. Keep everything as it is and report it, with
  `docker compose run --rm cli status --workspace main --format json`.
- `publish_docs`: the marts are not affected. Clear it to try again.
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
    """The model tasks are downstream of `build`, so that clearing it clears them, but they do not wait for it."""

    @task(execution_timeout=timedelta(hours=1))
    def build(**context: Any) -> dict[str, Any]:
        from lakehouse_airflow.build_marts import build_marts

        return build_marts(context)

    @task
    def compare() -> None:
        from lakehouse.pipeline import tasks

        tasks.reconcile_facts()

    @task
    def publish_docs() -> str:
        from lakehouse.pipeline import tasks
        from lakehouse_airflow.build_marts import docs_folder

        return tasks.publish_docs(docs_folder())

    built = build()
    built >> [compare(), publish_docs()]
    with TaskGroup("models", tooltip="what dbt builds") as models:
        tasks = {name: ModelTask(task_id=name, build="build") for name in READS}
        for name, read in READS.items():
            tasks[name] << [tasks[each] for each in read]
    built >> models


marts()
