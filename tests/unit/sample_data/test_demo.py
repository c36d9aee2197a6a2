"""The demo's source is made once, and again when the contract asks for other rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lakehouse.contract.odcs import read_contract
from lakehouse.lakehouse import Lakehouse
from lakehouse.sample_data import demo
from lakehouse.settings import Settings


def test_it_is_made_once_and_again_after_a_change_of_the_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "PAST_ORDERS", 20)
    monkeypatch.setattr(demo, "DAYS", 2)
    settings = Settings.load(home=tmp_path, workspace="demo")
    contract = read_contract(settings.contracts_dir, "olist")
    notes: list[str] = []

    first = demo.deliveries(Lakehouse(settings, contract), notes.append)
    assert demo.deliveries(Lakehouse(settings, contract), notes.append) == first
    assert [folder.name for folder in first] == ["2017-12-31", "2018-01-01", "2018-01-02"]
    assert len(notes) == 1

    orders = contract.table("orders")
    columns = tuple(replace(column, rules=()) for column in orders.columns)
    looser = replace(contract, tables=tuple(replace(t, columns=columns) if t is orders else t for t in contract.tables))
    (first[0] / "left_over.csv").touch()
    assert demo.deliveries(Lakehouse(settings, looser), notes.append) == first
    assert len(notes) == 2
    assert not (first[0] / "left_over.csv").exists()
