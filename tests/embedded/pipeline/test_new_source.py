"""A source needs only a contract to reach raw_<source>; and every malformed record ends where it should."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lakehouse import warehouse
from lakehouse.cli.results import print_report
from lakehouse.contract.model import Contract
from lakehouse.contract.odcs import read_contract
from lakehouse.errors import DeliveryRefused
from lakehouse.lake.bad_records import bad_records
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import step as landing
from lakehouse.load import step as load
from lakehouse.pipeline import run as pipeline
from lakehouse.settings import Settings
from tests.support.lake import Silent, data_quality, query

SHELF = """
apiVersion: v3.2.0
kind: DataContract
id: shelf
name: Shelf
version: 1.0.0
status: active
schema:
  - name: books
    physicalName: books_export.csv
    properties:
      - {name: isbn, physicalType: text, primaryKey: true, primaryKeyPosition: 1}
      - {name: title, physicalType: text}
      - {name: pages, physicalType: integer}
      - {name: price, physicalType: "decimal(12,2)"}
      - {name: sold_at, physicalType: timestamp}
      - {name: cover, physicalType: text, customProperties: [{property: since, value: 2018-02-01}]}
"""
JANUARY, FEBRUARY = date(2018, 1, 5), date(2018, 2, 5)
HEADER = b"isbn,title,pages,price,sold_at\n"


class Shelf:
    """The made-up source in its own workspace."""

    def __init__(self, settings: Settings, contract: Contract, folder: Path, spark: Any) -> None:
        self.settings, self.contract, self._folder, self._spark = settings, contract, folder, spark

    def deliver(self, content: bytes, day: date = JANUARY, name: str = "books_export.csv") -> None:
        """Land a file and load it into raw_shelf."""
        path = self._folder / name
        path.write_bytes(content)
        landing.land(Lakehouse(self.settings, self.contract), [path], day)
        load.ensure_tables(Lakehouse(self.settings, self.contract))
        pipeline.run_lake(Lakehouse(self.settings, self.contract), Silent(), self._spark)

    def page(self) -> str:
        """What `lakehouse run` prints at its end."""
        report = pipeline.run(Lakehouse(self.settings, self.contract), Silent(), spark=self._spark)
        console = Console(record=True, width=160, file=io.StringIO())
        print_report(console, Lakehouse(self.settings, self.contract), report)
        return console.export_text()

    def books(
        self, columns: str = "isbn, title, pages, price, sold_at", day: date | None = None
    ) -> list[tuple[Any, ...]]:
        where = f"where _batch_date = '{day}'" if day else ""
        return query(self.settings, f"select {columns} from raw_shelf.books {where} order by _batch_date, _row")

    def reasons(self) -> dict[int, tuple[str, ...]]:
        lakehouse = Lakehouse(self.settings, self.contract)
        found = bad_records(lakehouse.bronze, lakehouse.silver, self.contract.tables, superseded=True)
        return {r.row: r.reasons for r in found}


@pytest.fixture
def shelf(new_workspace: Callable[..., Settings], tmp_path: Path, spark: Any) -> Shelf:
    (tmp_path / "shelf.odcs.yaml").write_text(SHELF)
    settings = new_workspace(source="shelf", contracts_dir=tmp_path, hold_above_share=1)
    warehouse.prepare(settings)
    return Shelf(settings, read_contract(tmp_path, "shelf"), tmp_path, spark)


def test_a_run_succeeds_without_marts_and_with_nothing_landed(shelf: Shelf) -> None:
    assert "Nothing has been landed yet" in shelf.page()

    shelf.deliver(HEADER + b"1,Dune,412,9.90,2018-01-05 10:00:00\n")
    page = shelf.page()

    assert "Shelf: every record, stage by stage" in page
    assert "Marts" not in page
    assert data_quality(shelf.settings) == [("shelf", "books", JANUARY, 1, 0, 0, 0, 0, 1, False)]
    assert "Nothing new" in shelf.page()


def test_a_contract_is_all_a_source_needs(shelf: Shelf) -> None:
    shelf.deliver(HEADER + b'1,"Dune, part 1",412,9.90,2018-01-05 10:00:00\n2,,,,\n')

    assert shelf.books() == [
        ("1", "Dune, part 1", 412, Decimal("9.90"), datetime(2018, 1, 5, 10)),
        ("2", None, None, None, None),
    ]


def test_a_later_column_is_null_before_its_first_day_and_required_after(shelf: Shelf) -> None:
    shelf.deliver(HEADER + b"1,Dune,412,9.90,\n")
    with pytest.raises(DeliveryRefused, match="cover"):
        shelf.deliver(HEADER + b"2,Ubik,202,8.00,\n", FEBRUARY)
    shelf.deliver(HEADER.replace(b"\n", b",cover\n") + b"2,Ubik,202,8.00,,soft\n", FEBRUARY)

    assert shelf.books("isbn, cover") == [("1", None), ("2", "soft")]


READABLE = {
    "a BOM": b"\xef\xbb\xbf" + HEADER + b"1,Dune,412,9.90,\n",
    "CRLF": HEADER.replace(b"\n", b"\r\n") + b"1,Dune,412,9.90,\r\n",
    "columns in another order": b"title,sold_at,price,isbn,pages\nDune,,9.90,1,412\n",
    "header in other case, with spaces": b" ISBN ,Title,PAGES,price,sold_at\n1,Dune,412,9.90,\n",
    "quotes round everything": HEADER + b'"1","Dune","412","9.90",""\n',
    "no newline at the end": HEADER + b"1,Dune,412,9.90,",
    "blank lines": HEADER + b"\n\n1,Dune,412,9.90,\n\n",
}


@pytest.mark.parametrize("content", READABLE.values(), ids=READABLE)
def test_harmless_differences_are_read_correctly(shelf: Shelf, content: bytes) -> None:
    shelf.deliver(content)

    assert shelf.books() == [("1", "Dune", 412, Decimal("9.90"), None)]


def test_values_arrive_as_they_were_sent(shelf: Shelf) -> None:
    long = b"x" * 2_000_000
    shelf.deliver(
        HEADER
        + b'1,"two\nlines",1,1.00,\n'
        + b'2,"a ""quoted"" word",2,2,\n'
        + b'3,"",3,3.5,\n'
        + "4,São Paulo ☕,-4,-0.01,1900-01-01 00:00:00\n".encode()
        + b"5," + long + b",5,5.00,2199-12-31 23:59:59\n"
        + b"6,  spaces  ,6,6.00,\n"
    )  # fmt: skip

    assert shelf.books("isbn, title") == [
        ("1", "two\nlines"),
        ("2", 'a "quoted" word'),
        ("3", None),
        ("4", "São Paulo ☕"),
        ("5", long.decode()),
        ("6", "  spaces  "),
    ]
    assert shelf.reasons() == {}


REJECTED = {
    "wrong number of fields": [b"1,Dune,412,9.90", b"1,Dune,412,9.90,,surplus", b"1,caf\xe9,412"],
    "not UTF-8": [b"1,caf\xe9,412,9.90,"],
    "holds a NUL byte": [b"1,Du\x00ne,412,9.90,"],
}


@pytest.mark.parametrize(
    ("record", "reason"), [(record, reason) for reason, records in REJECTED.items() for record in records]
)
def test_only_the_unreadable_record_is_rejected(shelf: Shelf, record: bytes, reason: str) -> None:
    shelf.deliver(HEADER + b"0,before,1,1.00,\n" + record + b"\n9,after,2,2.00,\n")

    assert shelf.reasons() == {2: (reason,)}
    assert shelf.books("isbn, _row") == [("0", 1), ("9", 3)]


QUARANTINED = {
    "pages: not a valid integer (digits only, up to 2147483647)": [
        "4.0",
        "1e3",
        "４",
        "99999999999",
        " 4",
        "0x10",
        "1_000",
        "+4",
        "--4",
    ],
    "price: not a valid decimal(12,2) (digits, at most 2 of them after a point)": [
        "9,90",
        "10.505",
        "1e3",
        "٩.٩٠",
        "12345678901.00",
        ".5",
        "5.",
        "NaN",
        "1.00 ",
    ],
    "sold_at: not a valid timestamp (YYYY-MM-DD HH:MM:SS)": [
        "2018",
        "2018-02-30 00:00:00",
        "2018-01-05 10:00:00+02:00",
        "2018-01-05T10:00:00",
        "2018-01-05",
        "05/01/2018 10:00:00",
        "1899-12-31 23:59:59",
        "2200-01-01 00:00:00",
        "2018-01-05 24:00:00",
    ],
}


def test_a_value_not_of_its_type_is_quarantined_with_its_reason(shelf: Shelf) -> None:
    places = {"pages": 2, "price": 3, "sold_at": 4}
    expected: dict[int, tuple[str, ...]] = {}
    records = []
    for reason, values in QUARANTINED.items():
        for value in values:
            fields = [f"id{len(records)}", "Dune", "1", "1.00", "2018-01-05 10:00:00"]
            fields[places[reason.partition(":")[0]]] = f'"{value}"'
            records.append(",".join(fields))
            expected[len(records)] = (reason,)
    records.append("good,Dune,1,1.00,2018-01-05 10:00:00")

    shelf.deliver(HEADER + "\n".join(records).encode() + b"\n")

    assert shelf.reasons() == expected
    assert shelf.books("isbn") == [("good",)]


def test_every_reason_of_a_record_is_listed_and_the_last_row_of_a_key_wins(shelf: Shelf) -> None:
    shelf.deliver(
        HEADER
        + b",Dune,x,9.90,\n"
        + b"1,old,1,1.00,\n"
        + b"1,new,2,1.00,\n"
        + b"1,old,1,1.00,\n"
        + b"2,a,1,1.00,\n" * 2
    )

    assert shelf.reasons() == {
        1: ("isbn: required, but empty", "pages: not a valid integer (digits only, up to 2147483647)"),
        3: ("superseded",),
    }
    assert shelf.books("isbn, title, _row") == [("1", "old", 4), ("2", "a", 6)]


REFUSED = {
    "a missing column": b"isbn,title,pages,price\n1,Dune,412,9.90\n",
    "an unknown column": HEADER.replace(b"\n", b",colour\n") + b"1,Dune,412,9.90,,red\n",
    "a repeated column": HEADER.replace(b"\n", b",isbn\n") + b"1,Dune,412,9.90,,1\n",
    "an empty file": b"",
    "a quote opened in mid-field": HEADER + b'1,Du"ne",412,9.90,\n',
    "a quote closed in mid-field": HEADER + b'1,"Du"ne,412,9.90,\n',
    "a quote never closed": HEADER + b'1,"Dune,412,9.90,\n',
    "a lone CR": HEADER + b"1,Du\rne,412,9.90,\n",
    "a record over 16 MB": HEADER + b"1," + b"x" * 17_000_000 + b",412,9.90,\n",
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_a_file_that_violates_the_contract_as_a_whole_is_refused(shelf: Shelf, content: bytes) -> None:
    with pytest.raises(DeliveryRefused, match=r"books_export\.csv"):
        shelf.deliver(content)


def test_a_gzip_cut_short_is_refused(shelf: Shelf) -> None:
    whole = gzip.compress(HEADER + b"1,Dune,412,9.90,\n" * 1000)

    with pytest.raises(DeliveryRefused, match="books_export"):
        shelf.deliver(whole[:-10], name="books_export.csv.gz")
    shelf.deliver(whole, name="books_export.csv.gz")

    assert shelf.books("isbn, pages") == [("1", 412)]


def test_a_header_alone_is_a_delivery_of_no_rows(shelf: Shelf) -> None:
    shelf.deliver(HEADER + b"1,Dune,412,9.90,\n")
    shelf.deliver(HEADER.rstrip())

    assert shelf.books() == []


def test_two_files_for_one_table_are_refused(shelf: Shelf, tmp_path: Path) -> None:
    folder = tmp_path / "2018-01-05"
    folder.mkdir()
    for name in ("books_export.csv", "books.csv"):
        (folder / name).write_bytes(HEADER + b"1,Dune,412,9.90,\n")

    with pytest.raises(DeliveryRefused, match="one file per table"):
        landing.land(Lakehouse(shelf.settings, shelf.contract), [folder])
