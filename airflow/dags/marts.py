"""### Bring the marts up to everything that was loaded: one dbt, its models and tests visible one by one

Started by the DAG `lake` whenever it has loaded something (asset `warehouse_raw`), or by hand. One run at a time; a run
that finds the marts up to date ends at once, with everything behind `build` skipped.

| Task | What | Again |
| --- | --- | --- |
| `build` | decides whether the marts are due and runs dbt once; returns what it did. Tests that warn stand in its log | goes on where it stopped |
| `models.…` | one box per model, green when the model and its tests are through. They start no dbt and no process; each log has a line for the model and one per test (seconds, rows, message). Skipped: not part of this build (views and `dim_date` are only built when the project changed), or what it reads failed | only shows: clear `build`, not the box |
| `compare` | rows of each fact = current keys of its source, in `ops.mart_reconciliation` | compares again |
| `publish_docs` | dbt's pages of the models, at [/dbt-docs](/dbt-docs/), when the project changed | the same pages |

#### When it fails

- `build`: its log names every model and test that failed. Mend the model or the data, then clear `build` with what is
  downstream. A build that was killed is completed by its next try.
- `models.…`: the model or one of its tests failed; the log says which, and how many rows are against it. Clear `build`.
- `compare`: rows were lost or doubled, which must not happen. Keep everything as it is and report it, with
  `docker compose run --rm cli status --workspace main --format json`.
- `publish_docs`: the marts are not touched by it. Clear it to try again.
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
    """The boxes stand behind `build`, so that clearing it clears them, but do not wait for it."""

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
        boxes = {name: ModelTask(task_id=name, build="build") for name in READS}
        for name, read in READS.items():
            boxes[name] << [boxes[each] for each in read]
    built >> models


marts()
