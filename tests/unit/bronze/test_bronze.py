"""A batch in bronze holds its file as sent and is replaced as a whole, in a folder and on S3."""

from __future__ import annotations

import csv
import gzip
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.bronze import step as bronze
from lakehouse.bronze.records import Numbering, read_records
from lakehouse.contract.model import Column, ColumnType
from lakehouse.errors import ReconciliationError, StoreError
from lakehouse.lake.ledger import Entry, read_ledger
from lakehouse.lake.store import LocalStore, open_store
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import step as landing
from lakehouse.landing.manifest import DeliveredFile
from lakehouse.landing.quoting import scan
from lakehouse.settings import PROJECT_DIR, Settings
from tests.support.s3_server import s3_settings
from tests.support.small_source import (
    DAY,
    land,
    orders,
    rows_of,
    run_bronze,
    settings_in,
    shop,
    values_of,
    version_of,
)

NEXT_DAY = date(2018, 1, 6)
HEADER = b"order_id,amount,note\n"
TWO = HEADER + b'o1,1.00,\no2,2.00,"x"\n'
CHANNEL = Column("channel", ColumnType("text"), "", since=NEXT_DAY)


@pytest.fixture(params=["a folder", "S3"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    if request.param == "S3":
        with s3_settings() as given:
            yield settings_in(tmp_path, **given)
    else:
        yield settings_in(tmp_path)


@pytest.fixture
def local(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


def test_every_record_arrives_as_sent_with_its_origin(lake: Settings, tmp_path: Path) -> None:
    counts = run_bronze(lake, land(lake, tmp_path, orders=TWO))

    assert counts == {"records": 2, "rejected": 0, "bronze": 2}
    assert rows_of(lake) == [
        {"order_id": "o1", "amount": "1.00", "note": "", "_source_file": "orders.csv", "_row": 1, "_batch_date": DAY},
        {"order_id": "o2", "amount": "2.00", "note": "x", "_source_file": "orders.csv", "_row": 2, "_batch_date": DAY},
    ]
    assert rows_of(lake, "rejected/shop/orders") == []


def test_a_redelivery_replaces_its_batch_and_no_other(lake: Settings, tmp_path: Path) -> None:
    run_bronze(lake, land(lake, tmp_path, orders=TWO))
    run_bronze(lake, land(lake, tmp_path, day=NEXT_DAY, orders=HEADER + b"o1,9.00,later\n"))

    run_bronze(lake, land(lake, tmp_path, orders=HEADER + b"o2,2.50,\nbroken\n"))

    assert values_of(lake, "_batch_date", "order_id", "amount") == [(DAY, "o2", "2.50"), (NEXT_DAY, "o1", "9.00")]
    assert values_of(lake, "_row", "record", key="rejected/shop/orders") == [(2, b"broken")]
    run_bronze(lake, land(lake, tmp_path, orders=TWO))
    assert rows_of(lake, "rejected/shop/orders") == []


def test_a_batch_done_before_writes_no_version_and_gives_its_counts(lake: Settings, tmp_path: Path) -> None:
    manifest = land(lake, tmp_path, orders=TWO)
    run_bronze(lake, manifest)

    again = bronze.run(Lakehouse(lake, shop()), orders(), manifest)

    assert (again.done, again.counts) == (False, {"records": 2, "rejected": 0, "bronze": 2})
    assert version_of(lake) == 0


def test_a_withdrawn_tables_batch_becomes_empty(lake: Settings, tmp_path: Path) -> None:
    run_bronze(lake, land(lake, tmp_path, orders=TWO + b"broken\n"))
    run_bronze(lake, land(lake, tmp_path, day=NEXT_DAY, orders=TWO))

    withdrawn = landing.remove(Lakehouse(lake, shop()), DAY, "orders").manifest
    result = bronze.run(Lakehouse(lake, shop()), orders(), withdrawn)

    assert (result.done, result.counts) == (True, {"records": 0, "rejected": 0, "bronze": 0})
    assert set(values_of(lake, "_batch_date")) == {(NEXT_DAY,)}
    assert rows_of(lake, "rejected/shop/orders") == []
    assert not bronze.run(Lakehouse(lake, shop()), orders(), withdrawn).done


def test_a_changed_contract_reads_the_batch_again(local: Settings, tmp_path: Path) -> None:
    manifest = land(local, tmp_path, orders=TWO)
    run_bronze(local, manifest)

    assert bronze.run(Lakehouse(local, shop(CHANNEL)), orders(CHANNEL), manifest).done


def test_a_column_added_later_is_null_where_the_file_lacks_it(lake: Settings, tmp_path: Path) -> None:
    later = shop(CHANNEL)
    run_bronze(lake, land(lake, tmp_path, orders=TWO))
    with_channel = b"channel,order_id,amount,note\nweb,o3,3.00,\n,o4,4.00,\n"

    run_bronze(lake, land(lake, tmp_path, later, NEXT_DAY, orders=with_channel), later)
    run_bronze(lake, land(lake, tmp_path, later, DAY, orders=TWO), later)

    assert values_of(lake, "order_id", "channel") == [("o1", None), ("o2", None), ("o3", "web"), ("o4", "")]


def test_a_column_dropped_from_the_contract_stays_null_from_then_on(local: Settings, tmp_path: Path) -> None:
    wide = shop(CHANNEL)
    file = b"order_id,amount,note,channel\no1,1.00,,web\n"
    run_bronze(local, land(local, tmp_path, wide, NEXT_DAY, orders=file), wide)

    run_bronze(local, land(local, tmp_path, orders=TWO))

    assert values_of(local, "order_id", "channel") == [("o1", None), ("o2", None), ("o1", "web")]


def test_gzipped_files_are_read_as_their_content(lake: Settings, tmp_path: Path) -> None:
    path = tmp_path / "orders.csv.gz"
    path.write_bytes(gzip.compress(TWO))

    run_bronze(lake, landing.land(Lakehouse(lake, shop()), [path], DAY)[0].manifest)

    assert values_of(lake, "order_id", "_source_file") == [("o1", "orders.csv.gz"), ("o2", "orders.csv.gz")]


def test_a_crash_between_commit_and_ledger_cannot_make_an_old_delivery_look_done(
    local: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_bronze(local, land(local, tmp_path, orders=TWO))
    with monkeypatch.context() as crash:
        crash.setattr(bronze.ledger, "record", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run_bronze(local, land(local, tmp_path, orders=HEADER + b"o9,9.00,\n"))
    assert values_of(local, "order_id") == [("o9",)]

    run_bronze(local, land(local, tmp_path, orders=TWO))

    assert values_of(local, "order_id") == [("o1",), ("o2",)]


def test_a_run_that_is_killed_while_writing_leaves_the_old_batch(local: Settings, tmp_path: Path) -> None:
    run_bronze(local, land(local, tmp_path, orders=TWO))
    manifest = land(local, tmp_path, orders=TWO + b"o3,3.00,\n")
    # A separate process that ends as by SIGKILL when the rows are written but not yet committed.
    program = (
        "import os, sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from tests.support.small_source import *; from lakehouse.bronze import step as bronze\n"
        "bronze._Batch._check_counts = lambda batch: os._exit(137)\n"
        "settings = settings_in(Path(sys.argv[1])); run_bronze(settings, manifest_in(settings, DAY))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path), str(PROJECT_DIR)]
    assert subprocess.run(command, check=False).returncode == 137

    assert values_of(local, "order_id") == [("o1",), ("o2",)]
    run_bronze(local, manifest)
    assert values_of(local, "order_id") == [("o1",), ("o2",), ("o3",)]


@pytest.mark.parametrize(
    "changed", [TWO + b"o3,3.00,\n", HEADER + b"o1,1.00,\n"], ids=["a record more", "a record less"]
)
def test_a_file_changed_in_landing_breaks_the_equation_and_commits_nothing(
    local: Settings, tmp_path: Path, changed: bytes
) -> None:
    manifest = land(local, tmp_path, orders=TWO)
    file = manifest.tables["orders"]
    assert file is not None
    open_store(local, "landing").write(file.key, changed)

    with pytest.raises(ReconciliationError, match=r"shop\.orders, batch 2018-01-05: landing counted 2 records, but"):
        run_bronze(local, manifest)

    store = open_store(local, "bronze")
    assert not DeltaTable.is_deltatable(store.delta_url("shop/orders"))
    assert read_ledger(store, "shop/orders").entries == {}


def test_a_file_lost_from_landing_is_named(local: Settings, tmp_path: Path) -> None:
    manifest = land(local, tmp_path, orders=TWO)
    open_store(local, "landing").delete("shop/2018-01-05/r1/orders.csv")

    with pytest.raises(StoreError, match=r"r1/orders\.csv"):
        run_bronze(local, manifest)


def test_a_gzip_damaged_in_landing_is_named(local: Settings, tmp_path: Path) -> None:
    path = tmp_path / "orders.csv.gz"
    path.write_bytes(gzip.compress(TWO))
    manifest = landing.land(Lakehouse(local, shop()), [path], DAY)[0].manifest
    open_store(local, "landing").write("shop/2018-01-05/r1/orders.csv.gz", gzip.compress(TWO)[:-9])

    with pytest.raises(StoreError, match=r"orders\.csv\.gz can no longer be read as it was accepted"):
        run_bronze(local, manifest)


def test_rejected_is_committed_before_the_main_table_and_the_ledger_last(
    local: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[bool, bool]] = []
    record = bronze.ledger.record
    replace = bronze.replace_partition

    def is_table(key: str) -> bool:
        return DeltaTable.is_deltatable(open_store(local, "bronze").delta_url(key))

    def watch_record(store: LocalStore, key: str, day: date, entry: Entry) -> None:
        seen.append((is_table("rejected/shop/orders"), is_table("shop/orders")))
        record(store, key, day, entry)

    def watch_replace(store: LocalStore, key: str, *more: object, **options: object) -> None:
        replace(store, key, *more, **options)  # type: ignore[arg-type]
        if key.startswith("rejected"):
            seen.append((is_table("rejected/shop/orders"), is_table("shop/orders")))

    monkeypatch.setattr(bronze.ledger, "record", watch_record)
    monkeypatch.setattr(bronze, "replace_partition", watch_replace)
    run_bronze(local, land(local, tmp_path, orders=TWO + b"broken\n"))

    assert seen == [(True, False), (True, True)]


def test_the_tables_have_no_deletion_vectors_and_outlive_a_vacuum(local: Settings, tmp_path: Path) -> None:
    run_bronze(local, land(local, tmp_path, orders=TWO))
    run_bronze(local, land(local, tmp_path, orders=TWO + b"o3,3.00,\n"))
    store = open_store(local, "bronze")
    table = DeltaTable(store.delta_url("shop/orders"))

    table.vacuum(0, dry_run=False, enforce_retention_duration=False)

    assert (table.protocol().min_reader_version, table.protocol().min_writer_version) == (1, 2)
    assert list(read_ledger(store, "shop/orders").entries) == [DAY]
    assert len(rows_of(local)) == 3


def test_many_rejected_records_do_not_stay_in_memory(
    local: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bronze, "_SPOOL_BYTES", 64)
    spooled: list[bool] = []
    batches = bronze._Rejected.batches

    def watch(rejected: bronze._Rejected) -> Iterator[object]:
        yield from batches(rejected)
        spooled.append(bool(rejected._file._rolled))  # type: ignore[attr-defined]

    monkeypatch.setattr(bronze._Rejected, "batches", watch)
    counts = run_bronze(local, land(local, tmp_path, orders=HEADER + b"x,y\n" * 100 + b"o1,1.00,\n"))

    assert counts == {"records": 101, "rejected": 100, "bronze": 1}
    assert spooled == [True]
    assert values_of(local, "_row", key="rejected/shop/orders") == [(n,) for n in range(1, 101)]
    assert values_of(local, "_row") == [(101,)]


# A record of a property test, and the reason for its rejection (None: it must come back).
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
VALUES = st.lists(
    st.one_of(TEXT, st.sampled_from(["", '"', ",", "\n", "\r\n", "\r", '""', "a\nb,c", "NULL", " x "])),
    min_size=3,
    max_size=3,
)


@given(
    st.lists(VALUES, max_size=12), st.sampled_from(["\n", "\r\n"]), st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])
)
@settings(max_examples=60, deadline=None)
def test_what_pythons_csv_module_writes_comes_back_value_for_value(
    records: list[list[str]], newline: str, quoting: int
) -> None:
    if quoting == csv.QUOTE_MINIMAL:  # Python 3.11 does not quote a carriage return
        records = [[value.replace("\r", "") for value in values] for values in records]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=newline, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(["order_id", "amount", "note"])
    writer.writerows(records)
    with tempfile.TemporaryDirectory() as folder:
        lake = settings_in(Path(folder))

        counts = run_bronze(lake, land(lake, Path(folder), orders=text.getvalue().encode()))

        assert counts == {"records": len(records), "rejected": 0, "bronze": len(records)}
        assert values_of(lake, "_row", "order_id", "amount", "note") == [
            (row, *values) for row, values in enumerate(records, start=1)
        ]


RECORDS = st.lists(
    st.sampled_from(
        [
            (b"a,b,c", None),
            (b'"x\ny",,"z"', None),
            (b'"x\r\ny\r",,"z"', None),
            ("é,ü,".encode(), None),
            (b"", None),  # a blank line: no record at all
            (b"a,b", "wrong number of fields"),
            (b'"q\r\nq,",2,3,4', "wrong number of fields"),
            (b"a,\xe9,c", "not UTF-8"),
            (b"a,\xe9", "wrong number of fields"),
            (b"a,\0,c", "holds a NUL byte"),
            (b"a,\0,\xe9", "not UTF-8"),
            (b"order_id,amount,note", "the header once more"),
            (b'\xef\xbb\xbf Order_ID ,AMOUNT,"note "', "the header once more"),
            (b"order_id,amount,other", None),
            (b"order_id,amount", "wrong number of fields"),
            (b'--,"-",----', "a ruler of dashes"),
            (b"--,,--", None),
            (b"-,-,-", None),
        ]
    ),
    max_size=30,
)


@given(RECORDS, st.sampled_from([b"\n", b"\r\n"]), st.integers(1, 80), st.booleans())
@settings(max_examples=300, deadline=None)
def test_every_record_is_read_or_rejected_at_its_own_position(
    records: list[tuple[bytes, str | None]], newline: bytes, block_size: int, ends_with_newline: bool
) -> None:
    content = HEADER + newline.join(raw for raw, _ in records) + (newline if ends_with_newline else b"")
    found = scan(io.BytesIO(content))
    real = [(raw, reason) for raw, reason in records if raw]
    expected = [(row, reason, raw) for row, (raw, reason) in enumerate(real, start=1) if reason]
    file = DeliveredFile(
        "", "", found.size, "", found.records, found.longest_record, found.is_utf8, found.has_nul,
        ("order_id", "amount", "note"), found.data_starts,
    )  # fmt: skip
    rejected: list[tuple[int, str, bytes]] = []

    pieces = list(read_records(lambda: io.BytesIO(content), file, lambda *one: rejected.append(one), block_size))

    assert found.records == len(real)
    assert sorted(rejected) == expected
    read = [row for _, positions in pieces for row in positions.tolist()]
    assert read == [row for row, (_, reason) in enumerate(real, start=1) if reason is None]
    first = [value for batch, _ in pieces for value in batch.column(0).to_pylist()]
    assert first == [
        next(csv.reader(io.StringIO(raw.decode(), newline="")))[0] for raw, reason in real if reason is None
    ]


@given(st.lists(st.sampled_from(["read", "removed", "skipped"]), max_size=30), st.lists(st.integers(1, 5), min_size=30))
def test_positions_are_right_however_rows_are_removed_skipped_and_cut_into_blocks(
    fates: list[str], sizes: list[int]
) -> None:
    numbering = Numbering()
    for position, fate in enumerate(fates, start=1):
        if fate == "removed":
            numbering.remove(position)
    seen = [(position, fate) for position, fate in enumerate(fates, start=1) if fate != "removed"]
    skipped = [numbering.skip(number) for number, (_, fate) in enumerate(seen, start=1) if fate == "skipped"]
    left = [position for position, fate in seen if fate == "read"]

    taken: list[int] = []
    for size in sizes:
        if rows := min(size, len(left) - len(taken)):
            taken += numbering.take(rows).tolist()

    assert skipped == [position for position, fate in seen if fate == "skipped"]
    assert taken == left


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A busy machine can only add to a peak, so one pair of runs that shows it is enough."""
    growths = (peak_of_bronze(tmp_path / f"{n} large", 400) - peak_of_bronze(tmp_path / f"{n}", 150) for n in range(3))

    assert any(growth < 125 for growth in growths)


def peak_of_bronze(folder: Path, megabytes: int) -> float:
    """The peak of memory of a separate process, in MB."""
    folder.mkdir()
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from tests.support.small_source import *\n"
        "settings = settings_in(Path(sys.argv[1])); run_bronze(settings, manifest_in(settings, DAY))\n"
        "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0])\n"
    )
    path = folder / "orders.csv"
    with path.open("wb") as stream:
        stream.write(HEADER)
        # Random text, since text that compresses well would hide a writer that keeps everything.
        stream.writelines(b"o1,1.00,%s\n" % os.urandom(500).hex().encode() for _ in range(megabytes * 1000))
    landing.land(Lakehouse(settings_in(folder), shop()), [path], DAY)
    command = [sys.executable, "-c", program, str(folder), str(PROJECT_DIR)]
    # With an arena per thread, the memory that malloc keeps varies by 200 MB from run to run.
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2"}
    ran = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    path.unlink()
    shutil.rmtree(settings_in(folder).home)
    return int(ran.stdout) / 1024
