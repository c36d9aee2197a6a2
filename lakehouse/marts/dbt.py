"""Arguments of dbt -> its models and tests, each as soon as it has finished.

dbt runs in a separate process (dbt_process.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import MartsError
from lakehouse.settings import PROJECT_DIR, Settings

# work_mem: the sorts of a full refresh fit into memory. jit: compiling the queries takes longer than running them.
# synchronous_commit: marts can be built again, so a commit need not wait for the disk. The commit of `complete`
# does wait, and a commit survives a crash only together with all earlier commits.
SESSION_OPTIONS = "-c work_mem=64MB -c jit=off -c synchronous_commit=off"


@dataclass(frozen=True)
class Node:
    """A finished model or test. `rows`: how many rows a model wrote (None for a view) or fail a test."""

    name: str
    kind: str
    status: str
    seconds: float
    message: str
    rows: int | None

    def __str__(self) -> str:
        return f"{self.name}: {' '.join(self.message.split())}"

    @property
    def rows_written(self) -> int | None:
        """Rows that a model wrote; None for a view or a test."""
        return self.rows if self.kind == "model" else None


# Called with each model and test as soon as it has finished; manifest.json exists by then.
Log = Callable[[Node], None]


def run_dbt(settings: Settings, folder: Path, arguments: Sequence[str], log: Log) -> list[Node]:
    """Run dbt; its artefacts (such as manifest.json) and logs are in `folder`.

    Raises MartsError naming every model and test that failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--project-dir", str(settings.dbt_dir), "--profiles-dir", str(settings.dbt_dir)]
    options += ["--target-path", str(folder), "--log-path", str(folder / "logs")]
    options += ["--log-level", "none", "--log-level-file", "info", "--no-version-check"]
    nodes: list[Node] = []
    with _started(settings, folder, [*arguments, *options]) as process:
        assert process.stdout is not None
        for line in process.stdout:
            node = Node(**json.loads(line))
            nodes.append(node)
            log(node)
        code = process.wait()
    failed = [node for node in nodes if node.status in ("error", "fail")]
    if failed:
        raise MartsError(
            "\n  ".join(["dbt could not build the marts:", *map(str, failed)])
            + f"\nWhat depends on them was left as it was. Details are in {folder / 'logs' / 'dbt.log'}.\n"
            "Fix the model or the data it complains about, and run the same command again."
        )
    if code != 0:
        complaint = (folder / "dbt.err").read_text(encoding="utf-8", errors="replace").strip()
        raise MartsError(
            f"dbt stopped with code {code}:\n{complaint or 'it said nothing: it was killed.'}\n"
            "The marts are completed by the next run: run the same command again."
        )
    return nodes


@contextmanager
def _started(settings: Settings, folder: Path, arguments: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """Start dbt in a process that ends when this process leaves the block or dies (see dbt_process.py)."""
    environment = {
        **os.environ,
        "LAKEHOUSE_DBT_HOST": settings.postgres_host,
        "LAKEHOUSE_DBT_PORT": str(settings.postgres_port),
        "LAKEHOUSE_DBT_DATABASE": settings.database_name,
        "DBT_ENV_SECRET_PASSWORD": settings.password("transformer"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "PGOPTIONS": SESSION_OPTIONS,
    }
    with (folder / "dbt.err").open("w", encoding="utf-8") as complaints:
        process = subprocess.Popen(
            [settings.dbt_python or sys.executable, "-m", "lakehouse.marts.dbt_process", *arguments],
            cwd=PROJECT_DIR,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C reaches only this process, which then ends dbt
        )
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
