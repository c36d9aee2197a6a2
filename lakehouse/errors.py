"""Every error that a user can meet, and what the error means.

    LakehouseError             anything below; the command line prints its text and exits with 1
    ├── SetupError             this machine lacks something: a JDK, a jar, disk space, a free port
    ├── ConfigurationError     a setting is missing, wrong, or contradicts another
    ├── ContractError          a file in contracts/ is not a valid contract
    ├── DeliveryRefused        a delivered file as a whole breaks the contract; nothing was accepted
    ├── BatchHeld              too many records of a table's batch are bad, so it was not loaded
    ├── SparkError             Spark could not finish a job; causes.py knows why
    ├── StoreError             the lake's store cannot be reached, or refused a request
    ├── WarehouseError         the warehouse cannot be reached, or refused a statement
    ├── Busy                   another run holds the lock
    ├── ReconciliationError    records were lost or doubled between two stages
    ├── MartsError             dbt could not build a model, or a test failed
    └── ReportError            a file in report/ cannot be used, or has no such measure or dimension

A message says what broke, names every culprit, and ends with what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence


class LakehouseError(Exception):
    """An error that the user can act on. The text is written for users, who need no traceback."""


class SetupError(LakehouseError):
    """This machine lacks something that the pipeline needs; the message names the command that fixes it."""


class ConfigurationError(LakehouseError):
    """A setting is missing or wrong; the message names the setting and every place that was searched."""


class ContractError(LakehouseError):
    """A contract file is not valid ODCS, or uses something that this pipeline does not support."""


class DeliveryRefused(LakehouseError):
    """Files of a delivery break their contract, so nothing of the batch was accepted.

    `faults` has one sentence per fault in any of the files. Each sentence starts with the file's name.
    """

    def __init__(self, batch: str, faults: Sequence[str], remedy: str) -> None:
        self.batch = batch
        self.faults = tuple(faults)
        lines = [f"The delivery for {batch} does not keep the contract:"]
        lines += [f"  {fault}" for fault in self.faults]
        lines += ["Nothing of it was accepted.", remedy]
        super().__init__("\n".join(lines))


class BatchHeld(LakehouseError):
    """Too many records of a table's batch are bad, so the load did not publish it; the message names the reasons."""


class SparkError(LakehouseError):
    """Spark could not finish a job; the message names the cause, and what to do about it if that is known."""


class StoreError(LakehouseError):
    """The lake's store cannot be reached, or refused a request."""


class WarehouseError(LakehouseError):
    """The warehouse cannot be reached, or refused a statement."""


class Busy(LakehouseError):
    """Another run holds the lock; the message names the lock and its holder."""


class ReconciliationError(LakehouseError):
    """An equation of pipeline/reconcile.py is not satisfied; the message names the table, the batch and both sides."""


class MartsError(LakehouseError):
    """A dbt model failed to build, or a test of severity error failed; the message names each of them."""


class ReportError(LakehouseError):
    """A file in report/ is not valid, or a name that was asked for is not in it; the message names what is."""
