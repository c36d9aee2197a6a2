"""What is not a CSV in UTF-8 with commas is reported as what it is, by its bytes or by its name."""

from __future__ import annotations

import gzip
import io
import zipfile

import pytest

from lakehouse.landing.foreign import is_not_a_csv, is_wrapped

COLUMNS = ("order_id", "amount", "note")
HEADER = "order_id,amount,note\no1,1.00,\n"
BOM = b"\xef\xbb\xbf"
TABLES = frozenset({"shop_orders_dataset", "orders"})


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "content")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (HEADER.encode("utf-16"), "is UTF-16"),
        (HEADER.encode("utf-16-be"), "is UTF-16"),
        (HEADER.encode("utf-16-le"), "is UTF-16"),
        (HEADER.replace(",", '","').encode("utf-16"), "is UTF-16"),
        (HEADER.encode("utf-32"), "is UTF-32"),
        (gzip.compress(HEADER.encode()), "is compressed with gzip, but is not named .csv.gz"),
        (zipped("orders.csv"), "is a zip, but is not named .zip"),
        (zipped("[Content_Types].xml", "xl/workbook.xml"), "is an Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "is an old Excel workbook"),
        (b"BZh91AY&SY", "is compressed with bzip2"),
        (b"\xfd7zXZ\x00\x00", "is compressed with xz"),
        (b"\x28\xb5\x2f\xfd\x00", "is compressed with zstd"),
        (b"7z\xbc\xaf\x27\x1c\x00", "is a 7z archive"),
        (b"PAR1\x15\x04", "is Parquet"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "is a Git LFS pointer"),
        (b"\n <!DOCTYPE html>\n<html>", "is HTML or XML"),
        (BOM + b'<?xml version="1.0"?>', "is HTML or XML"),
        (b'[{"order_id": "o1"}]', "is JSON"),
        (bytes(4096), "begins with zero bytes"),
        (b"sep=;\r\norder_id;amount;note\n", "begins with a line `sep=`"),
        (b'"sep=,"\norder_id,amount,note\n', "begins with a line `sep=`"),
        (BOM + b"sep=,\norder_id,amount,note\n", "begins with a line `sep=`"),
        (BOM + BOM + HEADER.encode(), "begins with two byte order marks"),
        (b"order_id;amount;note\n", "this file has a semicolon"),
        (b'"order_id";"amount";"note"\n', "this file has a semicolon"),
        (b"order_id\tamount\tnote\n", "this file has a tab"),
        (b'"Order_ID"|"Amount"|"note"\n', "this file has a vertical bar"),
    ],
)
def test_by_its_first_bytes(head: bytes, what: str) -> None:
    assert what in (is_not_a_csv(head, COLUMNS) or "")


@pytest.mark.parametrize(
    "head",
    [
        HEADER.encode(),
        BOM + HEADER.encode(),
        b"",
        b"\n\n" + HEADER.encode(),
        b'"order_id","amount","note"\n"o1","1.00","a; b | c"\n',
        b"order_id,amount,n\xf4te\n",
        b"order_id,amount,note\no1,1.00,\0\n",
        b"separator,amount\n",
        b"order_id,amount,note\no1,1,<html>\n",
        b"order_id;amount,note\n",
    ],
)
def test_what_may_be_a_csv_is_left_to_the_other_checks(head: bytes) -> None:
    assert is_not_a_csv(head, COLUMNS) is None


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("orders.csv.bz2", "is compressed in a way that is not read here"),
        ("orders_2018-01-02.csv.xz", "is compressed in a way"),
        ("anything.zst", "is compressed in a way"),
        ("shop.7z", "is an archive"),
        ("shop.tar.gz", "is an archive"),
        ("shop.tgz", "is an archive"),
        ("orders.xlsx", "is an Excel workbook"),
        ("Shop_Orders_Dataset_20180102.XLSX", "is an Excel workbook"),
        ("20180102_orders.parquet", "is Parquet"),
        ("orders (1).json", "is JSON"),
        ("orders.tsv", "is separated by tabs"),
        ("orders", "has no extension"),
        ("orders.csvaa", "is a part of a file that was split"),
        ("orders.csv.ab", "is a part of a file that was split"),
        ("orders.csv.001", "is a part of a file that was split"),
        ("orders.csv.gz.part2", "is a part of a file that was split"),
        ("orders.csv.crdownload", "is a transfer that has not ended"),
        ("orders.csv.part", "is a transfer that has not ended"),
    ],
)
def test_a_table_in_another_wrapping_says_what_to_do(name: str, what: str) -> None:
    assert (is_wrapped(name, TABLES, is_dropped=False) or "").startswith(what)


@pytest.mark.parametrize(
    "name",
    ["README", "notes.txt", "orders_notes.txt", "budget.xlsx", "orders.csv.sha256", "orders.csv.bak", "orders.csv~"],
)
def test_what_is_just_no_table_is_left_out(name: str) -> None:
    assert is_wrapped(name, TABLES, is_dropped=False) is None


def test_a_transfer_that_goes_on_is_no_fault_in_the_drop_folder() -> None:
    assert is_wrapped("orders.csv.part", TABLES, is_dropped=True) is None
    assert is_wrapped("orders.csv.xz", TABLES, is_dropped=True) is not None
