"""The steps: their names, their order, the versions of their rules, and the fingerprints of what they make of a batch.

A step is done for a table and batch when its output has the expected fingerprint. So a step runs again only when its
input, the table's rules in the contract, or the step's own rules change.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Literal, Protocol

from lakehouse.contract.model import TableContract
from lakehouse.landing.manifest import Manifest

StepName = Literal["bronze", "silver", "load"]


@dataclass(frozen=True)
class Step:
    """A step from one layer to the next, table by table. Every fingerprint includes the rules' `version`."""

    name: StepName
    version: int


# The steps in order. Raise a version when the same input and contract would give different rows: every batch is then
# made again. tests/unit/test_steps.py has a hash of each step's code beside its version, so that neither changes alone.
STEPS = (Step("bronze", version=2), Step("silver", version=3), Step("load", version=1))
STEP_NAMES: tuple[StepName, ...] = tuple(step.name for step in STEPS)


@dataclass(frozen=True)
class StepResult:
    """What a step did for one table and batch.

    `done`: False if there was nothing to do; the counts are then those of the earlier run. `counts`: numbers of rows by
    name. `seconds`: the total time. `phases`: the parts of that time, also in seconds. `is_held`: the load did not
    publish the batch, because too many of its records are bad (load/held.py).
    """

    step: StepName
    table: str
    batch_date: date
    done: bool
    counts: dict[str, int]
    seconds: float
    phases: dict[str, float]
    is_held: bool = False


@dataclass(frozen=True)
class Pending:
    """A table of a batch that needs `step` and all later steps. `why`: the reason. `size`: the bytes landed.

    `is_held`: only a corrected file, or a user who accepts the batch, lets the load go on (load/held.py). `waits_for`:
    the held batch, if it is another one (load/rebuild.py).
    """

    step: StepName
    table: str
    batch_date: date
    why: str
    size: int
    is_held: bool = False
    waits_for: date | None = None

    @property
    def held_batch(self) -> date:
        """The batch that is held: this one, or the one that this one waits for."""
        return self.waits_for or self.batch_date

    def __str__(self) -> str:
        return f"{self.table} of {self.batch_date} {'' if self.waits_for else 'is '}{self.why}"


class Observer(Protocol):
    """Watches a run. Its methods are called from several threads."""

    def planned(self, pending: list[Pending]) -> None:
        """The run is about to do these steps."""

    def started(self, step: StepName, table: str, batch_date: date) -> None:
        """A step begins to work on one table of one batch."""

    def finished(self, result: StepResult) -> None:
        """The step has ended."""

    def model(self, name: str, rows: int | None, seconds: float) -> None:
        """dbt has finished a model or test."""

    def note(self, text: str) -> None:
        """A remark that belongs to no table."""


def expected(table: TableContract, manifest: Manifest) -> dict[StepName, str]:
    """The fingerprint that each step's output must have for a batch of a table, in the order of the steps."""
    found: dict[StepName, str] = {}
    fingerprint = manifest.input_fingerprint(table.name)
    for step in STEPS:
        fingerprint = _fingerprint(fingerprint, table, step.version)
        found[step.name] = fingerprint
    return found


def _fingerprint(input_fingerprint: str, table: TableContract, version: int) -> str:
    substance = f"{input_fingerprint}|{table.rules_hash}|{version}"
    return hashlib.sha256(substance.encode()).hexdigest()[:32]
