"""Settings and a role -> the warehouse, for other packages to prepare, connect to and lock. They import from here.

Another warehouse would plug in here (connections.py, locks.py, prepare.py) and in load/ (all three modules). These
modules and embedded/ are written for Postgres. Elsewhere, only single statements are: in counts.py, pipeline/,
marts/step.py and notify/outbox.py.
"""

from lakehouse.warehouse.connections import connect, cursor, uri
from lakehouse.warehouse.locks import HeldLock, lock
from lakehouse.warehouse.prepare import drop_database, prepare

__all__ = ["HeldLock", "connect", "cursor", "drop_database", "lock", "prepare", "uri"]
