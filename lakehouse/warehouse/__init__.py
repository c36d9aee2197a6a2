"""Settings and a role -> the warehouse: prepared, connected to, locked. Other packages import from here.

Another warehouse would plug in here (connections.py, locks.py, prepare.py) and in load/ (all three modules). These, and
embedded/, are written for Postgres; elsewhere only single statements in counts.py, pipeline/, marts/step.py and
notify/outbox.py are.
"""

from lakehouse.warehouse.connections import connect, cursor, uri
from lakehouse.warehouse.locks import HeldLock, lock
from lakehouse.warehouse.prepare import drop_database, prepare

__all__ = ["HeldLock", "connect", "cursor", "drop_database", "lock", "prepare", "uri"]
