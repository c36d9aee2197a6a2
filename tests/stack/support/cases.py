"""Cases of a test that are named by sentences; those that take long run at night only."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def cases(names: Iterable[str], nightly: Collection[str]) -> list[Any]:
    """A parameter per name. The test's id has it without spaces."""
    return [
        pytest.param(name, id=name.replace(" ", "_"), marks=pytest.mark.nightly if name in nightly else ())
        for name in names
    ]
