"""The DAG files -> exit code 0, or 1 with everything that is wrong with them. Run in the image, without a network:

    docker run --rm --network none --read-only --tmpfs /tmp IMAGE python airflow/check_dags.py

Every file must be read within a second and hold a DAG; every DAG must have an owner, a time limit for its tasks, and a
text that says what to do when it fails.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

DAGS = Path(__file__).parent / "dags"
SECONDS_PER_FILE = 1.0

# Reading DAG files needs no database; Airflow wants to know of one.
os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = "sqlite:////tmp/check_dags.db"
os.environ["AIRFLOW__LOGGING__BASE_LOG_FOLDER"] = "/tmp"  # noqa: S108 - of a container that ends with this check


def main() -> None:
    """Print one line per DAG, or per fault."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=DAGS, bundle_path=DAGS, bundle_name="dags")
    faults = [f"{file}: {error.strip()}" for file, error in bag.import_errors.items()]
    for stat in bag.dagbag_stats:
        seconds = stat.duration.total_seconds()
        if seconds > SECONDS_PER_FILE:
            faults.append(f"{stat.file}: takes {seconds:.1f} s to read; move imports into the tasks")
        if not stat.dag_num:
            faults.append(f"{stat.file}: holds no DAG")
    for dag in bag.dags.values():
        if not dag.doc_md:
            faults.append(f"{dag.dag_id}: no doc_md says what to do when it fails")
        for task in dag.tasks:
            if task.owner == "airflow":
                faults.append(f"{dag.dag_id}.{task.task_id}: no owner")
            if task.execution_timeout is None:
                faults.append(f"{dag.dag_id}.{task.task_id}: no execution_timeout")
    if not bag.dags:
        faults.append(f"{DAGS}: no DAG at all")
    for dag in bag.dags.values():
        print(f"{dag.dag_id}: {', '.join(task.task_id for task in dag.tasks)}")  # noqa: T201
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
