"""The DAG files -> exit code 0, or 1 with everything that is wrong with them. Run in the image, without a network:

    docker run --rm --pull never --network none --read-only --tmpfs /tmp IMAGE python airflow/bin/check_dags.py [FOLDER]

Every file must be read within a second and define a DAG. Every DAG must have a text that says what to do when it fails.
Every task must have an owner and a time limit; the pipeline's tasks must also have retries with growing delays.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

DAGS = Path(__file__).parent.parent / "dags"
SECONDS_PER_FILE = 1.0
PIPELINE = "pipeline"

if TYPE_CHECKING:
    from airflow.sdk import DAG

# Reading DAG files needs no database, but Airflow requires one to be configured.
os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = "sqlite:////tmp/check_dags.db"
os.environ["AIRFLOW__LOGGING__BASE_LOG_FOLDER"] = "/tmp"  # noqa: S108 - of a container that ends with this check


def main() -> None:
    """Print all faults. If there are none, print each task with its next tasks: `lake: table.bronze > table.silver`."""
    from airflow.dag_processing.dagbag import DagBag

    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DAGS
    bag = DagBag(dag_folder=folder, bundle_path=folder, bundle_name="dags")
    faults = [f"{file}: {error.strip()}" for file, error in bag.import_errors.items()]
    for stat in bag.dagbag_stats:
        seconds = stat.duration.total_seconds()
        if seconds > SECONDS_PER_FILE:
            faults.append(f"{stat.file}: takes {seconds:.1f} s to read; move imports into the tasks")
        if not stat.dag_num:
            faults.append(f"{stat.file}: holds no DAG")
    for dag in bag.dags.values():
        faults += [f"{dag.dag_id}{fault}" for fault in _faults(dag)]
    if not bag.dags:
        faults.append(f"{folder}: no DAG at all")
    if faults:
        sys.exit("\n".join(faults))
    for dag in bag.dags.values():
        for task in dag.tasks:
            print(f"{dag.dag_id}: {task.task_id} > {' '.join(sorted(task.downstream_task_ids))}".strip())  # noqa: T201


def _faults(dag: DAG) -> Iterator[str]:
    if "## When it fails" not in (dag.doc_md or ""):
        yield ': no doc_md with a part "When it fails"'
    for task in dag.tasks:
        if task.owner == "airflow":
            yield f".{task.task_id}: no owner"
        if task.execution_timeout is None:
            yield f".{task.task_id}: no execution_timeout"
        shows_only = task.start_from_trigger  # the task whose result this one shows has retries
        if PIPELINE in dag.tags and not (shows_only or (task.retries and task.retry_exponential_backoff)):
            yield f".{task.task_id}: not tried again, or without exponential backoff"


if __name__ == "__main__":
    main()
