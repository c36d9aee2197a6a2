"""maintain on the lake: which files of a Delta table are merged, which are removed, which stay."""

from __future__ import annotations

import os
import time
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lakehouse.lake.delta import read_partition, replace_partition
from lakehouse.lake.store import open_store
from lakehouse.lakehouse import Lakehouse
from lakehouse.pipeline.maintain import _compact
from lakehouse.settings import Layer, Settings
from lakehouse.spark.background import SparkWhenNeeded
from tests.support.small_source import DAY, land, rows_of, run_bronze, settings_in, shop, version_of

KEY = "shop/orders"
HOUR = 3600


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


def rows(*numbers: int, day: date = DAY) -> pa.Table:
    return pa.table({"number": pa.array(numbers, pa.int64()), "_batch_date": pa.array([day] * len(numbers))})


def commit_thrice(settings: Settings) -> DeltaTable:
    """A table of one batch whose rows came in three commits with a file each."""
    store = open_store(settings, "silver")
    replace_partition(store, KEY, rows(1), DAY)
    for number in (2, 3):
        write_deltalake(store.delta_url(KEY), rows(number), mode="append")
    return DeltaTable(store.delta_url(KEY))


def keeping(settings: Settings, hours: int) -> Settings:
    return settings.model_copy(update={"vacuum_retention_hours": hours})


def compact(settings: Settings, layer: Layer, key: str) -> tuple[int, int]:
    with SparkWhenNeeded(settings) as spark:
        return _compact(Lakehouse(settings, shop()), layer, key, spark)


def parquet_files(settings: Settings, layer: str = "silver") -> set[Path]:
    folder = Path(settings.layer_url(layer)) / KEY  # type: ignore[arg-type]
    return {path for path in folder.rglob("*.parquet") if "_delta_log" not in path.parts}


def orphan(settings: Settings, hours_old: float) -> Path:
    """A file as a killed writer leaves it: in the batch's folder, but in no commit."""
    beside = min(parquet_files(settings))
    file = beside.with_name("part-99999-orphan.snappy.parquet")
    file.write_bytes(beside.read_bytes())
    then = time.time() - hours_old * HOUR
    os.utime(file, (then, then))
    return file


def test_the_files_of_a_batch_become_one_with_the_same_rows(settings: Settings) -> None:
    before = commit_thrice(settings)
    assert len(before.file_uris()) == 3

    merged, _ = compact(settings, "silver", KEY)

    after = DeltaTable(before.table_uri)
    assert merged == 3
    assert len(after.file_uris()) == 1
    assert sorted(after.to_pyarrow_table()["number"].to_pylist()) == [1, 2, 3]
    partition = read_partition(open_store(settings, "silver"), KEY, DAY)  # as the load reads it
    assert (len(partition.files), partition.rows) == (1, 3)


def test_batches_stay_in_separate_files(settings: Settings) -> None:
    store, other = open_store(settings, "silver"), date(2018, 1, 6)
    commit_thrice(settings)
    replace_partition(store, KEY, rows(4, day=other), other)

    compact(settings, "silver", KEY)

    assert [read_partition(store, KEY, day).rows for day in (DAY, other)] == [3, 1]
    assert len(parquet_files(keeping(settings, 0))) == 5  # the three old ones, which are kept for a week, and two


def test_a_table_without_files_to_merge_gets_no_commit(settings: Settings) -> None:
    table = commit_thrice(settings)
    compact(settings, "silver", KEY)
    version = DeltaTable(table.table_uri).version()

    assert compact(settings, "silver", KEY) == (0, 0)

    assert DeltaTable(table.table_uri).version() == version


def test_without_retention_files_that_no_version_needs_and_orphans_are_removed(settings: Settings) -> None:
    table = commit_thrice(settings)
    orphan(settings, hours_old=0)

    merged, removed = compact(keeping(settings, 0), "silver", KEY)

    assert (merged, removed) == (3, 4)
    (left,) = parquet_files(settings)
    assert [Path(uri).name for uri in DeltaTable(table.table_uri).file_uris()] == [left.name]
    assert sorted(DeltaTable(table.table_uri).to_pyarrow_table()["number"].to_pylist()) == [1, 2, 3]


def test_a_week_of_retention_keeps_what_a_reader_or_writer_may_still_use(settings: Settings) -> None:
    commit_thrice(settings)
    old_ones, young = parquet_files(settings), orphan(settings, hours_old=167)

    merged, removed = compact(keeping(settings, 168), "silver", KEY)

    assert (merged, removed) == (3, 0)
    assert parquet_files(settings) > {*old_ones, young}


def test_an_orphan_older_than_the_retention_is_removed_whatever_is_kept(settings: Settings) -> None:
    commit_thrice(settings)
    dead = orphan(settings, hours_old=169)

    _, removed = compact(keeping(settings, 168), "silver", KEY)

    assert removed == 1
    assert not dead.exists()


def test_bronze_keeps_its_rows_and_its_ledger(settings: Settings, tmp_path: Path) -> None:
    manifest = land(settings, tmp_path, orders=b"order_id,amount,note\n1,3.50,a\n2,1.00,b\n")
    run_bronze(settings, manifest)
    again = land(settings, tmp_path, orders=b"order_id,amount,note\n1,3.50,a\n")
    run_bronze(settings, again)
    before = rows_of(settings)
    assert len(parquet_files(settings, "bronze")) == 2

    _, removed = compact(keeping(settings, 0), "bronze", KEY)

    assert removed == 1
    assert rows_of(settings) == before
    version = version_of(settings)
    run_bronze(settings, again)
    assert version_of(settings) == version  # the ledger beside the table is no orphan, so nothing is done again


def test_a_missing_table_is_skipped(settings: Settings) -> None:
    assert compact(settings, "silver", KEY) == (0, 0)
