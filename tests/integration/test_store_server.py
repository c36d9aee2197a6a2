"""The store's whole interface on MinIO, and what relies on it: landing, bronze, several writers of a Delta table."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lakehouse.errors import StoreError
from lakehouse.lake.conformance import NOTE, WRITERS, ensure_conformance, is_proven
from lakehouse.lake.s3 import PART_SIZE
from lakehouse.lake.store import Store, open_store
from lakehouse.settings import LAYERS, Layer, Settings
from tests.support.servers import StoreServer
from tests.support.small_source import DAY, land, manifest_in, manifests_in, rows_of, run_bronze, values_of, version_of

NEXT_DAY = date(2018, 1, 6)
HEADER = b"order_id,amount,note\n"
TWO = HEADER + b'o1,1.00,\no2,2.00,"x"\n'
LIST_PAGE = 1000  # keys in one answer


@pytest.fixture
def bucket(lake: Settings) -> Store:
    """A prefix of the bucket landing."""
    return open_store(lake, "landing")


def test_what_is_written_is_read_listed_and_deleted(bucket: Store) -> None:
    bucket.write("shop/2018-01-05/a.csv", b"one")
    bucket.write("shop/2018-01-05/a.csv", b"two")
    bucket.write("shop/top", b"")
    bucket.write("shop2/other", b"")

    with bucket.open("shop/2018-01-05/a.csv") as stream:
        assert (stream.read(2), stream.read()) == (b"tw", b"o")
    assert bucket.read("shop/2018-01-05/a.csv") == b"two"
    assert bucket.folders("shop") == ["2018-01-05"]
    assert bucket.keys("shop") == ["shop/2018-01-05/a.csv", "shop/top"]

    assert bucket.folders("") == ["shop", "shop2"]
    assert bucket.keys("") == ["shop/2018-01-05/a.csv", "shop/top", "shop2/other"]

    bucket.delete("shop/2018-01-05/a.csv")
    bucket.delete("shop/2018-01-05/a.csv")
    assert bucket.read("shop/2018-01-05/a.csv") is None
    assert bucket.keys("shop") == ["shop/top"]
    with pytest.raises(StoreError, match=r"a\.csv: NoSuchKey"):
        bucket.open("shop/2018-01-05/a.csv")


@pytest.mark.parametrize("name", ["a b.csv", "ä€.csv", "a+b&c=d.csv", "50%20.csv", "it's (1).csv", "a#b?c.csv"])
def test_a_key_may_contain_any_character(bucket: Store, name: str) -> None:
    assert bucket.write_new(f"shop/{name}", b"content")

    assert not bucket.write_new(f"shop/{name}", b"again")
    assert bucket.read(f"shop/{name}") == b"content"
    assert bucket.keys("shop") == [f"shop/{name}"]


def test_more_keys_than_one_answer_holds_are_all_listed(bucket: Store) -> None:
    names = [f"shop/{number:04}/x" for number in range(LIST_PAGE + 2)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda name: bucket.write(name, b""), names))

    assert bucket.keys("shop") == names
    assert bucket.folders("shop") == [name.split("/")[1] for name in names]


@pytest.mark.parametrize("size", [0, PART_SIZE, PART_SIZE + 1, 2 * PART_SIZE + 1])
def test_a_copy_of_any_size_arrives_whole(store: StoreServer, lake: Settings, bucket: Store, size: int) -> None:
    content = os.urandom(size)

    bucket.copy_in("shop/large", io.BytesIO(content))

    assert bucket.read("shop/large") == content
    etag = store.root().stat_object("landing", f"{lake.workspace_name}/shop/large").etag or ""
    parts = etag.partition("-")[2]
    assert parts == ("" if size < PART_SIZE + 1 else str(-(-size // PART_SIZE)))  # uploaded in parts


class _Breaks(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        if self.tell() >= 20_000_000:
            raise OSError(errno.EIO, "the cable was pulled")
        return super().read(min(size or 1_000_000, 1_000_000))


def test_a_copy_that_breaks_off_leaves_the_old_content_and_no_parts(
    store: StoreServer, lake: Settings, bucket: Store
) -> None:
    bucket.copy_in("shop/large", io.BytesIO(b"old"))

    with pytest.raises(StoreError, match="the cable was pulled"):
        bucket.copy_in("shop/large", cast(BinaryIO, _Breaks(bytes(30_000_000))))

    assert bucket.read("shop/large") == b"old"
    unfinished = store.root()._list_multipart_uploads("landing", prefix=f"{lake.workspace_name}/shop/large")
    assert unfinished.uploads == []


def test_of_many_writers_that_create_a_key_at_the_same_time_one_succeeds(bucket: Store) -> None:
    with ThreadPoolExecutor(WRITERS) as pool:
        succeeded = list(pool.map(lambda n: bucket.write_new("shop/claim", b"%d" % n), range(WRITERS)))

    assert sum(succeeded) == 1
    assert bucket.read("shop/claim") == b"%d" % succeeded.index(True)


def test_of_many_changes_of_the_same_content_at_the_same_time_none_is_lost(bucket: Store) -> None:
    bucket.write("shop/list", b"[]")

    def append(number: int) -> None:
        while True:
            old = bucket.read("shop/list")
            assert old is not None
            if bucket.swap("shop/list", old, json.dumps([*json.loads(old), number]).encode()):
                return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(append, range(WRITERS)))

    assert sorted(json.loads(bucket.read("shop/list") or b"")) == list(range(WRITERS))


def test_swap_of_a_key_that_appeared_vanished_or_changed_writes_nothing(bucket: Store) -> None:
    bucket.write("shop/there", b"x")

    assert not bucket.swap("shop/there", None, b"new")
    assert not bucket.swap("shop/there", b"y", b"new")
    assert not bucket.swap("shop/absent", b"x", b"new")
    assert (bucket.read("shop/there"), bucket.read("shop/absent")) == (b"x", None)
    assert bucket.swap("shop/absent", None, b"new")
    assert bucket.swap("shop/there", b"x", b"new")
    assert (bucket.read("shop/there"), bucket.read("shop/absent")) == (b"new", b"new")


@pytest.mark.parametrize("layer", LAYERS)
def test_the_store_keeps_its_promises_to_each_layers_own_user(lake: Settings, layer: Layer) -> None:
    assert not is_proven(lake, layer)

    ensure_conformance(lake, layer)

    assert is_proven(lake, layer)
    assert open_store(lake, layer).keys("") == [NOTE]


APPEND = """
    import json, sys
    import pyarrow as pa
    from deltalake import write_deltalake
    url, options, writer = json.loads(sys.argv[1])
    print("ready", flush=True)
    input()
    for n in range(5):
        write_deltalake(url, pa.table({"writer": [writer], "n": [n]}), mode="append", storage_options=options)
"""


def test_delta_commits_of_several_processes_are_all_kept(lake: Settings) -> None:
    bronze = open_store(lake, "bronze")
    url, options = bronze.delta_url("shop/orders"), bronze.delta_options()
    write_deltalake(url, pa.table({"writer": [0], "n": [0]}), storage_options=options)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(APPEND), json.dumps([url, options, writer])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for writer in range(1, 5)
    ]

    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=120)

    assert [writer.returncode for writer in writers] == [0] * 4
    table = DeltaTable(url, storage_options=options)
    rows = table.to_pyarrow_table().to_pylist()
    assert table.version() == 20
    assert sorted((row["writer"], row["n"]) for row in rows) == [
        (0, 0),
        *((writer, n) for writer in range(1, 5) for n in range(5)),
    ]


def test_a_batch_is_landed_and_read_into_bronze(lake: Settings, tmp_path: Path) -> None:
    manifest = land(lake, tmp_path, orders=TWO + b"broken\n")

    counts = run_bronze(lake, manifest)

    assert manifest_in(lake, DAY) == manifest
    assert counts == {"records": 3, "rejected": 1, "bronze": 2}
    assert rows_of(lake) == [
        {"order_id": "o1", "amount": "1.00", "note": "", "_source_file": "orders.csv", "_row": 1, "_batch_date": DAY},
        {"order_id": "o2", "amount": "2.00", "note": "x", "_source_file": "orders.csv", "_row": 2, "_batch_date": DAY},
    ]
    assert values_of(lake, "_row", "record", key="rejected/shop/orders") == [(3, b"broken")]


def test_a_redelivery_replaces_its_batch_and_no_other(lake: Settings, tmp_path: Path) -> None:
    first = land(lake, tmp_path, orders=TWO + b"broken\n")
    run_bronze(lake, first)
    run_bronze(lake, land(lake, tmp_path, day=NEXT_DAY, orders=HEADER + b"o1,9.00,later\n"))
    again = land(lake, tmp_path, orders=TWO + b"broken\n")
    run_bronze(lake, again)
    assert (again, version_of(lake)) == (first, 1)

    run_bronze(lake, land(lake, tmp_path, orders=HEADER + b"o2,2.50,\n"))

    assert values_of(lake, "_batch_date", "order_id", "amount") == [(DAY, "o2", "2.50"), (NEXT_DAY, "o1", "9.00")]
    assert rows_of(lake, "rejected/shop/orders") == []
    assert [manifest.batch_date for manifest in manifests_in(lake)] == [DAY, NEXT_DAY]


def test_files_landed_at_the_same_time_are_all_in_the_days_manifest(lake: Settings, tmp_path: Path) -> None:
    def deliver(table: str, content: bytes) -> None:
        (tmp_path / table).mkdir()
        land(lake, tmp_path / table, **{table: content})

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(deliver, ("orders", "words"), (TWO, b"word\nx\n")))

    manifest = manifest_in(lake, DAY)
    assert manifest is not None
    assert sorted(manifest.tables) == ["orders", "words"]
