"""Checksums that a sender delivers: the only way to see a file that was cut between two records."""

from __future__ import annotations

import gzip
import hashlib
import zipfile
from datetime import date
from pathlib import Path

import pytest

from lakehouse.errors import DeliveryRefused
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import delivery
from lakehouse.landing import step as landing
from lakehouse.landing.checksums import is_list, read_list
from lakehouse.settings import Settings
from tests.support.small_source import DAY, manifest_in, settings_in, shop

ORDERS = b"order_id,amount,note\no1,1.00,\no2,2.00,x\n"
CUT = ORDERS[: ORDERS.index(b"o2")]
SUM = hashlib.sha256(ORDERS).hexdigest()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "2018-01-05"
    made.mkdir()
    (made / "orders.csv").write_bytes(ORDERS)
    return made


def faults(settings: Settings, folder: Path) -> list[str]:
    """The faults of a delivery; none if it is accepted."""
    try:
        landing.land(Lakehouse(settings, shop()), [folder])
    except DeliveryRefused as refused:
        return list(refused.faults)
    return []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("SHA256SUMS", f"{SUM}  orders.csv\n"),
        ("sha256sums.txt", f"# made today\n{SUM.upper()} *./orders.csv\r\n"),
        ("SHA256SUMS", f"SHA256 (orders.csv) = {SUM}\n"),
        ("orders.csv.sha256", f"{SUM}\n"),
        ("orders.csv.sha256", f"{SUM}  orders.csv\n"),
    ],
)
def test_a_file_that_is_as_it_was_sent_is_accepted_and_another_refused(
    settings: Settings, folder: Path, name: str, content: str
) -> None:
    (folder / name).write_text(content)

    assert faults(settings, folder) == []
    (folder / "orders.csv").write_bytes(CUT)
    (fault,) = faults(settings, folder)
    assert fault == f"orders.csv: is not as it was sent: its SHA-256 is not the one in 2018-01-05/{name}"


def test_the_sum_of_a_compressed_file_is_that_of_its_bytes(settings: Settings, folder: Path) -> None:
    packed = gzip.compress(ORDERS, mtime=0)
    (folder / "orders.csv").unlink()
    (folder / "orders.csv.gz").write_bytes(packed)
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(packed).hexdigest()}  orders.csv.gz\n")

    assert faults(settings, folder) == []
    (folder / "orders.csv.gz").write_bytes(gzip.compress(CUT, mtime=0))
    assert "is not as it was sent" in faults(settings, folder)[0]


def test_a_list_in_a_zip_is_about_its_members_and_one_beside_it_about_the_zip(settings: Settings, folder: Path) -> None:
    (folder / "orders.csv").unlink()
    path = folder / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("csv/orders.csv", CUT)
        archive.writestr("csv/SHA256SUMS", f"{SUM}  orders.csv\n")
    (folder / "SHA256SUMS").write_text(f"{'0' * 64}  all.zip\n")

    assert faults(settings, folder) == [
        "all.zip: is not as it was sent: its SHA-256 is not the one in 2018-01-05/SHA256SUMS",
        "orders.csv: is not as it was sent: its SHA-256 is not the one in all.zip:csv/SHA256SUMS",
    ]


def test_a_listed_file_that_is_missing_makes_the_delivery_incomplete(settings: Settings, folder: Path) -> None:
    (folder / "SHA256SUMS").write_text(f"{SUM}  orders.csv\n{SUM}  words.csv\n{SUM}  notes.txt\n")

    assert faults(settings, folder) == ["2018-01-05/SHA256SUMS: lists words.csv, which was not delivered"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a sum\n",
        SUM.encode() + b"\n",
        f"{SUM}  ../orders.csv\n".encode(),
        f"{SUM[:40]}  orders.csv\n".encode(),
        f"{SUM}  orders.csv\n".encode("utf-16"),
        f"{SUM}  orders.csv\n\xe9\xff\n".encode("latin-1"),
        f"{SUM}  orders.csv\n".encode() * 20_000,
    ],
    ids=["empty", "words", "no name", "outside", "cut", "UTF-16", "Latin-1", "too large"],
)
def test_a_list_that_cannot_be_used_is_a_fault(settings: Settings, folder: Path, content: bytes) -> None:
    (folder / "SHA256SUMS").write_bytes(content)

    (fault,) = faults(settings, folder)

    assert fault.startswith("2018-01-05/SHA256SUMS: cannot be used as a list of checksums (")


def dropped(settings: Settings, drop: Path, day: date) -> list[str]:
    """The faults of a day's delivery in the drop folder; none if it is accepted."""
    try:
        landing.land(Lakehouse(settings, shop()), [drop], only=day)
    except DeliveryRefused as refused:
        return list(refused.faults)
    return []


def test_the_look_into_the_drop_folder_reads_no_list(
    settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "SHA256SUMS").write_bytes(b"\xff")
    monkeypatch.setattr(delivery, "_open", lambda *_: pytest.fail("a file was opened"))

    found = delivery.find_files([folder.parent], bounds=delivery.Bounds(within=folder.parent))

    assert [file.name for file in found.files] == ["orders.csv"]
    assert found.faults == []


def test_a_damaged_list_in_the_drop_folder_refuses_the_delivery_beside_it_and_no_other(
    settings: Settings, folder: Path
) -> None:
    other = folder.parent / "2018-01-06"
    other.mkdir()
    (other / "orders.csv").write_bytes(ORDERS)
    (folder / "SHA256SUMS").write_bytes(f"{SUM}  orders.csv\n".encode("utf-16"))

    assert dropped(settings, folder.parent, date(2018, 1, 5)) == [
        "2018-01-05/SHA256SUMS: cannot be used as a list of checksums (line 1 is not a SHA-256 sum and the name of a "
        "file); correct or remove it"
    ]
    assert dropped(settings, folder.parent, date(2018, 1, 6)) == []


def test_a_list_of_several_days_misses_only_files_that_nobody_delivered(settings: Settings, tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    for day in ("2018-01-05", "2018-01-06"):
        (drop / f"orders_{day}.csv").write_bytes(ORDERS)
    (drop / "SHA256SUMS").write_text(f"{SUM}  orders_2018-01-05.csv\n{SUM}  orders_2018-01-06.csv\n")

    assert dropped(settings, drop, date(2018, 1, 5)) == []

    (drop / "orders_2018-01-06.csv").write_bytes(CUT)
    (fault,) = dropped(settings, drop, date(2018, 1, 6))
    assert fault.startswith("orders_2018-01-06.csv: is not as it was sent")


def test_other_files_are_no_lists() -> None:
    assert not any(map(is_list, ("orders.csv", "README", "sha256", "SHA256SUMS.gpg", "MD5SUMS")))
    assert read_list("SHA256SUMS", f"{SUM}  a file.csv\n".encode()) == {"a file.csv": SUM}


@pytest.mark.parametrize(("content", "ends_open"), [(ORDERS, False), (ORDERS[:-1], True), (ORDERS + b"\n", False)])
def test_a_file_without_a_newline_at_its_end_is_accepted_with_a_notice(
    settings: Settings, folder: Path, content: bytes, ends_open: bool
) -> None:
    (folder / "orders.csv").write_bytes(content)
    said: list[str] = []

    landing.land(Lakehouse(settings, shop()), [folder], log=said.append)

    notice = "2018-01-05/orders.csv: does not end with a newline, so its last record may be cut off"
    assert said == [notice] * ends_open
    manifest = manifest_in(settings, DAY)
    assert manifest is not None and manifest.tables["orders"] is not None
    assert manifest.tables["orders"].ends_open is ends_open
