"""The yml files of report/: reading one, and the error about one that cannot be used, which names all its faults."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from lakehouse import yml
from lakehouse.errors import ReportError


class Entry(BaseModel):
    """A part of such a file. A key that it does not define is a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read(path: Path) -> Any:
    """What a file says. Raises ReportError if it is not YAML."""
    try:
        return yml.load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ReportError(f"{path} is not valid YAML: {error}") from error


def unusable(path: Path, faults: Iterable[str]) -> ReportError:
    """The error about a file whose head explains its format."""
    return ReportError("\n  ".join([f"{path} cannot be used:", *faults, "The head of the file explains its format."]))


def misfits(document: Any, error: ValidationError, name: str) -> Iterator[str]:
    """A sentence for each thing that pydantic could not read.

    An entry of a list is called by what stands under its key `name`, not by its position.
    """
    for fault in error.errors(include_url=False):
        place: list[str] = []
        here = document
        for step in fault["loc"]:
            try:
                here = here[step]
            except (KeyError, IndexError, TypeError):
                here = None
            is_named = isinstance(step, int) and isinstance(here, dict) and name in here
            place.append(str(here[name]) if is_named else str(step))
        hint = "is not a key of this format: remove it" if fault["type"] == "extra_forbidden" else fault["msg"]
        yield f"{': '.join(place) or 'the file'}: {hint}"
