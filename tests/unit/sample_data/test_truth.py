"""truth.json follows the design's rules: each rule on a few rows whose result was worked out manually."""

from __future__ import annotations

from dataclasses import fields
from datetime import date

import pytest

from lakehouse.contract.model import Column, ColumnType, Contract, Rule, TableContract
from lakehouse.contract.odcs import read_contract
from lakehouse.sample_data.synthetic.faults import Record
from lakehouse.sample_data.synthetic.marts_truth import complete
from lakehouse.sample_data.synthetic.rules import is_of_type, violations
from lakehouse.sample_data.synthetic.truth import EndState, Truth
from lakehouse.sample_data.writer import as_day
from lakehouse.settings import PROJECT_DIR

BEGINNING = "1900-01-01 00:00:00"
WORDS = TableContract(
    "words",
    "shop",
    "",
    "",
    ("words",),
    (
        Column("word", ColumnType("text"), "", (Rule("word", "required", "error"),)),
        Column("times", ColumnType("integer"), ""),
    ),
    ("word",),
)


@pytest.fixture
def olist() -> EndState:
    return EndState(read_contract(PROJECT_DIR / "contracts", "olist"))


def send(end: EndState, day: int, table: str, *lines: str) -> None:
    """Add a file of January 2018, with the contract's columns; missing ones at the end are empty."""
    columns = end.contract.table(table).columns
    rows = [tuple((line.split(",") + [""] * len(columns))[: len(columns)]) for line in lines]
    end.add(as_day(date(2018, 1, day)), table, columns, [Record(row) for row in rows])


def order(order_id: str, customer_id: str, bought: str) -> str:
    return f"{order_id},{customer_id},created,{bought},,,,2018-02-01 00:00:00"


def truth_of(end: EndState) -> Truth:
    truth = Truth({})
    complete(truth, end)
    return truth


def test_a_truth_says_of_each_field_what_it_covers_and_what_none_of_them_says() -> None:
    scope = Truth({}).scope

    assert [*scope["covers"]] == [field.name for field in fields(Truth) if field.name not in ("recipe", "scope")]
    assert len(scope["leaves_out"]) > 1


def addresses(truth: Truth, person: str) -> list[tuple[str | None, str | None]]:
    assert truth.versions is not None
    return [(version["valid_from"], version["customer_city"]) for version in truth.versions["customers"][person]]


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("integer", ["0", "-7", "007", "2147483647"], ["1.0", "+1", " 1", "1e3", "2147483648", "\uff11", "1\n"]),
        ("bigint", ["9223372036854775807"], ["9223372036854775808"]),
        ("decimal(5,2)", ["1", "-123.4", "123.45"], ["1.234", "1234", "1,5", ".5", "1.", "1e1", "\uff11.5"]),
        ("decimal(3,0)", ["123"], ["1.0", "1234"]),
        ("double", ["1", "-23.5456", "0.1"], ["1e3", "nan", "-23,5", "inf"]),
        ("timestamp", ["2018-01-31 23:59:59"], ["2018-02-30 10:00:00", "2018-01-31", "2018-01-31 10:00:00+02:00"]),
        ("timestamp", ["1900-01-01 00:00:00"], ["1899-12-31 23:59:59", "2200-01-01 00:00:00", "2018-01-01T10:00:00"]),
        ("date", ["2018-12-31"], ["2018", "31/12/2018", "2018-12-31 00:00:00", "2018-13-01"]),
        ("text", [" anything "], []),
    ],
)
def test_only_the_canonical_form_of_a_type_is_a_value(kind: str, right: list[str], wrong: list[str]) -> None:
    parsed = ColumnType.parse(kind)

    assert [value for value in right if not is_of_type(parsed, value)] == []
    assert [value for value in wrong if is_of_type(parsed, value)] == []


def test_a_value_of_the_wrong_type_has_that_reason_only_and_an_empty_one_only_required() -> None:
    column = Column(
        "score",
        ColumnType("integer"),
        "",
        (
            Rule("score", "required", "error"),
            Rule("score", "range", "error", minimum=None, maximum=None),
            Rule("score", "valid_values", "warning", values=("1",)),
        ),
    )

    assert violations([column], ["x"]) == (["score: not a valid integer (digits only, up to 2147483647)"], [])
    assert violations([column], [""]) == (["score: required, but empty"], [])
    assert violations([column], ["2"]) == ([], ["score: not one of the valid values"])


@pytest.mark.parametrize(
    ("rows", "silver", "duplicates", "superseded", "quarantined"),
    [
        ([], 0, 0, 0, 0),
        ([("a", "1"), ("a", "1")], 1, 1, 0, 0),
        ([("a", "1"), ("a", "2")], 1, 0, 1, 0),
        ([("a", "1"), ("a", "2"), ("a", "1")], 1, 1, 1, 0),
        ([("a", "x"), ("a", "x"), ("a", "1")], 1, 0, 0, 2),
        ([("", "1"), ("b", "")], 1, 0, 0, 1),
    ],
    ids=["an empty file", "A A", "A B", "A B A", "invalid rows are each quarantined", "a required value is missing"],
)
def test_each_record_of_a_file_counts_once(
    rows: list[tuple[str, str]], silver: int, duplicates: int, superseded: int, quarantined: int
) -> None:
    end = EndState(Contract("shop", "", "", (WORDS,)))

    file, _ = end.add(0, "words", WORDS.columns, [Record(row) for row in rows])

    assert (file.silver, file.duplicates, file.superseded) == (silver, duplicates, superseded)
    assert (file.quarantined_rows, file.bronze) == (quarantined, len(rows))


def test_the_last_row_of_a_key_in_the_newest_batch_is_the_truth() -> None:
    end = EndState(Contract("shop", "", "", (WORDS,)))

    a_b_a = [Record(("a", "1")), Record(("a", "2")), Record(("a", "1"))]
    end.add(0, "words", WORDS.columns, [*a_b_a, Record(("b", "1"))])
    end.add(1, "words", WORDS.columns, [Record(("b", "3")), Record(("b", "invalid"))])

    assert {key[0]: row["times"] for key, row in end.newest["words"].items()} == {"a": "1", "b": "3"}


def test_a_version_starts_with_an_order_to_another_address(olist: EndState) -> None:
    send(olist, 1, "customers", "c1,ana,00001,rio,RJ", "c2,ana,00001,rio,RJ", "c3,ana,00002,natal,RN")
    send(olist, 1, "customers", "c4,ana,00001,rio,RJ")
    send(olist, 1, "orders", order("o3", "c3", "2018-01-03 10:00:00"), order("o1", "c1", "2018-01-01 10:00:00"))
    send(olist, 2, "orders", order("o2", "c2", "2018-01-02 10:00:00"), order("o4", "c4", "2018-01-04 10:00:00"))

    truth = truth_of(olist)

    assert addresses(truth, "ana") == [
        (BEGINNING, "rio"),
        ("2018-01-03 10:00:00", "natal"),
        ("2018-01-04 10:00:00", "rio"),
    ]
    assert truth.versions is not None
    assert [v["valid_to"] for v in truth.versions["customers"]["ana"]] == [
        "2018-01-03 10:00:00",
        "2018-01-04 10:00:00",
        None,
    ]


def test_orders_at_the_same_moment_count_as_one_with_the_highest_order_ids_address(olist: EndState) -> None:
    send(olist, 1, "customers", "c1,ana,00001,rio,RJ", "c2,ana,00002,natal,RN")
    send(olist, 1, "orders", order("o9", "c1", "2018-01-01 10:00:00"), order("o1", "c2", "2018-01-01 10:00:00"))

    assert addresses(truth_of(olist), "ana") == [(BEGINNING, "rio")]


def test_a_customer_row_without_an_order_makes_no_version_unless_there_is_no_other(olist: EndState) -> None:
    send(olist, 1, "customers", "c1,ana,00001,rio,RJ", "c2,ana,00002,natal,RN")
    send(olist, 1, "customers", "c8,bia,00001,rio,RJ", "c9,bia,00002,natal,RN")
    send(olist, 1, "orders", order("o1", "c1", "2018-01-01 10:00:00"))

    truth = truth_of(olist)

    assert addresses(truth, "ana") == [(BEGINNING, "rio")]
    assert addresses(truth, "bia") == [(BEGINNING, "natal")]


def test_a_customer_row_sent_again_is_a_correction(olist: EndState) -> None:
    send(olist, 1, "customers", "c1,ana,00001,rio,RJ")
    send(olist, 1, "orders", order("o1", "c1", "2018-01-01 10:00:00"))
    send(olist, 2, "customers", "c1,ana,00002,natal,RN")

    assert addresses(truth_of(olist), "ana") == [(BEGINNING, "natal")]


def test_only_a_batch_with_other_attributes_makes_a_version_of_a_seller(olist: EndState) -> None:
    send(olist, 1, "sellers", "s1,00001,rio,RJ")
    send(olist, 2, "sellers", "s1,00001,rio,RJ")
    send(olist, 3, "sellers", "s1,00002,natal,RN")
    send(olist, 4, "sellers", "s1,not a zip,natal,RN")

    truth = truth_of(olist)

    assert truth.versions is not None
    assert [(v["valid_from"], v["seller_city"]) for v in truth.versions["sellers"]["s1"]] == [
        (BEGINNING, "rio"),
        ("2018-01-03 00:00:00", "natal"),
    ]


def test_a_member_without_a_row_is_inferred_and_a_row_without_an_order_is_an_orphan(olist: EndState) -> None:
    send(olist, 1, "orders", order("o1", "c1", "2018-01-01 10:00:00"))
    send(olist, 1, "products", "p1")
    send(olist, 1, "order_items", "o1,1,p1,s1,2018-01-05 00:00:00,10.00,1.00")
    send(olist, 1, "order_items", "o2,1,p2,s1,2018-01-05 00:00:00,20.00,2.00")
    send(olist, 1, "order_payments", "o2,1,boleto,1,22.00")

    truth = truth_of(olist)

    assert truth.inferred == {"customers": ["c1"], "products": ["p2"], "sellers": ["s1"]}
    assert truth.orphans == {"fct_order_items": 1, "fct_payments": 1, "fct_reviews": 0}
    assert truth.facts == {"fct_orders": 1, "fct_order_items": 2, "fct_payments": 1, "fct_reviews": 0}
    assert truth.business["revenue_by_month"] == {"2018-01": "10.00", "unknown": "20.00"}


@pytest.mark.parametrize(
    ("delivered", "late"),
    [("2018-01-10 23:59:59", 0), ("2018-01-11 00:00:00", 1), ("", 0)],
    ids=["on the promised day", "a second into the next day", "not yet"],
)
def test_a_delivery_is_late_after_the_promised_day(olist: EndState, delivered: str, late: int) -> None:
    send(olist, 1, "orders", f"o1,c1,canceled,2018-01-01 10:00:00,,,{delivered},2018-01-10 00:00:00")

    assert truth_of(olist).business["late_deliveries"] == late
