"""Arrivals that are present -> those to report, which excludes what a run of `lake` has landed: the run notes it.

The notes are files on the volume of the logs, which tasks and the triggerer share: one per day, removed with old logs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

log = logging.getLogger(__name__)

IN_LANDING = "landing__"


class Unreported:
    """What each check has found -> what has to be reported of it, once."""

    def __init__(self) -> None:
        self._reported: set[str] = set()
        self._before: set[str] | None = None

    def among(self, present: set[str]) -> list[str]:
        """The names to report, sorted: at the first check all of them."""
        is_first, before = self._before is None, self._before or set()
        # A run that lands a batch claims it a moment later, so the next check knows whose it is.
        came = {
            name for name in present - self._reported if is_first or name in before or not name.startswith(IN_LANDING)
        }
        self._reported = self._reported & present | came
        self._before = present
        return sorted(name for name in came if is_first or not _is_claimed(name))


def note_claimed(names: Iterable[str]) -> None:
    """Note that a run has claimed these arrivals in landing. Without the note, `arrivals` only looks once more."""
    try:
        for name in names:
            note = _note(name)
            note.parent.mkdir(exist_ok=True)
            note.write_text(name, encoding="utf-8")
    except OSError as error:
        log.warning("What this run has landed could not be noted: %s", error)


def _is_claimed(name: str) -> bool:
    if not name.startswith(IN_LANDING):
        return False
    try:
        return _note(name).read_text(encoding="utf-8") == name
    except FileNotFoundError:
        return False


def _note(name: str) -> Path:
    from airflow.sdk.configuration import conf

    place_and_day, _, _ = name.rpartition("__")
    return Path(conf.get("logging", "base_log_folder"), "claimed", place_and_day)
