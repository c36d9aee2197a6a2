"""Homes with a Postgres, settings of a stack, free ports: all separate from those of the developer."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse.settings import Settings, Target
from lakehouse.warehouse.embedded import server as embedded_postgres


@dataclass(frozen=True)
class Sandbox:
    """The folder of everything in a benchmark run. The jars are those of the project itself."""

    home: Path
    port: int
    jars: Path

    def settings(self, workspace: str, **others: Any) -> Settings:
        """The settings of a workspace in the sandbox."""
        return Settings.load(
            target=Target.EMBEDDED,
            home=self.home,
            workspace=workspace,
            postgres_host="127.0.0.1",
            postgres_port=self.port,
            jars_dir=self.jars,
            **others,
        )

    def environment(self) -> dict[str, str]:
        """The same for a process, without any of the caller's settings."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("LAKEHOUSE_")}
        return {
            **inherited,
            "LAKEHOUSE_TARGET": Target.EMBEDDED.value,
            "LAKEHOUSE_HOME": str(self.home),
            "LAKEHOUSE_POSTGRES_HOST": "127.0.0.1",
            "LAKEHOUSE_POSTGRES_PORT": str(self.port),
            "LAKEHOUSE_JARS_DIR": str(self.jars),
        }

    def folder(self, name: str) -> Path:
        """An empty folder for files that are no workspace."""
        folder = self.home / "files" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder


@contextmanager
def sandbox(parent: Path | None = None) -> Iterator[Sandbox]:
    """A fresh sandbox below `parent` (default: the project's own home, on the same disk as real runs)."""
    own = Settings.load()
    parent = parent or own.home
    parent.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="benchmark-", dir=parent))
    place = Sandbox(home, free_port(), own.jars_path)
    try:
        yield place
    finally:
        embedded_postgres.remove(place.settings("any"))
        shutil.rmtree(home)


def environment_of_stack(project: str, **settings: str) -> dict[str, str]:
    """Environment of a separate compose project: only the given settings of docs/stack.md and the images, no `.env`.

    The variables that `make` passes on are left out, too: with them, a nested `make` prints more than people see.
    """
    own = (
        "LAKEHOUSE_",
        "COMPOSE_",
        "STORE_",
        "WAREHOUSE_",
        "BIND_",
        "SPARK_",
        "POSTGRES_",
        "MINIO_",
        "AIRFLOW_",
        "MAKE",
    )
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.endswith("_IMAGE") or not name.startswith((*own, "SECRETS_DIR"))
    }
    return {**kept, "COMPOSE_PROJECT_NAME": project, "COMPOSE_DISABLE_ENV_FILE": "1", **settings}


def free_port() -> int:
    """A port of 127.0.0.1 on which no program listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
