"""### A batch has arrived: start `lake` for it

The triggerer checks landing, and the drop folder if there is one, every few seconds. New content there starts this DAG.
As long as nothing arrives, no worker is busy.

| Task | What | When repeated |
| --- | --- | --- |
| `start_runs` | starts a run of the DAG `lake` for each batch that no run has claimed, except for those that are already loaded unchanged | starts nothing twice |
| `drop_folder` | fails if it cannot read something in the drop folder: a damaged zip, a folder without read permission | checks again |

A batch waits as a queued run of `lake`; four runs work at the same time. If a run ends before it could claim its batch,
the next check starts it again.

A batch that is delivered again, in part or as a whole, is a new batch. A dropped batch is complete when none of its
files has been written to for five seconds. If another file arrives later, the batch is new again.

#### When it fails

- `drop_folder`: its log names what cannot be read. Correct or remove it; the other batches have started anyway.
- `start_runs`: the store or the warehouse does not answer. Fix it (`check_stack` shows which), then clear the
  failed task. Batches that arrived in the meantime are not lost, since each run checks all batches.

After unpausing this DAG, trigger it manually or wait up to an hour: until then it does not see what arrived while it
was paused.
"""  # noqa: E501

from __future__ import annotations

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
    """Find the new batches and start one run of `lake` for each."""

    @task
    def start_runs() -> None:
        from lakehouse_airflow import lake_runs

        lake_runs.start_all()

    @task
    def drop_folder() -> None:
        from lakehouse.pipeline import tasks

        tasks.look_into_drop_folder()

    start_runs()
    drop_folder()


arrivals()
