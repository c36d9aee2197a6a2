"""A reader cannot keep a build from replacing the marts, even if it switches off its own time limits."""

from __future__ import annotations

import contextlib
import time

import pytest
from psycopg2 import OperationalError

from lakehouse import warehouse
from lakehouse.contract.model import Contract
from lakehouse.lakehouse import Lakehouse
from lakehouse.marts import readers
from lakehouse.settings import Settings
from lakehouse.warehouse.connections import open_connection


def test_a_reader_in_the_way_of_a_build_is_ended(
    settings: Settings, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    lakehouse = Lakehouse(settings, contract)
    warehouse.prepare(settings)
    with lakehouse.cursor("transformer") as cursor:
        cursor.execute("create table marts.dim_read as select 1 as dim_key")
    monkeypatch.setattr(readers, "OLD", "2 seconds")
    monkeypatch.setattr(readers, "EVERY_SECONDS", 0.2)
    with contextlib.closing(open_connection(settings, "bi_reader", settings.database_name)) as reader:
        reading = reader.cursor()
        reading.execute("set statement_timeout = 0; set idle_in_transaction_session_timeout = 0")
        reading.execute("select * from dim_read")
        begin = time.monotonic()

        with readers.old_readers_ended(lakehouse), lakehouse.cursor("transformer") as cursor:
            cursor.execute("drop table marts.dim_read")

        assert time.monotonic() - begin > 1
        with pytest.raises(OperationalError):
            reading.execute("select 1")
