"""### A batch has come: start `lake` for it

The triggerer looks at landing, and at the drop folder if there is one, every few seconds. What is new there starts this
DAG; no worker is busy while nothing comes.

| Task | What | Again |
| --- | --- | --- |
| `news` | compares what is there with what a run has begun with, or somebody has loaded as it is | says the same |
| `drop_folder` | fails if something in the drop folder cannot be looked into: a damaged zip, a folder that nobody may read | says the same |
| `lake` | starts the DAG `lake`, once per batch and content | starts nothing twice |

A batch that is delivered again, in part or as a whole, is news. A dropped batch is complete when none of its files was
written to for five seconds; another file later makes it news again.

#### When it fails

- `drop_folder`: its log names what cannot be looked into. Correct or remove it; other batches have started all the same.
- `news`, `lake`: store or warehouse do not answer. Mend them (`check_stack` tells which), then clear the failed task. Nothing
  that came meanwhile is lost: each run looks at everything that is there.

A run that is triggered by hand looks, too: do that after this DAG was paused, or wait for an hour.
"""  # noqa: E501

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Asset, AssetWatcher, dag, task

from lakehouse_airflow.defaults import DEFAULTS, LONGEST_RUN
from lakehouse_airflow.landing_trigger import LandingTrigger

LANDING = Asset(
    name="landing", uri="lakehouse://landing", group="lakehouse", watchers=[AssetWatcher("arrivals", LandingTrigger())]
)


@dag(
    schedule=[LANDING],
    max_active_runs=1,
    dagrun_timeout=LONGEST_RUN,
    default_args=DEFAULTS,
    doc_md=__doc__,
    tags=["pipeline"],
)
def arrivals() -> None:
    """From what was noticed to one run of `lake` per batch."""

    @task
    def news() -> list[dict[str, Any]]:
        from lakehouse.pipeline import tasks

        return tasks.runs_to_start()

    @task
    def drop_folder() -> None:
        from lakehouse.pipeline import tasks

        tasks.look_into_drop_folder()

    drop_folder()
    TriggerDagRunOperator.partial(
        task_id="lake", trigger_dag_id="lake", logical_date=None, skip_when_already_exists=True
    ).expand_kwargs(news())


arrivals()
