"""What is still to do; and a contract that what is landed can no longer satisfy."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from lakehouse.contract.model import Column, ColumnType, Rule
from lakehouse.errors import ContractError
from lakehouse.lakehouse import Lakehouse
from lakehouse.pipeline.pending import pending_steps
from tests.support.small_source import DAY, land, manifests_in, settings_in, shop

REQUIRED = Rule("channel", "required", "error")


def test_a_column_that_landed_files_lack_cannot_be_required_without_saying_since_when(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    for day in (DAY, date(2018, 1, 6)):
        land(settings, tmp_path, day=day, orders=b"order_id,amount,note\no1,1.00,\n")
    contract = shop(Column("channel", ColumnType("text"), "", (REQUIRED,)))

    with pytest.raises(ContractError) as error:
        pending_steps(Lakehouse(settings, contract), manifests_in(settings))

    assert str(error.value).splitlines() == [
        "contracts/shop.odcs.yaml does not fit what is landed:",
        "  orders.channel is required, but 2 files that are already landed lack it, the last one of 2018-01-06: say "
        "from which batch date on files have it, as `since: 2018-01-07`",
    ]
