"""Ways to break a CSV file, each with its outcome: the right values arrive, records are rejected, or it is refused."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from lakehouse.errors import DeliveryRefused
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import step as landing
from lakehouse.settings import Settings
from tests.support.small_source import DAY, land, manifests_in, rows_of, run_bronze, settings_in, shop, values_of

HEADER = b"order_id,amount,note\n"
GOOD = b"o1,1.00,x\n"
BIG = b"y" * 2_000_000
AGAIN, RULER = "the header once more", "a ruler of dashes"
LONG = b"y" * 5 * 1024 * 1024

ARRIVES: dict[str, tuple[bytes, list[tuple[str, str, str]]]] = {
    "BOM": (b"\xef\xbb\xbf" + HEADER + GOOD, [("o1", "1.00", "x")]),
    "BOM before the first value too": (HEADER + b"\xef\xbb\xbfo1,1.00,x\n", [("\ufeffo1", "1.00", "x")]),
    "CRLF": (b"order_id,amount,note\r\no1,1.00,\r\no2,2.00,y\r\n", [("o1", "1.00", ""), ("o2", "2.00", "y")]),
    "LF and CRLF mixed": (HEADER + b"o1,1.00,x\r\no2,2.00,y\n", [("o1", "1.00", "x"), ("o2", "2.00", "y")]),
    "reordered columns": (b"note,order_id,amount\nx,o1,1.00\n", [("o1", "1.00", "x")]),
    "swapped columns": (b"amount,order_id,note\n1.00,o1,x\n", [("o1", "1.00", "x")]),
    "header in capitals and with spaces": (b" Order_ID ,AMOUNT,note\n" + GOOD, [("o1", "1.00", "x")]),
    "blank lines everywhere": (b"\n\r\n" + HEADER + b"\n\n" + GOOD + b"\n\n\n", [("o1", "1.00", "x")]),
    "newline in quotes": (HEADER + b'o1,1.00,"a\nb"\n', [("o1", "1.00", "a\nb")]),
    "CRLF in quotes": (HEADER + b'o1,1.00,"a\r\nb"\n', [("o1", "1.00", "a\r\nb")]),
    "lone CR in quotes": (HEADER + b'o1,1.00,"a\rb"\n', [("o1", "1.00", "a\rb")]),
    "blank line in quotes": (HEADER + b'o1,1.00,"a\n\nb"\n', [("o1", "1.00", "a\n\nb")]),
    "comma in quotes": (HEADER + b'o1,"1,00",x\n', [("o1", "1,00", "x")]),
    "doubled quotes": (HEADER + b'o1,1.00,"say ""hi"""\n', [("o1", "1.00", 'say "hi"')]),
    "nothing but a doubled quote": (HEADER + b'o1,1.00,""""\n', [("o1", "1.00", '"')]),
    "empty against quoted empty": (HEADER + b'o1,,""\n', [("o1", "", "")]),
    "words that other readers take for null": (HEADER + b"NULL,NaN,N/A\n", [("NULL", "NaN", "N/A")]),
    "spaces around values": (HEADER + b" o1 ,1.00 ,\t\n", [(" o1 ", "1.00 ", "\t")]),
    "no newline at the end": (HEADER + GOOD + b"o2,2.00,y", [("o1", "1.00", "x"), ("o2", "2.00", "y")]),
    "no newline at the end, last field empty": (HEADER + b"o2,2.00,", [("o2", "2.00", "")]),
    "header only": (HEADER, []),
    "header only, without newline": (HEADER.rstrip(), []),
    "header and blank lines": (HEADER + b"\n\r\n", []),
    "a record of 2 MB": (
        HEADER + b"o1,1.00," + BIG + b"\n" + b"o2,2.00,y\n",
        [("o1", "1.00", BIG.decode()), ("o2", "2.00", "y")],
    ),
    "a record of 2 MB in quotes": (
        HEADER + GOOD + b'o1,1.00,"' + BIG + b'\n"\n',
        [("o1", "1.00", "x"), ("o1", "1.00", BIG.decode() + "\n")],
    ),
    "a record of 5 blocks": (HEADER + b"o1,1.00," + LONG + b"\n", [("o1", "1.00", LONG.decode())]),
    "many blank lines": (
        HEADER + GOOD + b"\n" * 3_000_000 + b"o2,2.00,y\n",
        [("o1", "1.00", "x"), ("o2", "2.00", "y")],
    ),
    # Silver decides whether a value is of its type. Bronze keeps it as sent.
    "bad date": (
        HEADER + b"2018-02-30,2018,2018-01-05 10:00:00+02:00\n",
        [("2018-02-30", "2018", "2018-01-05 10:00:00+02:00")],
    ),
    "numbers of other styles": (
        HEADER + "1e3,１２,99999999999999999999.999\n".encode(),
        [("1e3", "１２", "99999999999999999999.999")],
    ),
    # One field less than a header or a ruler.
    "names of columns as values": (HEADER + b"order_id,amount,\n", [("order_id", "amount", "")]),
    "names of columns in another order": (HEADER + b"amount,order_id,note\n", [("amount", "order_id", "note")]),
    "names of columns, cut or longer": (
        HEADER + b"order_id,amount,not\norder_id,amount,notes\n",
        [("order_id", "amount", "not"), ("order_id", "amount", "notes")],
    ),
    "dashes for what is not known": (
        HEADER + b"-,-,-\n--,,\n--,1.00,--\n--,-1,--\n",
        [("-", "-", "-"), ("--", "", ""), ("--", "1.00", "--"), ("--", "-1", "--")],
    ),
    "text beyond ASCII": (HEADER + "o1,1.00,São João 😀\n".encode(), [("o1", "1.00", "São João 😀")]),
}

REJECTED: dict[str, tuple[bytes, int, str, bytes]] = {
    "short row": (b"o2,2.00\n", 2, "wrong number of fields", b"o2,2.00"),
    "long row": (b"o2,2.00,y,z\n", 2, "wrong number of fields", b"o2,2.00,y,z"),
    "long row with quotes and newlines": (b'"o\n2",2.00,y,"z"\n', 2, "wrong number of fields", b'"o\n2",2.00,y,"z"'),
    "short row with CRLF": (b"o2\r\n", 2, "wrong number of fields", b"o2"),
    "row of spaces": (b"   \n", 2, "wrong number of fields", b"   "),
    "decimal comma": (b"o2,2,00,y\n", 2, "wrong number of fields", b"o2,2,00,y"),
    "short row behind blank lines": (b"\n\r\no2,2.00\n", 2, "wrong number of fields", b"o2,2.00"),
    "latin-1": ("o2,2.00,São\n".encode("latin-1"), 2, "not UTF-8", "o2,2.00,São".encode("latin-1")),
    "latin-1 in quotes": ('o2,2.00,"São\n"\n'.encode("latin-1"), 2, "not UTF-8", 'o2,2.00,"São\n"'.encode("latin-1")),
    "latin-1 in a row of wrong length": (b"o2,\xe3\n", 2, "wrong number of fields", b"o2,\xe3"),
    "UTF-8 cut in half": (b"o2,2.00,\xc3\n", 2, "not UTF-8", b"o2,2.00,\xc3"),
    "surrogates as bytes": (b"o2,2.00,\xed\xa0\x80\n", 2, "not UTF-8", b"o2,2.00,\xed\xa0\x80"),
    "NUL": (b"o2,2.00,a\0b\n", 2, "holds a NUL byte", b"o2,2.00,a\0b"),
    "NUL in quotes": (b'o2,2.00,"\0"\n', 2, "holds a NUL byte", b'o2,2.00,"\0"'),
    "NUL in a row of wrong length": (b"\0\n", 2, "wrong number of fields", b"\0"),
    "header again": (HEADER, 2, AGAIN, HEADER[:-1]),
    "header again with CRLF, behind blank lines": (b"\n\r\norder_id,amount,note\r\n", 2, AGAIN, HEADER[:-1]),
    "header again in quotes": (b'"order_id","amount","note"\n', 2, AGAIN, b'"order_id","amount","note"'),
    "header again with a BOM": (b"\xef\xbb\xbf" + HEADER, 2, AGAIN, b"\xef\xbb\xbf" + HEADER[:-1]),
    "header again in capitals and with spaces": (
        b"ORDER_ID , Amount,\xc2\xa0note\t\n",
        2,
        AGAIN,
        b"ORDER_ID , Amount,\xc2\xa0note\t",
    ),
    "ruler": (b"--------,------,-----\n", 2, RULER, b"--------,------,-----"),
    "ruler with spaces and quotes": (b' -,"------",- \r\n', 2, RULER, b' -,"------",- '),
    "ruler with a BOM": (b"\xef\xbb\xbf--,--,--\n", 2, RULER, b"\xef\xbb\xbf--,--,--"),
    "latin-1 and short, behind blank lines": (b"\n\n\xe3\r\n", 2, "wrong number of fields", b"\xe3"),
}

REFUSED: dict[str, tuple[bytes, str]] = {
    "missing column": (b"order_id,amount\no1,1.00\n", "column note is missing"),
    "unknown column": (b"order_id,amount,note,extra\no1,1.00,x,y\n", "column extra is unknown"),
    "misspelt column": (b"order_id,amuont,note\n" + GOOD, "column amuont is unknown (did you mean amount?)"),
    "repeated column": (b"order_id,amount,note,NOTE\no1,1.00,x,y\n", "column note stands there twice"),
    "column without name": (b"order_id,amount,note,\no1,1.00,x,y\n", "column (without name) is unknown"),
    "no header": (GOOD * 2, "column order_id is missing"),
    "quote opened in mid-field": (HEADER + b'o1,1.00,a "b"\n', "line 2: a quote opens in the middle of a field"),
    "quote behind a space": (HEADER + b'o1,1.00, "b"\n', "line 2: a quote opens in the middle of a field"),
    "quote closed in mid-field": (HEADER + b'o1,1.00,"ab"cd\n', "line 2: more text behind the closing quote"),
    "quote never closed": (
        HEADER + GOOD + b'o2,2.00,"y\no3,3.00,z\n',
        "the quote that opens on line 3 is never closed",
    ),
    "quote that swallows a line": (HEADER + b'"oops\n4,5,"fine"\n', "line 3: more text behind the closing quote"),
    "backslash before a quote": (HEADER + b'o1,1.00,"a\\"b"\n', "line 2: more text behind the closing quote"),
    "lone CR": (HEADER + b"o1,1.00,x\ro2,2.00,y\n", "line 2: a carriage return without line feed"),
    "CR only": (HEADER.replace(b"\n", b"\r") + b"o1,1.00,x\r", "line 1: a carriage return without line feed"),
    "CR at the end": (HEADER + b"o1,1.00,x\r", "line 2: a carriage return without line feed"),
    "empty file": (b"", "is empty, not even a header"),
    "BOM only": (b"\xef\xbb\xbf", "is empty, not even a header"),
    "blank lines only": (b"\n\r\n\n", "is empty, not even a header"),
    "semicolons": (b"order_id;amount;note\no1;1.00;x\n", "the delimiter must be a comma"),
    "UTF-16": ((HEADER + GOOD).decode().encode("utf-16"), "is UTF-16: save it as UTF-8"),
    "a record over 16 MB": (HEADER + b"o1,1.00," + BIG * 9 + b"\n", "a record is longer than 16 MB"),
    "cut off within quotes": (HEADER + b'o1,1.00,"x\ny', "the quote that opens on line 2 is never closed"),
}


@pytest.fixture
def lake(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.mark.parametrize(("content", "values"), ARRIVES.values(), ids=ARRIVES)
def test_its_values_arrive(lake: Settings, tmp_path: Path, content: bytes, values: list[tuple[str, str, str]]) -> None:
    counts = run_bronze(lake, land(lake, tmp_path, orders=content))

    assert counts == {"records": len(values), "rejected": 0, "bronze": len(values)}
    assert values_of(lake, "order_id", "amount", "note") == values
    assert values_of(lake, "_row") == [(row,) for row in range(1, len(values) + 1)]


@pytest.mark.parametrize(("record", "row", "reason", "raw"), REJECTED.values(), ids=REJECTED)
def test_its_record_is_rejected_and_the_others_arrive_at_their_positions(
    lake: Settings, tmp_path: Path, record: bytes, row: int, reason: str, raw: bytes
) -> None:
    counts = run_bronze(lake, land(lake, tmp_path, orders=HEADER + GOOD + record + GOOD + GOOD))

    assert counts == {"records": 4, "rejected": 1, "bronze": 3}
    assert values_of(lake, "order_id", "_row") == [("o1", 1), ("o1", 3), ("o1", 4)]
    assert rows_of(lake, "rejected/shop/orders") == [
        {"_source_file": "orders.csv", "_row": row, "_batch_date": DAY, "reason": reason, "record": raw}
    ]


@pytest.mark.parametrize(("content", "fault"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused(lake: Settings, tmp_path: Path, content: bytes, fault: str) -> None:
    with pytest.raises(DeliveryRefused) as refused:
        land(lake, tmp_path, orders=content)

    assert any(f"orders.csv: {fault}" in line for line in refused.value.faults), refused.value.faults
    assert manifests_in(lake) == []


def test_a_file_of_rejected_records_only_leaves_no_rows(lake: Settings, tmp_path: Path) -> None:
    counts = run_bronze(lake, land(lake, tmp_path, orders=HEADER + b"a,b\n\xff,x,y\n1,2,3,4\n"))

    assert counts == {"records": 3, "rejected": 3, "bronze": 0}
    assert rows_of(lake) == []
    assert values_of(lake, "_row", key="rejected/shop/orders") == [(1,), (2,), (3,)]


def test_the_last_line_cut_off_between_two_fields_is_rejected(lake: Settings, tmp_path: Path) -> None:
    run_bronze(lake, land(lake, tmp_path, orders=HEADER + GOOD + b"o2,2.0"))

    assert values_of(lake, "_row", "reason", key="rejected/shop/orders") == [(2, "wrong number of fields")]


def test_a_table_of_one_column_keeps_empty_values_that_are_quoted(lake: Settings, tmp_path: Path) -> None:
    counts = run_bronze(lake, land(lake, tmp_path, words=b'word\nhello\n""\n\n"a,b"\nx,y\n'), table="words")

    assert counts == {"records": 4, "rejected": 1, "bronze": 3}
    assert values_of(lake, "word", "_row", key="shop/words") == [("hello", 1), ("", 2), ("a,b", 3)]


def test_a_table_of_one_column_has_headers_and_rulers_too(lake: Settings, tmp_path: Path) -> None:
    counts = run_bronze(lake, land(lake, tmp_path, words=b'word\n-----\n-\nWord\nwords\n"word"\n'), table="words")

    assert counts == {"records": 5, "rejected": 3, "bronze": 2}
    assert values_of(lake, "word", "_row", key="shop/words") == [("-", 2), ("words", 4)]
    assert values_of(lake, "_row", "reason", key="rejected/shop/words") == [(1, RULER), (3, AGAIN), (5, AGAIN)]


def test_a_header_is_known_by_its_names_in_the_order_of_the_file(lake: Settings, tmp_path: Path) -> None:
    header = b"note,order_id,amount\n"

    counts = run_bronze(lake, land(lake, tmp_path, orders=header + b"x,o1,1.00\n" + header + HEADER + b"y,o2,2.00\n"))

    assert counts == {"records": 4, "rejected": 1, "bronze": 3}
    assert values_of(lake, "order_id", "_row") == [("o1", 1), ("amount", 3), ("o2", 4)]
    assert values_of(lake, "_row", "record", key="rejected/shop/orders") == [(2, header[:-1])]


def test_parts_of_many_blocks_glued_together_lose_their_headers_only(lake: Settings, tmp_path: Path) -> None:
    part = HEADER + b"".join(b"o%d,1.00,%d\n" % (n, n) for n in range(100_000))

    counts = run_bronze(lake, land(lake, tmp_path, orders=part * 3))

    assert counts == {"records": 300_002, "rejected": 2, "bronze": 300_000}
    assert values_of(lake, "_row", "record", key="rejected/shop/orders") == [
        (100_001, HEADER[:-1]), (200_002, HEADER[:-1])
    ]  # fmt: skip
    rows = values_of(lake, "_row", "note")
    assert [row for row, _ in rows] == [n for n in range(1, 300_003) if n not in (100_001, 200_002)]
    assert [note for _, note in rows] == [str(n) for n in range(100_000)] * 3


def test_a_crlf_in_quotes_survives_wherever_the_parsers_blocks_end(lake: Settings, tmp_path: Path) -> None:
    # Blocks end at every MB. Comments of 7 and 8 bytes put the CRLF before, after and across that point.
    records = [b'o,1,"%b\r\n%b"\n' % (b"x" * (n % 7), b"y" * (n % 5)) for n in range(300_000)]

    run_bronze(lake, land(lake, tmp_path, orders=HEADER + b"".join(records)))

    notes = [note for (note,) in values_of(lake, "note")]
    assert notes == ["x" * (n % 7) + "\r\n" + "y" * (n % 5) for n in range(300_000)]


@pytest.mark.parametrize("lost", [1, 9, 30])
def test_a_gzip_cut_short_is_refused(lake: Settings, tmp_path: Path, lost: int) -> None:
    path = tmp_path / "orders.csv.gz"
    path.write_bytes(gzip.compress(HEADER + b"".join(b"o%d,1.00,x\n" % n for n in range(99)))[:-lost])

    with pytest.raises(DeliveryRefused, match=r"orders\.csv\.gz: is cut off, damaged or unreadable"):
        landing.land(Lakehouse(lake, shop()), [path], DAY)


@pytest.mark.parametrize("lost", [1, 50, 300])
def test_a_zip_cut_short_is_refused(lake: Settings, tmp_path: Path, lost: int) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("orders.csv", HEADER + GOOD * 99)
    path = tmp_path / "shop.zip"
    path.write_bytes(archive.getvalue()[:-lost])

    with pytest.raises(DeliveryRefused, match=r"shop\.zip: is no zip archive, or is damaged"):
        landing.land(Lakehouse(lake, shop()), [path], DAY)


@pytest.mark.parametrize("flipped", [0x01, 0x40, 0x80, 0xFF])
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_a_zip_with_any_byte_changed_gives_the_right_content_or_is_refused(
    lake: Settings, tmp_path: Path, compression: int, flipped: int
) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", compression) as writer:
        writer.writestr("orders.csv", HEADER + GOOD * 9)
    content, path = archive.getvalue(), tmp_path / "shop.zip"
    whole = landing.land(Lakehouse(lake, shop()), [_written(path, content)], DAY)[0].manifest.tables["orders"]
    assert whole is not None

    outcomes = set()
    for position, byte in enumerate(content):
        changed = content[:position] + bytes([byte ^ flipped]) + content[position + 1 :]
        try:
            landed = landing.land(Lakehouse(lake, shop()), [_written(path, changed)], DAY)[0].manifest.tables["orders"]
        except DeliveryRefused as refused:
            assert len(refused.faults) == 1
            outcomes.add("refused")
        else:
            assert landed is not None
            assert landed.sha256 == whole.sha256
            outcomes.add("the right content")
    assert outcomes == {"refused", "the right content"}


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param((b"PK\1\2\x14\x03\x14\0\0\0", b"PK\1\2\x14\x03\x14\0\x01\0"), id="encrypted"),
        pytest.param((b"PK\1\2\x14\x03\x14", b"PK\1\2\x14\x03\xff"), id="of a version to come"),
    ],
)
def test_a_zip_that_python_cannot_read_is_one_fault_among_the_others(
    lake: Settings, tmp_path: Path, harm: tuple[bytes, bytes]
) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("orders.csv", HEADER + GOOD)
    assert harm[0] in archive.getvalue()
    paths = [_written(tmp_path / "shop.zip", archive.getvalue().replace(*harm)), _written(tmp_path / "words.csv", b"")]

    with pytest.raises(DeliveryRefused) as refused:
        landing.land(Lakehouse(lake, shop()), paths, DAY)

    assert [fault.partition(": ")[0].rpartition("/")[2] for fault in refused.value.faults] == [
        "shop.zip:orders.csv" if b"\x01\0" in harm[1] else "shop.zip",
        "words.csv",
    ]


@pytest.mark.parametrize("name", [".", "..", "/", "a/.."])
def test_a_member_of_a_zip_that_has_no_name_is_ignored(lake: Settings, tmp_path: Path, name: str) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr(name, b"")
        writer.writestr("orders.csv", HEADER + GOOD)

    landed = landing.land(Lakehouse(lake, shop()), [_written(tmp_path / "shop.zip", archive.getvalue())], DAY)

    assert landed[0].changed == ("orders",)


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_two_files_of_one_table_are_refused(lake: Settings, tmp_path: Path) -> None:
    for name in ("orders.csv", "shop_orders_dataset.csv"):
        (tmp_path / name).write_bytes(HEADER + GOOD)

    with pytest.raises(DeliveryRefused, match="one file per table and batch"):
        landing.land(Lakehouse(lake, shop()), [tmp_path / "orders.csv", tmp_path / "shop_orders_dataset.csv"], DAY)
