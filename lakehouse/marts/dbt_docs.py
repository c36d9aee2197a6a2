"""dbt's models in the warehouse -> dbt's documentation page: one file, named after the project's hash."""

from __future__ import annotations

import os
from pathlib import Path

from lakehouse import warehouse
from lakehouse.marts.dbt import run_dbt
from lakehouse.marts.step import project_hash
from lakehouse.settings import Settings


def are_due(settings: Settings, folder: Path) -> bool:
    """Whether the folder has no page of this version of the project."""
    return not _page(settings, folder).is_file()


def publish(settings: Settings, folder: Path) -> Path:
    """Write the page, then remove older ones, so that a reader always gets a whole page.

    Raises MartsError if dbt cannot create the page.
    """
    page = _page(settings, folder)
    # A separate folder: dbt's files in the build's folder belong to the build.
    made_in = settings.workspace_dir / "dbt_docs"
    with warehouse.lock(settings, "publish", shared=True):
        run_dbt(settings, made_in, ["docs", "generate", "--static"], lambda _: None)
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f"{page.name}.{os.getpid()}"
    new.write_bytes((made_in / "static_index.html").read_bytes())
    new.replace(page)
    for other in folder.iterdir():
        if other != page:
            other.unlink(missing_ok=True)
    return page


def _page(settings: Settings, folder: Path) -> Path:
    return folder / f"{project_hash(settings.dbt_dir)}.html"
