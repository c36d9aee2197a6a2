"""Every row of a batch in bronze is accepted, a duplicate, superseded, or quarantined with its reasons."""

from __future__ import annotations

import json
import sys
import unicodedata
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import write_deltalake
from pyspark.sql import functions as sf

from lakehouse.contract.model import Column, ColumnType, Rule
from lakehouse.errors import LakehouseError, ReconciliationError, SparkError, StoreError
from lakehouse.lake import ledger
from lakehouse.lake.store import LocalStore
from lakehouse.lakehouse import Lakehouse
from lakehouse.pipeline.maintain import _compact
from lakehouse.silver import step as silver
from lakehouse.silver.partition import SilverPartition
from lakehouse.silver.rules import KEY_HAS_SEPARATOR, KEY_LOOKS_LIKE_ANOTHER, KEY_TOO_LONG, LOOKS_LIKE_ANOTHER
from lakehouse.spark.background import SparkWhenNeeded
from tests.support.made_up_shop import FIRST, HEADER, SECOND, Shop, orders


@pytest.fixture(params=["as a small batch", "as a large batch"])
def shop(new_workspace, spark, tmp_path, request, monkeypatch):
    """Run every test for small and large batches, since the two take different paths."""
    if request.param == "as a large batch":
        monkeypatch.setattr(silver, "SMALL_ROWS", -1)
        monkeypatch.setattr(silver, "SMALL_ROWS_RETURNED", -1)
    return Shop(new_workspace(source="shop"), spark, tmp_path / "delivery")


def counts(bronze: int, *, duplicates: int = 0, superseded: int = 0, quarantined: int = 0) -> dict[str, int]:
    return {
        "bronze": bronze,
        "duplicates": duplicates,
        "superseded": superseded,
        "quarantined": quarantined,
        "silver": bronze - duplicates - superseded - quarantined,
    }


def test_a_row_is_typed_and_names_its_origin(shop):
    result = shop.to_silver(shop.deliver("o1,1,10.5,paid,4.5", "o2,2,,,"))

    assert result.counts == counts(2)
    assert shop.silver("*") == [
        ("o1", 1, Decimal("10.50"), "paid", 4.5, "orders.csv", 1, FIRST),
        ("o2", 2, None, None, None, "orders.csv", 2, FIRST),
    ]
    assert not shop.has_delta_table("quarantine/shop/orders")


def test_an_invalid_row_is_quarantined_as_sent_with_every_reason(shop):
    result = shop.to_silver(shop.deliver('"",x,-1.00,lost,"1,5"', "o2,2,1.00,new,5"))

    assert result.counts == counts(2, quarantined=1)
    assert shop.silver("order_id") == [("o2",)]
    assert shop.quarantine("_source_file, _row, _batch_date") == [("orders.csv", 1, FIRST)]
    ((reasons, record),) = shop.quarantine("reasons, record")
    assert reasons == [
        "order_id: required, but empty",
        "item: not a valid integer (digits only, up to 2147483647)",
        "amount: less than 0",
        "status: not one of the valid values",
        "score: not a valid double (digits, a point, digits)",
    ]
    assert json.loads(record) == {"order_id": "", "item": "x", "amount": "-1.00", "status": "lost", "score": "1,5"}


def test_a_warning_is_counted_and_the_row_kept(shop):
    result = shop.to_silver(shop.deliver("o1,1,1.00,new,5.1", "o2,2,1.00,,5.0", "o3,x,1.00,,9"))

    assert result.counts == counts(3, quarantined=1)
    assert shop.warnings() == {"score: more than 5": 1, "status: required, but empty": 1}


def test_of_equal_rows_the_last_one_is_kept(shop):
    result = shop.to_silver(shop.deliver("o1,1,1.0,,", "o1,1,1.00,,", "o1,1,1,,"))

    assert result.counts == counts(3, duplicates=2)
    assert shop.silver("_row") == [(3,)]


def test_zero_below_and_above_zero_are_equal(shop):
    result = shop.to_silver(shop.deliver("o1,1,0.00,,0.0", "o1,1,-0.00,,-0.0"))

    assert result.counts == counts(2, duplicates=1)
    assert repr(shop.silver("_row, score")) == "[(2, 0.0)]"


def test_of_rows_with_one_key_the_last_one_wins_and_the_others_are_in_quarantine(shop):
    result = shop.to_silver(shop.deliver("o1,1,1.00,new,", "o1,1,2.00,new,9", "o1,1,3.00,,", "o1,2,4.00,new,"))

    assert result.counts == counts(4, superseded=2)
    assert shop.silver("_row, amount") == [(3, Decimal("3.00")), (4, Decimal("4.00"))]
    assert shop.quarantine() == [(1, ["superseded"]), (2, ["superseded"])]
    assert shop.warnings() == {"status: required, but empty": 1}  # not of the superseded row with score 9


def test_a_b_a_of_one_key_ends_as_a(shop):
    result = shop.to_silver(shop.deliver("o1,1,1.00,new,", "o1,1,2.00,new,", "o1,1,1.00,new,"))

    assert result.counts == counts(3, duplicates=1, superseded=1)
    assert shop.silver("_row, amount") == [(3, Decimal("1.00"))]
    assert shop.quarantine() == [(2, ["superseded"])]


def test_an_invalid_row_supersedes_nothing_and_is_no_duplicate(shop):
    result = shop.to_silver(shop.deliver("o1,1,1.00,new,", "o1,1,1.00,lost,", "o1,1,1.00,lost,"))

    assert result.counts == counts(3, quarantined=2)
    assert shop.silver("_row") == [(1,)]
    assert [row for row, _ in shop.quarantine()] == [2, 3]


def test_a_null_in_the_key_is_a_value_like_others(shop):
    result = shop.to_silver(shop.deliver("o1,,1.00,new,", "o1,,2.00,new,", "o1,1,3.00,new,"))

    assert result.counts == counts(3, superseded=1)
    assert shop.silver("_row") == [(2,), (3,)]


def test_without_a_key_only_equal_rows_are_dropped(shop):
    keyless = shop.with_table(orders(key=()))

    result = keyless.to_silver(keyless.deliver("o1,,1.00,,", "o1,,2.00,,", "o1,,1.00,,"))

    assert result.counts == counts(3, duplicates=1)
    assert keyless.silver("_row") == [(2,), (3,)]


def test_a_batch_with_every_grade_adds_up(shop):
    rows = ["o1,1,1.00,new,", "o1,1,1.00,new,", "o1,1,2.00,new,", "o2,1,x,new,", "o3,1,5.00,new,7"]

    result = shop.to_silver(shop.deliver(*rows))

    assert result.counts == counts(5, duplicates=1, superseded=1, quarantined=1)
    assert shop.silver("_row") == [(3,), (5,)]
    assert shop.quarantine() == [
        (2, ["superseded"]),
        (4, ["amount: not a valid decimal(12,2) (digits, at most 2 of them after a point)"]),
    ]


def test_a_batch_of_some_hundred_rows_is_graded_to_the_row(shop):
    rows = [f"o{number % 50},1,{number}.00,new," for number in range(200)] + ["o1,1,1.00,lost,"]

    result = shop.to_silver(shop.deliver(*rows))

    assert result.counts == counts(201, superseded=150, quarantined=1)
    assert [row for (row,) in shop.silver("_row")] == list(range(151, 201))


def test_a_file_with_only_a_header_gives_an_empty_partition(shop):
    result = shop.to_silver(shop.deliver())

    assert result.counts == counts(0)
    assert shop.silver() == []


def test_the_same_batch_again_writes_no_version(shop):
    manifest = shop.deliver("o1,1,1.00,new,", "o1,1,x,new,")
    shop.to_silver(manifest)
    versions = [shop.delta_table(key).version() for key in ("shop/orders", "quarantine/shop/orders")]

    result = shop.to_silver(manifest)

    assert not result.done
    assert result.counts == counts(2, quarantined=1)
    assert [shop.delta_table(key).version() for key in ("shop/orders", "quarantine/shop/orders")] == versions


def test_a_redelivery_replaces_its_batch_only(shop):
    shop.to_silver(shop.deliver("o1,1,1.00,new,", "o2,1,x,,"))
    shop.to_silver(shop.deliver("o9,1,9.00,new,", "o9,2,x,,", day=SECOND))

    result = shop.to_silver(shop.deliver("o3,1,3.00,paid,"))

    assert result.counts == counts(1)
    assert shop.silver("order_id, _batch_date") == [("o3", FIRST), ("o9", SECOND)]
    assert shop.quarantine("_row, _batch_date") == [(2, SECOND)]


def test_a_withdrawn_table_has_an_empty_partition(shop):
    shop.to_silver(shop.deliver("o1,1,1.00,new,", "o2,1,x,,"))

    result = shop.to_silver(shop.withdraw())

    assert result.counts == counts(0)
    assert (shop.silver(), shop.quarantine()) == ([], [])


def test_leftovers_of_a_killed_run_are_replaced(shop, monkeypatch):
    manifest = shop.deliver("o1,1,1.00,new,", "o2,1,x,,")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ledger, "record", killed)
        shop.to_silver(manifest)
    result = shop.to_silver(manifest)

    assert (result.done, result.counts) == (True, counts(2, quarantined=1))
    assert shop.silver("order_id") == [("o1",)]
    assert [row for row, _ in shop.quarantine()] == [2]


def test_quarantine_is_committed_before_the_table(shop, monkeypatch):
    manifest = shop.deliver("o1,1,1.00,new,", "o2,1,x,,")

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(SilverPartition, "write_silver", killed)
    with pytest.raises(KeyboardInterrupt):
        shop.to_silver(manifest)

    assert [row for row, _ in shop.quarantine()] == [2]
    assert not shop.has_delta_table("shop/orders")


def test_missing_rows_are_noticed(shop, monkeypatch):
    manifest = shop.deliver("o1,1,1.00,new,", "o2,1,1.00,new,")
    whole = silver._Batch._sent_rows
    monkeypatch.setattr(silver._Batch, "_sent_rows", lambda batch: whole(batch).limit(1))

    with pytest.raises(ReconciliationError, match="bronze holds 2 rows, Spark read 1"):
        shop.to_silver(manifest)


def test_bronze_must_hold_what_was_landed(shop):
    manifest = shop.deliver("o1,1,1.00,new,")
    other = manifest.with_tables({"orders": replace(manifest.tables["orders"], sha256="0" * 64)})

    with pytest.raises(LakehouseError, match="lakehouse bronze"):
        shop.to_silver(other)


def test_a_column_that_came_later_is_null_before_and_required_only_since(shop):
    channel = Column("channel", ColumnType("text"), "", (Rule("channel", "required", "error"),), since=SECOND)
    newer = shop.with_table(orders(channel), HEADER + ",channel")
    shop.to_silver(shop.deliver("o0,1,1.00,new,", day=date(2018, 1, 4)))  # before the contract had the column

    shop = shop.with_table(newer.table)
    shop.to_silver(shop.deliver("o1,1,1.00,new,"))
    result = newer.to_silver(newer.deliver("o2,1,1.00,new,,web", "o3,1,1.00,new,,", day=SECOND))

    assert newer.silver("order_id, channel") == [("o0", None), ("o1", None), ("o2", "web")]
    assert result.counts == counts(2, quarantined=1)


def test_a_key_too_long_for_an_index_is_invalid(shop):
    result = shop.to_silver(shop.deliver(f"{'é' * 1001},1,1.00,new,", f"{'x' * 2000},1,1.00,new,"))

    assert result.counts == counts(2, quarantined=1)
    assert shop.quarantine() == [(1, [KEY_TOO_LONG])]


def test_the_indexed_column_of_a_table_without_key_must_fit_too(shop):
    shop = shop.with_table(orders(key=()))

    shop.to_silver(shop.deliver(f"{'x' * 2001},1,1.00,new,", "o1,1,1.00,new,"))

    assert shop.quarantine() == [(1, [KEY_TOO_LONG])]


def test_a_reference_too_long_for_an_index_is_invalid(shop):
    shelf = Column("shelf", ColumnType("text"), "", references=("shelves", "shelf"))
    shop = shop.with_table(orders(shelf), HEADER + ",shelf")

    shop.to_silver(shop.deliver(f"o1,1,1.00,new,,{'x' * 2001}", f"o2,1,1.00,new,,{'x' * 2000}", "o3,1,1.00,new,,"))

    assert shop.quarantine() == [(1, ["shelf: longer than 2000 bytes"])]


def test_a_key_that_holds_the_separator_of_its_columns_is_invalid(shop):
    shop.to_silver(shop.deliver("o\x1f1,1,1.00,new,", "o1,1,1.00,new,"))

    assert shop.quarantine() == [(1, [KEY_HAS_SEPARATOR])]


def test_a_key_or_a_reference_that_looks_like_another_is_kept_with_a_warning(shop):
    shelf = Column("shelf", ColumnType("text"), "", references=("shelves", "shelf"))
    shop = shop.with_table(orders(shelf, Column("note", ColumnType("text"), "")), HEADER + ",shelf,note")

    odd = [" ", "o1 ", " o1", "\u3000o1", "o\u00a01", "o1\u200b", "\ufeffo1", '"o1\n"', "o\x1e1", "o\t1", "\u202eo1"]
    plain = ["o1", "O1", "o 1", "ó-1", "注\u3000文", "o\u06dd1", "№1|😀"]
    result = shop.to_silver(
        shop.deliver(
            *(f"{key},1,1.00,new,, , note " for key in odd),
            *(f"{key},1,1.00,new,,a shelf, note " for key in plain),
            "o1,2,1.00,new,,,",
        )
    )

    assert result.counts == counts(len(odd) + len(plain) + 1)
    assert shop.warnings() == {
        f"order_id: {KEY_LOOKS_LIKE_ANOTHER}": len(odd),
        f"shelf: {KEY_LOOKS_LIKE_ANOTHER}": len(odd),
    }


def test_java_and_re2_take_the_same_characters_of_a_key_for_invisible(spark):
    # Visible, though Unicode counts them as format characters: they enclose the digits that follow.
    visible = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
    # Not counted as such, though nothing of them is seen: fillers, joiners, the blank of Braille, variation selectors.
    blank = {0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2800, 0x3164, *range(0xFE00, 0xFE10)}
    blank |= {0xFFA0, *range(0xE0100, 0xE01F0)}
    characters = [chr(n) for n in range(sys.maxunicode + 1) if not 0xD800 <= n <= 0xDFFF]
    texts = pa.table({"character": characters, "key": [f"a{character}b" for character in characters]})

    by_java = spark.createDataFrame(texts).where(sf.col("key").rlike(LOOKS_LIKE_ANOTHER)).toArrow()["character"]
    by_re2 = texts.filter(pc.match_substring_regex(texts["key"], LOOKS_LIKE_ANOTHER))["character"]

    found = {ord(character) for character in by_re2.to_pylist()}
    assert {ord(character) for character in by_java.to_pylist()} == found
    kinds = {ord(character): unicodedata.category(character) for character in characters}
    unseen = {n for n, kind in kinds.items() if kind in ("Cc", "Cf", "Zl", "Zp", "Zs")}
    assert (unseen | blank) - visible - {0x20, 0x3000} <= found
    assert {n for n in found if kinds[n] != "Cn"} <= unseen | blank


def test_columns_may_have_the_names_of_the_quarantine_columns(shop):
    names = ("record", "reasons", "warnings")
    shop = shop.with_table(
        orders(*(Column(name, ColumnType("text"), "") for name in names)), HEADER + ",".join(["", *names])
    )

    shop.to_silver(shop.deliver("o1,1,1.00,new,,a,b,c", "o1,1,1.00,new,,d,e,f", "o2,x,1.00,new,,g,h,i"))

    assert shop.silver("order_id, record, reasons, warnings") == [("o1", "d", "e", "f")]
    ((_, superseded), (reasons, faulty)) = shop.quarantine("reasons, record")
    assert json.loads(superseded)["record"] == "a"
    assert (reasons, json.loads(faulty)["warnings"]) == (
        ["item: not a valid integer (digits only, up to 2147483647)"],
        "i",
    )


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [("[0-9]{5}", ["01234"]), ("a|b", ["a", "b"])],
    ids=["a pattern applies to the whole text", "also one with alternatives"],
)
def test_a_pattern_is_for_the_whole_value(shop, pattern, kept):
    zips = Column("zip", ColumnType("text"), "", (Rule("zip", "pattern", "error", pattern=pattern),))
    shop = shop.with_table(orders(zips), HEADER + ",zip")
    values = ["01234", "012345", " 01234", '"01234\n"', "a", "b", "ab"]

    shop.to_silver(shop.deliver(*(f"o{number},1,1.00,new,,{value}" for number, value in enumerate(values))))

    assert [value for (value,) in shop.silver("zip")] == kept


def test_redshift_can_read_the_table(shop):
    shop.to_silver(shop.deliver("o1,1,1.00,new,", "o2,1,x,new,"))

    for key in ("shop/orders", "quarantine/shop/orders"):
        features = shop.delta_table(key).protocol().writer_features or []
        assert "deletionVectors" not in features
        assert shop.delta_table(key).metadata().configuration["delta.enableDeletionVectors"] == "false"


def test_the_last_day_of_a_month_is_a_partition_like_others(shop):
    shop.to_silver(shop.deliver("o1,1,1.00,new,", day=date(2016, 2, 29)))

    assert shop.silver("_batch_date") == [(date(2016, 2, 29),)]


def test_small_and_large_batches_share_a_table(shop, monkeypatch):
    rows = ["o1,1,10.50,paid,4.5", "o1,1,10.50,new,", "o2,2,x,,"]

    shop.to_silver(shop.deliver(*rows, day=FIRST))
    monkeypatch.setattr(silver, "SMALL_ROWS", 200_000 if silver.SMALL_ROWS < 0 else -1)
    shop.to_silver(shop.deliver(*rows, day=SECOND))
    shop.to_silver(shop.deliver("o3,3,3.00,new,3", day=FIRST))

    assert shop.silver("order_id, item, amount, status, score, _row, _batch_date") == [
        ("o3", 3, Decimal("3.00"), "new", 3.0, 1, FIRST),
        ("o1", 1, Decimal("10.50"), "new", None, 2, SECOND),
    ]
    assert shop.quarantine("_row, _batch_date") == [(1, SECOND), (3, SECOND)]


@pytest.mark.parametrize("limit", ["SMALL_ROWS", "SMALL_BYTES"])
def test_a_batch_of_many_rows_or_of_many_bytes_is_written_by_spark(shop, monkeypatch, limit):
    monkeypatch.setattr(silver, limit, 1)

    shop.to_silver(shop.deliver("o1,1,1.00,new,", "o2,1,1.00,new,"))

    assert "Spark" in shop.delta_table().history(1)[0]["engineInfo"]


def test_where_spark_does_not_commit_atomically_it_makes_all_commits(shop, monkeypatch):
    monkeypatch.setattr(LocalStore, "spark_commits_atomically", False)

    shop.to_silver(shop.deliver("o1,1,10.50,paid,4.5", "o1,1,10.50,new,", "o2,2,x,,", day=FIRST))
    shop.to_silver(shop.deliver("o1,1,1.00,,", day=SECOND))
    with_faults = shop.quarantine("_row, reasons, _batch_date")
    shop.to_silver(shop.deliver("o3,3,3.00,new,3", day=FIRST))

    assert with_faults == [
        (1, ["superseded"], FIRST),
        (3, ["amount: not a valid decimal(12,2) (digits, at most 2 of them after a point)"], FIRST),
    ]
    assert shop.silver("order_id, item, amount, status, score, _source_file, _row, _batch_date") == [
        ("o3", 3, Decimal("3.00"), "new", 3.0, "orders.csv", 1, FIRST),
        ("o1", 1, Decimal("1.00"), None, None, "orders.csv", 1, SECOND),
    ]
    assert shop.quarantine() == []
    for key in ("shop/orders", "quarantine/shop/orders"):
        assert all("Spark" in commit["engineInfo"] for commit in shop.delta_table(key).history())


@pytest.mark.parametrize(
    ("is_atomic", "rows", "size", "is_small"),
    [
        (True, 200_000, 64 * 2**20, True),
        (True, 200_001, 1, False),
        (True, 1, 64 * 2**20 + 1, False),
        (False, 20_000, 4 * 2**20, True),
        (False, 20_001, 1, False),
        (False, 1, 4 * 2**20 + 1, False),
    ],
)
def test_a_batch_whose_rows_would_go_back_to_spark_is_small_only_up_to_lower_limits(is_atomic, rows, size, is_small):
    assert silver._is_small(is_atomic, rows, size) is is_small


def test_where_spark_does_not_commit_atomically_it_also_merges_and_removes_the_files(shop, spark, monkeypatch):
    monkeypatch.setattr(LocalStore, "spark_commits_atomically", False)
    shop.to_silver(shop.deliver("o1,1,1.00,new,"))
    before = shop.delta_table()
    write_deltalake(before, before.to_pyarrow_table(), mode="append")
    at_once = shop.settings.model_copy(update={"vacuum_retention_hours": 0})

    merged, removed = _compact(
        Lakehouse(at_once, shop.contract), "silver", "shop/orders", SparkWhenNeeded(at_once, spark)
    )

    after = shop.delta_table()
    assert (merged, removed) == (2, 2)
    assert len(after.file_uris()) == 1
    assert after.to_pyarrow_table().num_rows == 2
    operations = {commit["operation"]: commit["engineInfo"] for commit in after.history()}
    assert "Spark" in operations["OPTIMIZE"]
    assert len(list(Path(shop.settings.layer_url("silver"), "shop/orders").rglob("part-*.parquet"))) == 1


def test_a_damaged_file_of_bronze_is_an_error_that_names_table_and_reason(shop):
    manifest = shop.deliver("o1,1,10.5,paid,4.5")
    for file in Path(shop.settings.layer_url("bronze")).rglob("*.parquet"):
        file.write_bytes(b"PAR1 is how it begins")

    with pytest.raises(SparkError, match=r"shop\.orders of 2018-01-05 could not be brought to silver: .*Exception"):
        shop.to_silver(manifest)


def test_a_damaged_table_is_an_error_that_names_it(shop):
    manifest = shop.deliver("o1,1,10.5,paid,4.5")
    for file in Path(shop.settings.layer_url("bronze")).rglob("*.json"):
        if file.parent.name == "_delta_log":
            file.write_text("{")

    with pytest.raises(StoreError, match=r"bronze/shop/orders cannot be read"):
        shop.to_silver(manifest)
