"""A table of a contract -> the paths of its Delta tables inside a layer."""

from __future__ import annotations

from lakehouse.contract.model import TableContract


def table_path(table: TableContract) -> str:
    """The path of the table itself, in bronze and in silver."""
    return f"{table.source}/{table.name}"


def rebuilding_path(table: TableContract) -> str:
    """The folder, in silver, of the tables that are made beside the table itself (silver/rebuild.py)."""
    return f"rebuilding/{table_path(table)}"


def rejected_path(table: TableContract) -> str:
    """The path of the table's unreadable records, in bronze."""
    return f"rejected/{table_path(table)}"


def quarantine_path(table: TableContract) -> str:
    """The path of the table's records that violate the contract or were superseded, in silver."""
    return f"quarantine/{table_path(table)}"
