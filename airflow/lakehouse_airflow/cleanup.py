"""An age -> remove Airflow's older logs from the log volume, and its older runs from the database."""

from __future__ import annotations

import logging
import os
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

log = logging.getLogger(__name__)


def remove_logs(older_than: timedelta) -> int:
    """Remove old files, and folders that become empty, from the log folder. Return the number of removed files.

    dbt's pages are in the same folder and stay: they are current as long as the models do not change.
    """
    from airflow.sdk.configuration import conf

    from lakehouse_airflow.build_marts import docs_folder

    root = Path(conf.get("logging", "base_log_folder"))
    limit = time.time() - older_than.total_seconds()
    removed = 0
    for folder, _, names in os.walk(root, topdown=False):
        if Path(folder) == docs_folder():
            continue
        for name in names:
            file = Path(folder, name)
            if file.lstat().st_mtime < limit:
                file.unlink()
                removed += 1
        if Path(folder) != root and Path(folder).stat().st_mtime < limit and not any(Path(folder).iterdir()):
            Path(folder).rmdir()
    log.info("%s files older than %s removed from %s", f"{removed:,}", older_than, root)
    return removed


def remove_runs(older_than: timedelta) -> None:
    """Remove runs, events and jobs with Airflow's own command, which keeps the newest run of each DAG."""
    before = (datetime.now(UTC) - older_than).isoformat(timespec="seconds")
    # A task's environment blocks access to the database, but this command needs it.
    environment = {name: value for name, value in os.environ.items() if not name.endswith("__SQL_ALCHEMY_CONN")}
    command = ["airflow", "db", "clean", "--clean-before-timestamp", before, "--skip-archive", "--yes"]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    for line in (process.stdout + process.stderr).splitlines():
        log.info("%s", line)
    if process.returncode:
        raise RuntimeError(f"`{' '.join(command)}` ended with {process.returncode}: its last lines are above")
