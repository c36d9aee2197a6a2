"""A delivery is accepted as a whole or refused with all its faults. A batch keeps tables not delivered again."""

from __future__ import annotations

import errno
import gzip
import io
import os
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lakehouse.cli import app
from lakehouse.contract.model import Column, ColumnType
from lakehouse.errors import DeliveryRefused, StoreError
from lakehouse.lake.store import LocalStore, open_store
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import step as landing
from lakehouse.settings import Settings
from tests.support.s3_server import s3_settings
from tests.support.small_source import DAY, manifest_in, manifests_in, settings_in, shop

ORDERS = b"order_id,amount,note\no1,1.00,\no2,2.00,x\n"
WORDS = b"word\nhello\n"
SHOP = shop()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, bytes], Path]:
    """Write a file below `in/` and return its path."""

    def write(name: str, content: bytes) -> Path:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write


Put = Callable[[str, bytes], Path]


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def batches(settings: Settings, *paths: Path, batch_date: date | None = None) -> dict[str, list[str]]:
    """Tables that changed, per batch."""
    landed = landing.land(Lakehouse(settings, SHOP), paths, batch_date)
    return {one.manifest.batch_date.isoformat(): list(one.changed) for one in landed}


def refusal(settings: Settings, *paths: Path, batch_date: date | None = None) -> list[str]:
    """The faults of a delivery that is refused. Nothing of it is accepted."""
    before = manifests_in(settings)
    with pytest.raises(DeliveryRefused) as refused:
        landing.land(Lakehouse(settings, SHOP), paths, batch_date)
    assert manifests_in(settings) == before
    return list(refused.value.faults)


def test_an_accepted_file_is_kept_as_sent_and_described(settings: Settings, put: Put) -> None:
    path = put("shop_orders_dataset.csv", ORDERS)

    batches(settings, path, batch_date=DAY)

    manifest = manifest_in(settings, DAY)
    assert manifest is not None
    file = manifest.tables["orders"]
    assert file is not None
    assert (file.name, file.size, file.records) == ("shop_orders_dataset.csv", len(ORDERS), 2)
    assert file.key == "shop/2018-01-05/r1/shop_orders_dataset.csv"
    assert open_store(settings, "landing").read(file.key) == ORDERS


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("2018-01-05/orders.csv", "2018-01-05"),
        ("export 2018-01-05/orders.csv", "2018-01-05"),
        ("2018-01-05/orders_2018-01-06.csv", "2018-01-06"),
        ("2018-01-05/ORDERS-2018-01-06.CSV", "2018-01-06"),
        ("2018-01-05/deep/orders.csv", "2018-01-05"),
    ],
    ids=["the folder", "the folder's name holds it", "a file's date beats its folder's", "case", "a folder further up"],
)
def test_the_batch_date_comes_from(settings: Settings, put: Put, tmp_path: Path, name: str, expected: str) -> None:
    put(name, ORDERS)

    assert batches(settings, tmp_path / "in") == {expected: ["orders"]}


def test_a_batch_date_given_by_the_user_beats_every_name(settings: Settings, put: Put) -> None:
    path = put("2018-01-05/orders_2018-01-06.csv", ORDERS)

    assert batches(settings, path, batch_date=date(2018, 2, 1)) == {"2018-02-01": ["orders"]}


def test_an_undated_delivery_is_the_batch_with_exactly_its_content_else_todays(settings: Settings, put: Put) -> None:
    path = put("orders.csv", ORDERS)
    batches(settings, path, batch_date=DAY)

    assert batches(settings, path) == {"2018-01-05": []}
    path.write_bytes(ORDERS + b"o3,3.00,\n")
    assert batches(settings, path) == {datetime.now(UTC).date().isoformat(): ["orders"]}


def test_what_nobody_dated_does_not_replace_other_content_of_today_unasked(settings: Settings, put: Put) -> None:
    path, today = put("orders.csv", ORDERS), datetime.now(UTC).date().isoformat()
    assert batches(settings, path) == {today: ["orders"]}
    path.write_bytes(ORDERS + b"o3,3.00,\n")

    (fault,) = refusal(settings, path)

    assert fault == (
        f"in/orders.csv: has no date in its name or a folder's, and today's batch, {today}, has another file for "
        "orders: give --batch-date, or --replace to replace that file"
    )
    assert batches(settings, put("words.csv", WORDS)) == {today: ["words"]}
    landed = landing.land(Lakehouse(settings, SHOP), [path], replace_today=True)
    assert [one.changed for one in landed] == [("orders",)]
    path.write_bytes(ORDERS)
    assert batches(settings, path, batch_date=datetime.now(UTC).date()) == {today: ["orders"]}


def test_a_date_above_the_given_path_counts_and_is_reported(settings: Settings, put: Put) -> None:
    said: list[str] = []
    put("20180105/csv/orders.csv", ORDERS)

    landed = landing.land(Lakehouse(settings, SHOP), [put("20180105/csv/words.csv", WORDS).parent], log=said.append)

    assert {one.manifest.batch_date: one.changed for one in landed} == {DAY: ("orders", "words")}
    assert said == ["dated 2018-01-05 by the folder 20180105 above"]


@pytest.mark.parametrize("day", [date(18, 1, 5), date(1900, 1, 1), datetime.now(UTC).date() + timedelta(days=2)])
def test_a_date_that_no_batch_can_have_is_refused(settings: Settings, put: Put, day: date) -> None:
    (fault,) = refusal(settings, put("orders.csv", ORDERS), batch_date=day)
    assert "so it is no batch date" in fault
    (fault,) = refusal(settings, put(f"{day}/orders.csv", ORDERS).parent)
    assert "so it is no batch date" in fault


def test_todays_batch_is_that_of_utc_wherever_the_machine_is(
    settings: Settings, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    # POSIX counts westwards. One of the two is in another day at any time: 14 hours ahead of UTC, or 12 behind it.
    zone = "AHEAD-14" if datetime.now(UTC).hour >= 12 else "BEHIND+12"
    try:
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert datetime.now().date() != datetime.now(UTC).date()

        landed = batches(settings, put("orders.csv", ORDERS))

        assert landed == {datetime.now(UTC).date().isoformat(): ["orders"]}
    finally:
        monkeypatch.undo()
        time.tzset()


def test_an_undated_delivery_that_comes_again_after_another_is_todays(settings: Settings, put: Put) -> None:
    path, first, second = put("orders.csv", ORDERS), date(2018, 5, 1), date(2018, 5, 2)
    batches(settings, path, put("words.csv", WORDS), batch_date=first)
    path.write_bytes(ORDERS + b"o3,3.00,\n")
    batches(settings, path, batch_date=second)
    path.write_bytes(ORDERS)

    assert batches(settings, put("words.csv", WORDS)) == {"2018-05-01": []}
    today = {datetime.now(UTC).date().isoformat(): ["orders"]}
    assert batches(settings, path) == today
    assert batches(settings, path) == {day: [] for day in today}


def test_an_undated_delivery_is_the_old_batch_if_later_content_was_withdrawn(settings: Settings, put: Put) -> None:
    path, second = put("orders.csv", ORDERS), date(2018, 5, 2)
    batches(settings, path, batch_date=date(2018, 5, 1))
    path.write_bytes(ORDERS + b"o3,3.00,\n")
    batches(settings, path, batch_date=second)
    landing.remove(Lakehouse(settings, SHOP), second, "orders")
    path.write_bytes(ORDERS)

    assert batches(settings, path) == {"2018-05-01": []}


def test_a_folder_of_dated_folders_is_several_batches(settings: Settings, put: Put, tmp_path: Path) -> None:
    put("2018-01-05/orders.csv", ORDERS)
    put("2018-01-06/orders.csv", ORDERS)
    put("2018-01-06/words.csv", WORDS)
    put("truth.json", b"{}")
    said: list[str] = []

    landed = landing.land(Lakehouse(settings, SHOP), [tmp_path / "in"], log=said.append)

    assert [one.manifest.batch_date for one in landed] == [date(2018, 1, 5), date(2018, 1, 6)]
    assert [one.changed for one in landed] == [("orders",), ("orders", "words")]
    assert said == ["ignored (neither .csv nor .csv.gz nor .zip): truth.json"]
    assert [m.batch_date for m in manifests_in(settings)] == [date(2018, 1, 5), date(2018, 1, 6)]


def test_zip_and_gzip_are_opened_and_hidden_files_left_out(settings: Settings, put: Put, tmp_path: Path) -> None:
    put("in.zip", zipped(**{"a/orders.csv": ORDERS, "__MACOSX/a/._orders.csv": b"?", "a/README.md": b"x"}))
    put("words.csv.gz", gzip.compress(WORDS))
    put(".orders.csv", b"an editor's copy")

    landed = landing.land(Lakehouse(settings, SHOP), [tmp_path / "in"], DAY)

    files = landed[0].manifest.tables
    assert {name: file.records for name, file in files.items() if file} == {"orders": 2, "words": 1}
    assert {name: file.size for name, file in files.items() if file} == {"orders": len(ORDERS), "words": len(WORDS)}


@pytest.mark.parametrize("name", ["2018-01-05.zip", "shop-2018-01-05.zip"])
def test_an_archives_name_dates_its_files(settings: Settings, put: Put, name: str) -> None:
    path = put(name, zipped(**{"orders.csv": ORDERS, "2018-01-07/words.csv": WORDS}))

    assert batches(settings, path) == {"2018-01-05": ["orders"], "2018-01-07": ["words"]}


def test_a_zip_may_have_windows_separators(settings: Settings, put: Put) -> None:
    path = put("in.zip", zipped(**{"data\\2018-01-05\\": b"", "data\\2018-01-05\\orders.csv": ORDERS}))

    assert batches(settings, path) == {"2018-01-05": ["orders"]}


def test_a_second_landing_of_the_same_content_writes_nothing(settings: Settings, put: Put) -> None:
    path = put("orders.csv", ORDERS)
    batches(settings, path, batch_date=DAY)
    store = open_store(settings, "landing")
    before = store.keys("shop")

    assert batches(settings, path, batch_date=DAY) == {"2018-01-05": []}
    assert store.keys("shop") == before


def test_a_redelivery_replaces_exactly_its_tables_and_keeps_the_old_file(settings: Settings, put: Put) -> None:
    batches(settings, put("orders.csv", ORDERS), put("words.csv", WORDS), batch_date=DAY)

    assert batches(settings, put("orders.csv", ORDERS + b"o3,3.00,\n"), batch_date=DAY) == {"2018-01-05": ["orders"]}

    manifest = manifest_in(settings, DAY)
    assert manifest is not None
    assert {name: (file.key, file.records) for name, file in manifest.tables.items() if file} == {
        "orders": ("shop/2018-01-05/r2/orders.csv", 3),
        "words": ("shop/2018-01-05/r1/words.csv", 1),
    }
    assert open_store(settings, "landing").read("shop/2018-01-05/r1/orders.csv") == ORDERS


def test_a_withdrawn_table_is_none_until_it_is_delivered_again(settings: Settings, put: Put) -> None:
    path = put("orders.csv", ORDERS)
    batches(settings, path, batch_date=DAY)

    assert landing.remove(Lakehouse(settings, SHOP), DAY, "orders").changed == ("orders",)
    assert landing.remove(Lakehouse(settings, SHOP), DAY, "orders").changed == ()
    withdrawn = manifest_in(settings, DAY)
    assert withdrawn is not None
    assert withdrawn.tables == {"orders": None}
    assert batches(settings, path, batch_date=DAY) == {"2018-01-05": ["orders"]}


def test_removing_what_was_never_delivered_says_which_batches_hold_it(settings: Settings, put: Put) -> None:
    batches(settings, put("orders.csv", ORDERS), batch_date=DAY)

    with pytest.raises(DeliveryRefused, match="Batches that hold orders: 2018-01-05"):
        landing.remove(Lakehouse(settings, SHOP), date(2018, 1, 6), "orders")


def test_all_faults_of_all_files_are_in_one_refusal(settings: Settings, put: Put, tmp_path: Path) -> None:
    put("2018-01-05/orders.csv", b"order_id,amuont,amount,amount\no1,1,1,1\n")
    put("2018-01-05/words.csv", b"")
    put("2018-01-05/invoices.csv", b"a\n1\n")
    put("2018-01-06/orders.csv", b'order_id,amount,note\no1,1.00,"open\n')
    put("2018-01-06/words.csv", WORDS)

    with pytest.raises(DeliveryRefused) as refused:
        landing.land(Lakehouse(settings, SHOP), [tmp_path / "in"])

    assert str(refused.value) == "\n".join(
        [
            "The delivery for shop 2018-01-05, 2018-01-06 does not keep the contract:",
            "  2018-01-05/invoices.csv: belongs to no table of shop "
            "(accepted names: shop_orders_dataset.csv, words.csv)",
            "  2018-01-05/orders.csv: column note is missing",
            "  2018-01-05/orders.csv: column amuont is unknown",
            "  2018-01-05/orders.csv: column amount stands there twice",
            "  2018-01-05/words.csv: is empty, not even a header",
            "  2018-01-06/orders.csv: the quote that opens on line 2 is never closed",
            "Nothing of it was accepted.",
            "Correct the files and land them again, or change contracts/shop.odcs.yaml.",
        ]
    )
    assert manifests_in(settings) == []
    assert open_store(settings, "landing").keys("shop") == []


def test_an_unknown_column_is_compared_with_the_missing_ones(settings: Settings, put: Put) -> None:
    faults = refusal(settings, put("orders.csv", b"order_id,amuont,note\n"), batch_date=DAY)

    assert faults == [
        "in/orders.csv: column amount is missing",
        "in/orders.csv: column amuont is unknown (did you mean amount?)",
    ]


def test_a_header_is_matched_by_name_whatever_its_order_case_spaces_quotes_and_bom(
    settings: Settings, put: Put
) -> None:
    path = put("orders.csv", b'\xef\xbb\xbf"Note", ORDER_ID ,amount\r\nx,o1,1.00\r\n')

    landed = landing.land(Lakehouse(settings, SHOP), [path], DAY)

    file = landed[0].manifest.tables["orders"]
    assert file is not None
    assert file.columns == ("note", "order_id", "amount")


def test_another_delimiter_is_named_as_the_fault(settings: Settings, put: Put) -> None:
    faults = refusal(settings, put("orders.csv", b"order_id;amount;note\no1;1;x\n"), batch_date=DAY)

    assert faults == ["in/orders.csv: the delimiter must be a comma, and this file has a semicolon"]


def test_a_column_is_demanded_from_its_first_day_on_and_optional_before(settings: Settings, put: Put) -> None:
    contract = shop(Column("channel", ColumnType("text"), "", since=date(2018, 1, 6)))
    without = put("orders.csv", ORDERS)

    landed = landing.land(Lakehouse(settings, contract), [without], date(2018, 1, 5))
    with pytest.raises(DeliveryRefused, match="column channel is missing"):
        landing.land(Lakehouse(settings, contract), [without], date(2018, 1, 6))
    early = put("early/orders.csv", b"order_id,amount,note,channel\no1,1.00,,web\n")
    landed += landing.land(Lakehouse(settings, contract), [early], date(2018, 1, 4))

    assert [file.columns[-1] for one in landed if (file := one.manifest.tables["orders"])] == ["note", "channel"]


def test_two_files_of_one_table_in_one_batch_are_refused_with_both_names(settings: Settings, put: Put) -> None:
    first, second = put("orders.csv", ORDERS), put("shop_orders_dataset.csv", ORDERS)

    assert refusal(settings, first, second, batch_date=DAY) == [
        "in/shop_orders_dataset.csv: batch 2018-01-05 has in/orders.csv for table orders already "
        "(one file per table and batch)"
    ]


def test_a_file_given_twice_is_one_file(settings: Settings, put: Put, tmp_path: Path) -> None:
    path = put("orders.csv", ORDERS)

    assert batches(settings, path, tmp_path / "in", batch_date=DAY) == {"2018-01-05": ["orders"]}


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("orders_2018-01-05_2018-01-06.csv", ORDERS, "holds two dates, 2018-01-05 and 2018-01-06"),
        ("orders_2018-02-30.csv", ORDERS, "holds 2018-02-30, which is no day of the calendar"),
        ("notes.txt", ORDERS, "is neither .csv nor .csv.gz nor .zip"),
        ("orders.txt", ORDERS, "is text with another name than .csv"),
        ("orders.csv.gz", gzip.compress(ORDERS * 50, mtime=0)[:-9], "is cut off, damaged or unreadable"),
        ("orders.csv.gz", ORDERS, "is cut off, damaged or unreadable"),
        ("in.zip", zipped(**{"orders.csv": os.urandom(9000)})[:-40], "is no zip archive, or is damaged"),
        ("empty.zip", zipped(), "holds no .csv, .csv.gz or .zip file"),
        ("orders.csv", b"", "is empty, not even a header"),
        ("orders.csv", b"\xef\xbb\xbf\n\r\n", "is empty, not even a header"),
        ("orders.csv", b"order_id,amount,n\xf4te\n", "the header cannot be read as UTF-8 CSV"),
        ("orders.csv", "order_id,amount,note\n".encode("utf-16"), "is UTF-16: save it as UTF-8"),
    ],
)
def test_what_is_refused(settings: Settings, put: Put, name: str, content: bytes, fault: str) -> None:
    faults = refusal(settings, put(name, content))

    assert len(faults) == 1
    assert fault in faults[0]


def test_a_damaged_byte_in_a_zip_is_found(settings: Settings, put: Put) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("orders.csv", ORDERS)
    damaged = buffer.getvalue().replace(b"o1,1.00", b"o1,7.00")

    assert "is cut off, damaged or unreadable" in refusal(settings, put("in.zip", damaged))[0]


def test_an_absent_path_is_named(settings: Settings, tmp_path: Path) -> None:
    assert refusal(settings, tmp_path / "absent") == [f"{tmp_path / 'absent'}: there is no such file or folder"]


def test_the_command_names_the_files_that_it_ignored_and_why(
    put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = {
        "more.zip": zipped(**{"orders.csv": ORDERS}),
        "2018.csv/": b"",
        "~notes[1].txt": b"",
        "._orders.csv": b"",
    }
    put("2018-01-05.zip", zipped(**members))
    put("sellers.csv", b"seller_id,seller_zip_code_prefix,seller_city,seller_state\n")
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path / "home"))

    ran = CliRunner().invoke(app, ["land", str(tmp_path / "in"), "--batch-date", "2018-01-05"])

    assert (ran.exit_code, ran.stdout) == (0, "2018-01-05  sellers\n")
    assert ran.stderr.splitlines() == [
        "ignored (hidden): 2018-01-05.zip:._orders.csv",
        "ignored (a zip in a zip: take it out first): 2018-01-05.zip:more.zip",
        "ignored (neither .csv nor .csv.gz nor .zip): 2018-01-05.zip:~notes[1].txt",
    ]


def test_a_zip_that_holds_only_a_zip_is_refused_as_such(settings: Settings, put: Put) -> None:
    path = put("out.zip", zipped(**{"in.zip": zipped(**{"orders.csv": ORDERS})}))

    assert refusal(settings, path) == [f"{path}: holds nothing but a zip in a zip: take it out"]


def test_a_folder_without_csv_is_an_error(settings: Settings, put: Put, tmp_path: Path) -> None:
    put("README.md", b"")

    assert "holds no .csv, .csv.gz or .zip file" in refusal(settings, tmp_path / "in")[0]


def test_a_disk_that_fills_up_between_two_batches_accepts_neither(
    settings: Settings, put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("2018-01-05/orders.csv", ORDERS)
    put("2018-01-06/words.csv", WORDS)
    copied: list[str] = []
    copy_in = LocalStore.copy_in

    def copy_one_file(store: LocalStore, key: str, stream: io.BytesIO) -> None:
        if key.endswith(".csv"):
            copied.append(key)
        if len(copied) == 2:
            with store._reporting(key):
                raise OSError(errno.ENOSPC, "No space left on device")
        copy_in(store, key, stream)

    monkeypatch.setattr(LocalStore, "copy_in", copy_one_file)
    with pytest.raises(StoreError, match="No space left"):
        landing.land(Lakehouse(settings, SHOP), [tmp_path / "in"])

    assert manifests_in(settings) == []
    assert [key for key in open_store(settings, "landing").keys("shop") if key.endswith(".csv")] == []


@pytest.fixture
def full_at_manifest(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the disk full when the manifest of a given batch is written; with `for_good`, for later writes too."""
    write = LocalStore.write

    def set_up(day: str, *, for_good: bool = False, written: bool = False) -> None:
        failed: list[str] = []

        def write_if_possible(store: LocalStore, key: str, data: bytes) -> None:
            if (for_good and failed) or (key == f"shop/{day}/manifest.json" and not failed):
                failed.append(key)
                if written:
                    write(store, key, data)
                with store._reporting(key):
                    raise OSError(errno.ENOSPC, "No space left on device")
            write(store, key, data)

        monkeypatch.setattr(LocalStore, "write", write_if_possible)

    return set_up


@pytest.mark.parametrize("written", [False, True], ids=["not written", "written although it failed"])
def test_a_manifest_that_cannot_be_written_undoes_the_batches_before_it(
    settings: Settings, put: Put, tmp_path: Path, full_at_manifest: Callable[..., None], written: bool
) -> None:
    put("2018-01-04/orders.csv", ORDERS)
    put("2018-01-05/orders.csv", ORDERS)
    put("2018-01-05/words.csv", WORDS)
    batches(settings, tmp_path / "in")
    before, keys = manifests_in(settings), open_store(settings, "landing").keys("shop")
    put("2018-01-03/orders.csv", ORDERS)
    put("2018-01-04/orders.csv", ORDERS + b"o3,3.00,\n")
    put("2018-01-05/orders.csv", ORDERS + b"o3,3.00,\n")

    full_at_manifest("2018-01-05", written=written)
    with pytest.raises(StoreError, match="No space left") as failed:
        batches(settings, tmp_path / "in")

    assert "accepted" not in str(failed.value)
    assert manifests_in(settings) == before
    kept = [key for key in open_store(settings, "landing").keys("shop") if key.endswith(".csv")]
    assert kept == [key for key in keys if key.endswith(".csv")]
    assert batches(settings, tmp_path / "in") == {day: ["orders"] for day in ("2018-01-03", "2018-01-04", "2018-01-05")}


def test_batches_that_cannot_be_undone_are_named_and_completed_by_landing_again(
    settings: Settings,
    put: Put,
    tmp_path: Path,
    full_at_manifest: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for day in ("2018-01-03", "2018-01-04", "2018-01-05"):
        put(f"{day}/orders.csv", ORDERS)

    full_at_manifest("2018-01-05", for_good=True)
    with pytest.raises(StoreError, match=r"No space(.|\n)*may stay accepted.*: batch 2018-01-03, 2018-01-04\.\nLand"):
        batches(settings, tmp_path / "in")
    monkeypatch.undo()

    assert batches(settings, tmp_path / "in") == {"2018-01-03": [], "2018-01-04": [], "2018-01-05": ["orders"]}
    for manifest in manifests_in(settings):
        assert manifest.tables["orders"] is not None
        assert open_store(settings, "landing").read(manifest.tables["orders"].key) == ORDERS


@pytest.fixture
def landed_before_manifest(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let another landing take the last of these files just before the manifest of a given batch is written."""
    swap = LocalStore.swap

    def set_up(day: str, files: list[Path]) -> None:
        def swap_after_another_landing(store: LocalStore, key: str, old: bytes | None, new: bytes) -> bool:
            if key.endswith(f"{day}/manifest.json") and files:
                batches(settings, files.pop())
            return swap(store, key, old, new)

        monkeypatch.setattr(LocalStore, "swap", swap_after_another_landing)

    return set_up


def test_what_another_landing_changed_meanwhile_is_not_undone(
    settings: Settings, put: Put, full_at_manifest: Callable[..., None], landed_before_manifest: Callable[..., None]
) -> None:
    first, second = put("orders_2018-01-04.csv", ORDERS), put("orders_2018-01-05.csv", ORDERS)
    words = [put("words_2018-01-04.csv", WORDS)]
    full_at_manifest("2018-01-05")
    landed_before_manifest("2018-01-05", words)
    with pytest.raises(StoreError, match="No space left for"):
        batches(settings, first, second)

    assert [(m.batch_date, list(m.tables)) for m in manifests_in(settings)] == [(date(2018, 1, 4), ["words"])]


def test_what_another_landing_delivered_of_the_same_table_meanwhile_is_not_undone(
    settings: Settings, put: Put, full_at_manifest: Callable[..., None], landed_before_manifest: Callable[..., None]
) -> None:
    batches(settings, put("before/orders_2018-01-04.csv", ORDERS))
    corrected = ORDERS + b"o3,3.00,\n"
    both_days = [put("orders_2018-01-04.csv", ORDERS + b"o4,4.00,\n"), put("orders_2018-01-05.csv", ORDERS)]
    theirs = [put("corrected/orders_2018-01-04.csv", corrected)]
    full_at_manifest("2018-01-05")
    landed_before_manifest("2018-01-05", theirs)
    with pytest.raises(StoreError, match="No space left for"):
        batches(settings, *both_days)

    (manifest,) = manifests_in(settings)
    assert theirs == []
    assert manifest.tables["orders"] is not None
    assert open_store(settings, "landing").read(manifest.tables["orders"].key) == corrected


def test_a_landing_that_died_before_its_manifest_accepted_nothing(settings: Settings, put: Put) -> None:
    open_store(settings, "landing").write("shop/2018-01-05/r1/delivery.txt", b"")
    open_store(settings, "landing").write("shop/2018-01-05/r1/orders.csv", ORDERS[:20])
    assert manifests_in(settings) == []

    batches(settings, put("orders.csv", ORDERS), batch_date=DAY)

    manifest = manifest_in(settings, DAY)
    assert manifest is not None
    assert manifest.tables["orders"] is not None
    assert manifest.tables["orders"].key == "shop/2018-01-05/r2/orders.csv"


def test_two_landings_of_one_batch_at_the_same_time_both_count(
    settings: Settings, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [put("words.csv", WORDS)]
    swap = LocalStore.swap

    def swap_after_another_landing(store: LocalStore, key: str, old: bytes | None, new: bytes) -> bool:
        if key.endswith("manifest.json") and words:
            batches(settings, words.pop(), batch_date=DAY)
        return swap(store, key, old, new)

    monkeypatch.setattr(LocalStore, "swap", swap_after_another_landing)
    batches(settings, put("orders.csv", ORDERS), batch_date=DAY)

    manifest = manifest_in(settings, DAY)
    assert manifest is not None
    store = open_store(settings, "landing")
    assert {name: store.read(file.key) for name, file in manifest.tables.items() if file} == {
        "orders": ORDERS,
        "words": WORDS,
    }


def test_landings_at_the_same_time_never_share_a_revision(settings: Settings, put: Put) -> None:
    versions = [ORDERS + b"o%d,3.00,\n" % number for number in range(3, 9)]
    paths = [put(f"{number}/orders.csv", content) for number, content in enumerate(versions)]

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda path: landing.land(Lakehouse(settings, SHOP), [path], DAY), paths))

    store = open_store(settings, "landing")
    kept = [store.read(key) for key in store.keys("shop") if key.endswith(".csv")]
    assert sorted(content or b"" for content in kept) == sorted(versions)


def test_a_file_that_is_written_to_while_it_is_landed_is_refused(
    settings: Settings, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put("orders.csv", ORDERS)
    copy_in = LocalStore.copy_in

    def copy_and_grow(store: LocalStore, key: str, stream: io.BytesIO) -> None:
        copy_in(store, key, stream)
        path.write_bytes(ORDERS + b"o3,3.00,\n")

    monkeypatch.setattr(LocalStore, "copy_in", copy_and_grow)
    assert "was changed while it was being landed" in refusal(settings, path, batch_date=DAY)[0]


@pytest.mark.parametrize("name", ["orders.csv", "in.zip"])
def test_a_file_that_is_gone_before_it_is_copied_is_refused(
    settings: Settings, put: Put, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = put(name, zipped(**{"orders.csv": ORDERS}) if name == "in.zip" else ORDERS)
    write_new = LocalStore.write_new

    def remove_then_claim(store: LocalStore, key: str, data: bytes) -> bool:
        path.unlink()
        return write_new(store, key, data)

    monkeypatch.setattr(LocalStore, "write_new", remove_then_claim)
    faults = refusal(settings, path, batch_date=DAY)

    assert len(faults) == 1
    assert faults[0].endswith("was changed while it was being landed (No such file or directory)")


def test_a_link_to_nothing_is_one_fault_among_the_others(settings: Settings, put: Put, tmp_path: Path) -> None:
    put("words.csv", b"")
    (tmp_path / "in" / "orders.csv").symlink_to("gone.csv")

    faults = refusal(settings, tmp_path / "in", batch_date=DAY)

    assert faults == ["in/orders.csv: is a link to nothing", "in/words.csv: is empty, not even a header"]


def test_on_s3_a_delivery_lands_and_is_replaced_as_in_a_folder(tmp_path: Path, put: Put) -> None:
    with s3_settings() as given:
        settings = settings_in(tmp_path, **given)

        batches(settings, put("orders.csv.gz", gzip.compress(ORDERS)), put("words.csv", WORDS), batch_date=DAY)
        changed = batches(settings, put("orders.csv", ORDERS), batch_date=DAY)
        again = batches(settings, put("orders.csv", ORDERS), batch_date=DAY)

        manifest = manifests_in(settings)[0]
        assert (changed, again) == ({"2018-01-05": ["orders"]}, {"2018-01-05": []})
        assert {name: file.key for name, file in manifest.tables.items() if file} == {
            "orders": "shop/2018-01-05/r2/orders.csv",
            "words": "shop/2018-01-05/r1/words.csv",
        }
        assert open_store(settings, "landing").read("shop/2018-01-05/r2/orders.csv") == ORDERS


def test_reading_hundreds_of_manifests_gives_them_by_date(settings: Settings) -> None:
    contract_dates = [date.fromordinal(date(2017, 1, 1).toordinal() + n) for n in range(300)]
    store = open_store(settings, "landing")
    for day in reversed(contract_dates):
        store.write(f"shop/{day}/manifest.json", landing.Manifest("shop", day, {"orders": None}).to_json())

    assert [m.batch_date for m in manifests_in(settings)] == contract_dates
