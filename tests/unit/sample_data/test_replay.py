"""replay: what a batch holds, and that all batches together give the archive."""

from __future__ import annotations

import csv
import hashlib
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from lakehouse.errors import ConfigurationError
from lakehouse.sample_data.period import Period
from lakehouse.sample_data.replay import FILES, replay
from lakehouse.settings import PROJECT_DIR

OLIST = PROJECT_DIR.parent / "shared" / "data" / "olist" / "brazilian-ecommerce.zip"
KEYS = {
    "customers": 1,
    "geolocation": 5,
    "order_items": 2,
    "order_payments": 2,
    "order_reviews": 2,
    "orders": 1,
    "products": 1,
    "sellers": 1,
    "category_translation": 1,
}
HEADERS = {
    "customers": "customer_id,customer_unique_id,customer_zip_code_prefix,customer_city,customer_state",
    "geolocation": "geolocation_zip_code_prefix,geolocation_lat,geolocation_lng,geolocation_city,geolocation_state",
    "order_items": "order_id,order_item_id,product_id,seller_id,shipping_limit_date,price,freight_value",
    "order_payments": "order_id,payment_sequential,payment_type,payment_installments,payment_value",
    "order_reviews": "review_id,order_id,review_score,review_comment_title,review_comment_message,"
    "review_creation_date,review_answer_timestamp",
    "orders": "order_id,customer_id,order_status,order_purchase_timestamp,order_approved_at,"
    "order_delivered_carrier_date,order_delivered_customer_date,order_estimated_delivery_date",
    "products": "product_id,product_category_name,product_name_lenght,product_description_lenght,product_photos_qty,"
    "product_weight_g,product_length_cm,product_height_cm,product_width_cm",
    "sellers": "seller_id,seller_zip_code_prefix,seller_city,seller_state",
    "category_translation": "product_category_name,product_category_name_english",
}

ORDER = "o1,c1,created,2018-01-02 10:00:00,,,,2018-02-20 00:00:00\n"

Sent = dict[tuple[str, str], list[list[str]]]  # (batch date, table) -> rows


def write_archive(folder: Path, **tables: str) -> Path:
    folder.mkdir()
    for table, file in FILES.items():
        (folder / file).write_text(HEADERS[table] + "\n" + tables.get(table, ""), encoding="utf-8", newline="")
    return folder


def read_batches(folder: Path) -> Sent:
    table_of = {file: table for table, file in FILES.items()}
    sent: Sent = {}
    for path in sorted(folder.glob("*/*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            sent[path.parent.name, table_of[path.name]] = list(csv.reader(file))[1:]
    return sent


def replayed(tmp_path: Path, by: Period, **tables: str) -> Sent:
    replay(write_archive(tmp_path / "archive", **tables), tmp_path / "batches", by)
    return read_batches(tmp_path / "batches")


def test_an_order_is_sent_with_each_milestone_and_what_was_known_by_then(tmp_path: Path) -> None:
    bought, approved = "2018-01-01 10:00:00", "2018-01-01 11:00:00"
    carrier, delivered, promised = "2018-01-03 09:00:00", "2018-01-08 20:00:00", "2018-01-20 00:00:00"

    sent = replayed(tmp_path, "day", orders=f"o1,c1,delivered,{bought},{approved},{carrier},{delivered},{promised}\n")

    assert sent == {
        ("2018-01-01", "orders"): [["o1", "c1", "approved", bought, approved, "", "", promised]],
        ("2018-01-03", "orders"): [["o1", "c1", "shipped", bought, approved, carrier, "", promised]],
        ("2018-01-08", "orders"): [["o1", "c1", "delivered", bought, approved, carrier, delivered, promised]],
    }


def test_milestones_are_sorted_by_time_even_if_the_archives_are_not(tmp_path: Path) -> None:
    # handed over before the purchase, approved after delivery
    order = "o1,c1,delivered,2018-01-02 10:00:00,2018-01-09 11:00:00,2018-01-01 09:00:00,2018-01-08 20:00:00,"
    order += "2018-01-20 00:00:00\n"

    sent = replayed(tmp_path, "day", orders=order)

    states = {day: (rows[0][2], [bool(value) for value in rows[0][4:7]]) for (day, _), rows in sent.items()}
    assert states == {
        "2018-01-02": ("shipped", [False, True, False]),
        "2018-01-08": ("delivered", [False, True, True]),
        "2018-01-09": ("delivered", [True, True, True]),
    }


def test_a_canceled_order_is_canceled_only_with_its_last_milestone(tmp_path: Path) -> None:
    orders = (
        "o1,c1,canceled,2018-01-01 10:00:00,2018-01-04 11:00:00,,,2018-01-20 00:00:00\n"
        "o2,c2,unavailable,2018-01-01 10:00:00,,,,2018-01-20 00:00:00\n"
    )

    sent = replayed(tmp_path, "day", orders=orders)

    assert [row[2] for row in sent["2018-01-01", "orders"]] == ["created", "unavailable"]
    assert [row[2] for row in sent["2018-01-04", "orders"]] == ["canceled"]


@pytest.mark.parametrize(
    ("by", "batch"),
    [("day", "2018-01-31"), ("week", "2018-02-04"), ("month", "2018-01-31"), ("quarter", "2018-03-31")],
)
def test_a_batch_is_dated_by_the_last_day_of_its_period(tmp_path: Path, by: Period, batch: str) -> None:
    sent = replayed(tmp_path, by, orders="o1,c1,created,2018-01-31 23:59:59,,,,2018-02-20 00:00:00\n")

    assert list(sent) == [(batch, "orders")]


def test_an_orders_other_rows_come_when_it_first_appears(tmp_path: Path) -> None:
    sent = replayed(
        tmp_path,
        "day",
        orders="o1,c1,created,2018-01-01 10:00:00,,,,2018-02-20 00:00:00\n"
        "o2,c2,delivered,2018-01-02 10:00:00,2018-01-05 10:00:00,,,2018-02-20 00:00:00\n",
        customers="c2,u2,01310,sao paulo,SP\nc1,u1,01310,sao paulo,SP\n",
        order_items="o2,1,p1,s1,2018-01-08 00:00:00,10.00,2.00\no1,1,p2,s1,2018-01-08 00:00:00,10.00,2.00\n",
        order_payments="o2,1,boleto,1,12.00\n",
        products="p1,,,,,,,,\np2,,,,,,,,\nnever_sold,,,,,,,,\n",
        sellers="s1,01310,sao paulo,SP\n",
        geolocation="01310,-23.5,-46.6,sao paulo,SP\n01310,-23.5,-46.6,sao paulo,SP\n",
        category_translation="artes,art\n",
    )

    tables = {day: {t: [row[0] for row in rows] for (d, t), rows in sent.items() if d == day} for day, _ in sent}
    assert tables == {
        "2018-01-01": {
            "category_translation": ["artes"],
            "customers": ["c1"],
            "geolocation": ["01310", "01310"],
            "order_items": ["o1"],
            "orders": ["o1"],
            "products": ["p2", "never_sold"],
            "sellers": ["s1"],
        },
        "2018-01-02": {
            "customers": ["c2"],
            "order_items": ["o2"],
            "order_payments": ["o2"],
            "orders": ["o2"],
            "products": ["p1"],
        },
        "2018-01-05": {"orders": ["o2"]},
    }


def test_a_review_is_sent_when_created_and_again_when_answered(tmp_path: Path) -> None:
    sent = replayed(
        tmp_path,
        "day",
        orders="o1,c1,delivered,2018-01-01 10:00:00,2018-01-03 10:00:00,,,2018-02-20 00:00:00\n",
        order_reviews="r1,o1,5,,,2018-01-02 00:00:00,2018-01-04 08:00:00\n"
        "r2,o1,4,,,2018-01-02 00:00:00,2018-01-02 08:00:00\n"
        "r3,o1,3,,,,\n",
    )

    answers = {day: [(row[0], row[6]) for row in rows] for (day, t), rows in sent.items() if t == "order_reviews"}
    assert answers == {
        "2018-01-02": [("r1", ""), ("r2", "2018-01-02 08:00:00")],
        "2018-01-03": [("r3", "")],  # without a date: with its order's last milestone
        "2018-01-04": [("r1", "2018-01-04 08:00:00")],
    }


def test_a_milestone_that_is_no_date_is_sent_unchanged_with_the_last_version(tmp_path: Path) -> None:
    order = "o1,c1,delivered,2018-01-01 10:00:00,soon,2018-01-03 09:00:00,2018-01-08 20:00:00,2018-01-20 00:00:00\n"

    sent = replayed(tmp_path, "day", orders=order)

    approved = {day: (rows[0][2], rows[0][4]) for (day, _), rows in sent.items()}
    assert approved == {
        "2018-01-01": ("created", ""),
        "2018-01-03": ("shipped", ""),
        "2018-01-08": ("delivered", "soon"),
    }


def test_values_are_sent_as_they_are_in_the_archive(tmp_path: Path) -> None:
    comment = '"disse ""ótimo"",\r\nmas 1,5 é pouco "'

    sent = replayed(tmp_path, "month", orders=ORDER, order_reviews=f"r1,o1,5, x ,{comment},2018-01-02 00:00:00,\n")

    assert sent["2018-01-31", "order_reviews"][0][3:5] == [" x ", 'disse "ótimo",\r\nmas 1,5 é pouco ']


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "archive", orders=ORDER)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")

    with pytest.raises(ConfigurationError, match="is not empty"):
        replay(archive, tmp_path / "mine", "month")

    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("name", [".", "..", "../here"])
def test_the_current_folder_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    archive = write_archive(tmp_path / "archive", orders=ORDER)
    (tmp_path / "up" / "here").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "up" / "here")

    with pytest.raises(ConfigurationError, match=r"cannot be replaced|is not empty"):
        replay(archive, Path(name), "month")

    assert sorted(path.name for path in tmp_path.rglob("*") if path.suffix != ".csv") == ["archive", "here", "up"]


def test_a_link_to_an_empty_folder_is_a_folder_to_write_to(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "archive", orders=ORDER)
    (tmp_path / "large disk").mkdir()
    (tmp_path / "batches").symlink_to("large disk")

    replay(archive, tmp_path / "batches", "month")

    assert list(read_batches(tmp_path / "large disk")) == [("2018-01-31", "orders")]
    assert (tmp_path / "batches").is_symlink()


@pytest.mark.parametrize("name", ["loop", "file/batches", "b" * 250], ids=["a link to itself", "in a file", "too long"])
def test_a_folder_that_cannot_be_created_is_refused_before_anything_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match="cannot be written to"):
        replay(tmp_path / "no archive", tmp_path / name, "month")


def test_an_archive_that_lacks_files_is_refused_with_their_names(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "archive")
    (archive / FILES["orders"]).unlink()
    (archive / FILES["sellers"]).unlink()

    with pytest.raises(ConfigurationError, match=r"olist_orders_dataset\.csv, olist_sellers_dataset\.csv"):
        replay(archive, tmp_path / "batches", "month")

    assert not (tmp_path / "batches").exists()


def test_every_missing_or_damaged_part_of_an_archive_is_named_with_file_and_column(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "archive", orders=ORDER)
    (archive / FILES["orders"]).write_text("order_id,customer_id,order_status,order_purchase_timestamp\n")
    (archive / FILES["products"]).write_text("product_id,product_id\np1,p1\n")
    (archive / FILES["sellers"]).write_bytes("seller_id,cidade_é\ns1,x\n".encode("latin-1"))
    (archive / FILES["customers"]).write_bytes("customer_id,city\nc1,são paulo\n".encode("latin-1"))
    (archive / FILES["order_items"]).write_text("")

    with pytest.raises(ConfigurationError) as refused:
        replay(archive, tmp_path / "batches", "month")

    lines = [line.strip() for line in str(refused.value).splitlines()]
    assert [line.partition(" is damaged: ")[0] for line in lines[1:-1]] == [
        "olist_customers_dataset.csv",
        "olist_order_items_dataset.csv lacks the column order_id",
        "olist_order_items_dataset.csv lacks the column product_id",
        "olist_order_items_dataset.csv lacks the column seller_id",
        "olist_orders_dataset.csv lacks the column order_approved_at",
        "olist_orders_dataset.csv lacks the column order_delivered_carrier_date",
        "olist_orders_dataset.csv lacks the column order_delivered_customer_date",
        "olist_products_dataset.csv has the column product_id twice",
        "olist_sellers_dataset.csv",
    ]
    assert not (tmp_path / "batches").exists()


@pytest.mark.parametrize(
    ("sound", "broken", "fault"),
    [
        (b"c1,u1", b"c9,u1", "olist_customers_dataset.csv is damaged: Bad CRC-32"),
        (b"PK\1\2", b"PK\1\3", "neither a folder nor a zip, or is damaged"),
        (b"PK\5\6", b"PK\5\7", "neither a folder nor a zip, or is damaged"),
    ],
    ids=["a value", "the list of its files", "its end"],
)
def test_a_damaged_zip_is_named_as_damaged(tmp_path: Path, sound: bytes, broken: bytes, fault: str) -> None:
    folder = write_archive(tmp_path / "archive", orders=ORDER, customers="c1,u1,01310,sao paulo,SP\n")
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as writer:
        for path in folder.iterdir():
            writer.write(path, path.name)
    archive.write_bytes(archive.read_bytes().replace(sound, broken))

    with pytest.raises(ConfigurationError, match=fault):
        replay(archive, tmp_path / "batches", "month")


@pytest.mark.olist
@pytest.mark.skipif(
    not OLIST.is_file(), reason="the real Olist archive is not beside the checkout (../shared/data/olist)"
)
@pytest.mark.parametrize(
    "by",
    ["day", pytest.param("month", marks=pytest.mark.nightly), pytest.param("quarter", marks=pytest.mark.nightly)],
)
def test_the_newest_rows_of_all_batches_equal_the_real_archive(tmp_path: Path, by: Period) -> None:
    with zipfile.ZipFile(OLIST) as container:
        container.extractall(tmp_path / "archive")

    replay(OLIST, tmp_path / "batches", by)

    for table, file in FILES.items():
        with (tmp_path / "archive" / file).open(encoding="utf-8-sig", newline="") as source:
            header, *rows = csv.reader(source)
        batches = sorted((tmp_path / "batches").glob(f"*/{file}"))
        newest: dict[tuple[str, ...], list[str]] = {}
        geolocation: list[list[str]] = []
        for path in batches:
            with path.open(encoding="utf-8", newline="") as source:
                sent_header, *sent = csv.reader(source)
            assert sent_header == header
            geolocation += sent
            newest.update({tuple(row[: KEYS[table]]): row for row in sent})
        end_state = geolocation if table == "geolocation" else list(newest.values())
        assert Counter(map(_digest, end_state)) == Counter(map(_digest, rows))


def _digest(row: list[str]) -> bytes:
    return hashlib.blake2b("\0".join(row).encode(), digest_size=16).digest()
