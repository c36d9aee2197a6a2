"""One interface, two stores: a local folder and an S3 bucket behave the same."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from lakehouse.errors import StoreError
from lakehouse.lake.store import Store, open_store
from tests.support.s3_server import s3_settings
from tests.support.small_source import settings_in


@pytest.fixture(params=["a folder", "S3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "S3":
        with s3_settings() as given:
            yield open_store(settings_in(tmp_path, **given), "landing")
    else:
        yield open_store(settings_in(tmp_path), "landing")


def test_what_is_written_is_read_back_whole_and_as_a_stream(store: Store) -> None:
    store.write("shop/a.csv", b"one")
    store.write("shop/a.csv", b"two")

    with store.open("shop/a.csv") as stream:
        assert stream.read(2) == b"tw"
        assert stream.read() == b"o"
    assert store.read("shop/a.csv") == b"two"


def test_a_key_that_is_not_there_is_none_or_an_error_and_can_be_deleted(store: Store) -> None:
    store.delete("shop/absent")

    assert store.read("shop/absent") is None
    assert store.folders("shop") == []
    assert store.keys("shop") == []
    with pytest.raises(StoreError, match="shop/absent"):
        store.open("shop/absent")


def test_a_version_changes_with_the_content_and_only_then(store: Store) -> None:
    store.write("shop/a/x", b"one")
    store.write("shop/b", b"one")
    before = store.versions("shop")
    assert set(before) == {"shop/a/x", "shop/b"}
    assert store.versions("shop") == before
    assert set(store.versions("shop/a")) == {"shop/a/x"}

    store.write("shop/b", b"two, longer")

    assert store.versions("shop")["shop/a/x"] == before["shop/a/x"]
    assert store.versions("shop")["shop/b"] != before["shop/b"]
    assert store.versions("absent") == {}


def test_a_version_changes_with_the_size_even_if_the_clock_stands_still(tmp_path: Path) -> None:
    store = open_store(settings_in(tmp_path), "landing")
    store.write("shop/a", b"one")
    before, file = store.versions("shop"), Path(store.url) / "shop" / "a"
    moment = file.stat().st_mtime_ns

    store.write("shop/a", b"three")
    os.utime(file, ns=(moment, moment))

    assert store.versions("shop") != before


def test_of_many_who_create_a_key_at_the_same_time_one_succeeds(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        succeeded = list(pool.map(lambda n: store.write_new("shop/claim", b"%d" % n), range(8)))

    assert sum(succeeded) == 1
    assert store.read("shop/claim") == b"%d" % succeeded.index(True)


def test_of_many_who_change_the_same_content_at_the_same_time_none_is_lost(store: Store) -> None:
    store.write("shop/list", b"")

    def append(n: int) -> None:
        while not store.swap("shop/list", old := store.read("shop/list"), (old or b"") + b"%d" % n):
            pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(append, range(8)))

    assert sorted(store.read("shop/list") or b"") == sorted(b"01234567")


def test_swap_of_a_key_that_appeared_or_vanished_writes_nothing(store: Store) -> None:
    store.write("shop/there", b"x")

    assert not store.swap("shop/there", None, b"new")
    assert not store.swap("shop/absent", b"x", b"new")
    assert (store.read("shop/there"), store.read("shop/absent")) == (b"x", None)


class _Breaks(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        if self.tell() >= 20_000_000:
            raise OSError(errno.EIO, "the cable was pulled")
        return super().read(min(size or 1_000_000, 1_000_000))


def test_a_copy_that_breaks_off_leaves_the_old_content_and_no_trace(store: Store) -> None:
    store.copy_in("shop/a.csv", io.BytesIO(b"old"))

    with pytest.raises(StoreError, match="the cable was pulled"):
        store.copy_in("shop/a.csv", cast(BinaryIO, _Breaks(b"x" * 30_000_000)))

    assert store.read("shop/a.csv") == b"old"
    assert store.keys("shop") == ["shop/a.csv"]


def test_a_large_copy_arrives_whole(store: Store) -> None:
    content = os.urandom(17 * 1024 * 1024)

    store.copy_in("shop/large", io.BytesIO(content))

    assert store.read("shop/large") == content


def test_keys_and_folders_are_listed_below_a_prefix_only(store: Store) -> None:
    for key in ("shop/2018-01-05/r1/a.csv", "shop/2018-01-05/manifest.json", "shop/top", "shop2/b"):
        store.write(key, b"")

    assert store.folders("") == ["shop", "shop2"]
    assert len(store.keys("")) == 4
    assert store.folders("shop") == ["2018-01-05"]
    assert store.keys("shop") == ["shop/2018-01-05/manifest.json", "shop/2018-01-05/r1/a.csv", "shop/top"]


def test_a_full_disk_is_reported_and_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(settings_in(tmp_path), "landing")
    store.write("shop/a.csv", b"old")

    def fsync(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StoreError, match=r"No space left for .*a\.csv(.|\n)*LAKEHOUSE_HOME"):
        store.write("shop/a.csv", b"new")

    assert store.read("shop/a.csv") == b"old"
    assert store.keys("shop") == ["shop/a.csv"]


def test_a_store_that_does_not_answer_or_refuses_is_named(tmp_path: Path) -> None:
    with s3_settings() as given:
        settings = settings_in(tmp_path, **{**given, "landing_url": "s3://no-such-bucket"})
        with pytest.raises(StoreError, match=r"NoSuchBucket(.|\n)*bucket exists"):
            open_store(settings, "landing").write("a", b"")
    with pytest.raises(StoreError, match=r"cannot be reached(.|\n)*LAKEHOUSE_S3_ENDPOINT"):
        open_store(settings, "landing").read("a")


def test_delta_and_spark_are_given_the_address_and_what_they_need_to_commit_safely(tmp_path: Path) -> None:
    given = {"s3_endpoint": "http://store:9000", "s3_access_key": "me", "s3_secret_key": "secret"}
    s3 = open_store(settings_in(tmp_path, bronze_url="s3://bronze/lake", **given), "bronze")
    local = open_store(settings_in(tmp_path), "bronze")

    assert (s3.delta_url("shop/orders"), s3.spark_url("shop/orders")) == (
        "s3://bronze/lake/shop/orders",
        "s3a://bronze/lake/shop/orders",
    )
    assert s3.delta_options()["aws_conditional_put"] == "etag"
    assert s3.delta_options()["AWS_ALLOW_HTTP"] == "true"
    assert local.delta_url("shop/orders") == local.spark_url("shop/orders") == f"{local.url}/shop/orders"
    assert local.delta_options() == {}
