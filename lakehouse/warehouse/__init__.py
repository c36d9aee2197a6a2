"""Settings and a role -> the warehouse: prepared, connected to, locked. Other packages import from here."""

from lakehouse.warehouse.connections import connect, cursor, uri
from lakehouse.warehouse.locks import HeldLock, lock
from lakehouse.warehouse.prepare import drop_database, prepare

__all__ = ["HeldLock", "connect", "cursor", "drop_database", "lock", "prepare", "uri"]
