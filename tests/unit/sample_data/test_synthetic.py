"""generate: same seed, same bytes; truth.json describes the files; each disturbance does what its name says."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter, defaultdict
from dataclasses import fields, replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from lakehouse.contract.model import Column, ColumnType, Contract
from lakehouse.contract.odcs import read_contract
from lakehouse.errors import ConfigurationError, DeliveryRefused
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import step as landing
from lakehouse.sample_data.synthetic import KINDS, Disturbances, Truth, generate, write_refused_delivery
from lakehouse.settings import PROJECT_DIR
from tests.support.small_source import settings_in

TIDY = Disturbances(**{field.name: 0.0 for field in fields(Disturbances)})
FILES = {
    "customers": "olist_customers_dataset.csv",
    "orders": "olist_orders_dataset.csv",
    "order_items": "olist_order_items_dataset.csv",
    "order_payments": "olist_order_payments_dataset.csv",
    "products": "olist_products_dataset.csv",
    "sellers": "olist_sellers_dataset.csv",
}

Shop = tuple[Path, Truth]


@pytest.fixture(scope="module")
def contract() -> Contract:
    return read_contract(PROJECT_DIR / "contracts", "olist")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("generated") / "batches"
    return folder, generate(folder, seed=7, scale=0.1, days=5, faults=0.003)


def digest(folder: Path, pattern: str) -> str:
    """The hash of all files' names and bytes."""
    whole = hashlib.sha256()
    for path in sorted(folder.glob(pattern)):
        whole.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()


def records(path: Path) -> list[bytes]:
    """The records of a file, without its header, split at the newlines outside quotes."""
    whole: list[bytes] = []
    for line in path.read_bytes().splitlines(keepends=True):
        if whole and whole[-1].count(b'"') % 2:
            whole[-1] += line
        else:
            whole.append(line)
    return whole[1:]


def rows(folder: Path, table: str) -> list[tuple[str, dict[str, str]]]:
    """(batch date, row) of a table, batch after batch."""
    found = []
    for path in sorted(folder.glob(f"*/{FILES[table]}")):
        with path.open(encoding="utf-8", newline="") as file:
            found += [(path.parent.name, row) for row in csv.DictReader(file)]
    return found


def test_the_same_seed_gives_the_same_bytes_on_every_machine(tmp_path: Path) -> None:
    # Fails after a change of the generator or of the contract's columns and rules. Only then set a new value.
    generate(tmp_path / "batches", seed=7, scale=0.1, days=3, faults=0.003, history_orders=200, history_batches=2)

    golden = "68bb607447be8ee925c5a627e6f7f3a3408ac85c4ed7cc1adf870ba18e3c648c"
    assert digest(tmp_path / "batches", "*/*.csv") == golden


def test_the_same_arguments_give_the_same_truth(tmp_path: Path, shop: Shop) -> None:
    generate(tmp_path / "batches", seed=7, scale=0.1, days=5, faults=0.003)

    assert digest(tmp_path / "batches", "**/*.*") == digest(shop[0], "**/*.*")


def test_another_seed_gives_other_rows(tmp_path: Path, shop: Shop) -> None:
    generate(tmp_path / "batches", seed=8, scale=0.1, days=5, faults=0.003)

    orders_of_7 = {row["order_id"] for _, row in _readable(shop[0])}
    orders_of_8 = {row["order_id"] for _, row in _readable(tmp_path / "batches")}
    assert len(orders_of_8) > 100
    assert not orders_of_7 & orders_of_8


def _readable(folder: Path) -> list[tuple[str, dict[str, str]]]:
    found = []
    for path in sorted(folder.glob(f"*/{FILES['orders']}")):
        content = io.StringIO(path.read_bytes().replace(b"\0", b"").decode("latin-1"), newline="")
        found += [(path.parent.name, row) for row in csv.DictReader(content) if len(row["order_id"] or "") == 32]
    return found


def test_the_written_truth_reads_back_unchanged(shop: Shop) -> None:
    folder, truth = shop

    assert Truth.read(folder / "truth.json") == truth


def test_the_truth_of_every_file_adds_up(shop: Shop) -> None:
    folder, truth = shop

    written = {(path.parent.name, path.name) for path in folder.glob("*/*.csv")}
    assert written == {(day, file.file) for day, tables in truth.batches.items() for file in tables.values()}
    for day, tables in truth.batches.items():
        for file in tables.values():
            assert file.records == len(records(folder / day / file.file))
            assert file.records == file.bronze + sum(file.rejected.values())
            assert file.bronze == file.silver + file.duplicates + file.superseded + file.quarantined_rows


def test_every_kind_of_fault_occurs_and_no_record_has_two(shop: Shop) -> None:
    faults = shop[1].faults

    assert {fault.kind for fault in faults} == set(KINDS)
    assert max(Counter((fault.batch_date, fault.file, fault.row) for fault in faults).values()) == 1
    assert all(len(fault.reasons) == 1 for fault in faults)
    for stage in ("rejected", "quarantined"):
        counted: Counter[str] = Counter()
        for tables in shop[1].batches.values():
            for file in tables.values():
                counted.update(getattr(file, stage))
        assert counted == Counter(reason for fault in faults if fault.stage == stage for reason in fault.reasons)


def test_even_with_many_faults_no_record_has_two(tmp_path: Path) -> None:
    shares = {"required empty": 0.6, "bad date": 0.6, "NUL byte": 0.6}

    truth = generate(tmp_path / "batches", scale=0.1, days=1, faults=shares)

    places = Counter((fault.table, fault.row) for fault in truth.faults)
    assert max(places.values()) == 1
    assert {len(fault.reasons) for fault in truth.faults} == {1}
    kinds = Counter(fault.kind for fault in truth.faults if fault.table == "orders")
    assert set(kinds) == set(shares)
    empty = [fault for fault in truth.faults if fault.kind == "required empty"]
    content = [records(tmp_path / "batches" / fault.batch_date / fault.file)[fault.row - 1] for fault in empty]
    assert not any(b"\0" in record or b"05/01/2018" in record for record in content)


def test_every_fault_is_in_the_record_that_the_truth_names(shop: Shop, contract: Contract) -> None:
    folder, truth = shop

    for fault in truth.faults:
        record = records(folder / fault.batch_date / fault.file)[fault.row - 1]
        text = record.decode("latin-1" if fault.kind == "latin-1 bytes" else "utf-8")
        (values,) = csv.reader(io.StringIO(text, newline=""))
        names = contract.table(fault.table).column_names
        value = values[names.index(fault.column)] if fault.column else ""
        stands_there = {
            "short record": len(values) == len(names) - 1,
            "long record": len(values) == len(names) + 1,
            "latin-1 bytes": b"s\xe3o" in record,
            "NUL byte": b"\0" in record,
            "bad date": "/" in value,
            "impossible date": "-02-30" in value,
            "year only": value == "2018",
            "time zone suffix": value.endswith("+02:00"),
            "decimal comma": "," in value,
            "too many decimals": value == "10.555",
            "exponent": value == "1e3",
            "full-width digits": any("\uff10" <= letter <= "\uff19" for letter in value),
            "integer overflow": value == "3000000000",
            "decimal overflow": value == "9" * 11,
            "required empty": value == "",
            "invalid value": value == "unheard-of",
            "out of range": value in ("-1", "0", "6", "91", "181"),
            "bad pattern": len(value) == 4,
        }
        assert stands_there[fault.kind], fault


def test_a_shop_without_disturbances_has_no_faults(tmp_path: Path) -> None:
    truth = generate(tmp_path / "batches", scale=0.1, days=4, faults=0, disturbances=TIDY)

    for tables in truth.batches.values():
        for table, file in tables.items():
            assert file.records == file.silver + (file.duplicates if table == "geolocation" else 0)
    assert truth.faults == []
    assert truth.inferred == {"customers": [], "products": [], "sellers": []}
    assert set(truth.orphans.values()) == {0}
    assert truth.facts["fct_orders"] == truth.business["orders"] == 4 * 30
    assert truth.versions is not None
    assert {len(versions) for kind in truth.versions.values() for versions in kind.values()} == {1}


def test_an_order_is_sent_again_with_each_milestone(tmp_path: Path) -> None:
    generate(tmp_path / "batches", scale=0.1, days=6, faults=0, disturbances=TIDY)

    versions = defaultdict(list)
    for day, row in rows(tmp_path / "batches", "orders"):
        versions[row["order_id"]].append((day, row))
    milestones = ("order_approved_at", "order_delivered_carrier_date", "order_delivered_customer_date")
    for sent in versions.values():
        assert sent[0][0] == sent[0][1]["order_purchase_timestamp"][:10]
        known = [sum(bool(row[name]) for name in milestones) for _, row in sent]
        assert known == sorted(set(known))
        assert all(row[name][:10] <= day for day, row in sent for name in milestones)
    assert any(
        [row["order_status"] for _, row in sent][-3:] == ["approved", "shipped", "delivered"]
        for sent in versions.values()
    )


def test_payments_add_up_to_the_items_and_freight_of_their_order(tmp_path: Path) -> None:
    generate(tmp_path / "batches", scale=0.1, days=2, faults=0, disturbances=TIDY)

    cost: defaultdict[str, Decimal] = defaultdict(Decimal)
    paid: defaultdict[str, Decimal] = defaultdict(Decimal)
    for _, row in rows(tmp_path / "batches", "order_items"):
        cost[row["order_id"]] += Decimal(row["price"]) + Decimal(row["freight_value"])
    for _, row in rows(tmp_path / "batches", "order_payments"):
        paid[row["order_id"]] += Decimal(row["payment_value"])
    assert len(cost) > 50
    assert {order: paid[order] for order in cost} == cost


@pytest.mark.parametrize(
    ("late", "left_over"),
    [("late_customers", "customers"), ("late_products", "products"), ("late_sellers", "sellers")],
)
def test_rows_that_come_late_leave_inferred_members_until_they_come(tmp_path: Path, late: str, left_over: str) -> None:
    truth = generate(tmp_path / "b", scale=0.1, days=2, faults=0, disturbances=replace(TIDY, **{late: 1.0}))

    # none of the second day has come yet, and of the first only those that are one day late
    assert truth.inferred is not None
    assert {name for name, keys in truth.inferred.items() if keys} == {left_over}


def test_orders_that_come_late_leave_orphans_until_they_come(tmp_path: Path) -> None:
    truth = generate(tmp_path / "b", scale=0.1, days=2, faults=0, disturbances=replace(TIDY, late_orders=1.0))

    known = {row["order_id"] for _, row in rows(tmp_path / "b", "orders")}
    items = [row["order_id"] for _, row in rows(tmp_path / "b", "order_items")]
    assert 0 < truth.orphans["fct_order_items"] == sum(order not in known for order in items) < len(items)
    assert truth.facts["fct_order_items"] == len(items)
    assert Decimal(truth.business["revenue_by_month"]["unknown"]) > 0


@pytest.mark.parametrize(
    ("disturbance", "kind"),
    [("product_changes", "products"), ("seller_changes", "sellers")],
)
def test_members_that_change_have_versions(tmp_path: Path, disturbance: str, kind: str) -> None:
    truth = generate(tmp_path / "b", scale=0.1, days=4, faults=0, disturbances=replace(TIDY, **{disturbance: 0.3}))

    assert truth.versions is not None
    assert {name for name, of in truth.versions.items() if any(len(v) > 1 for v in of.values())} == {kind}


def test_people_move_only_with_a_new_order(tmp_path: Path) -> None:
    moving = replace(TIDY, people_return=0.5, people_move=1.0)

    truth = generate(tmp_path / "b", scale=0.1, days=3, faults=0, disturbances=moving)

    assert truth.versions is not None
    moments = {row["order_purchase_timestamp"] for _, row in rows(tmp_path / "b", "orders")}
    later = [v["valid_from"] for versions in truth.versions["customers"].values() for v in versions[1:]]
    assert len(later) > 5
    assert set(later) <= moments
    sent = Counter(row["customer_id"] for _, row in rows(tmp_path / "b", "customers"))
    assert set(sent.values()) == {1}


@pytest.mark.parametrize(("disturbance", "count"), [("duplicates", "duplicates"), ("superseded", "superseded")])
def test_repeated_rows_are_counted_as_duplicates_or_superseded(tmp_path: Path, disturbance: str, count: str) -> None:
    truth = generate(tmp_path / "b", scale=0.1, days=2, faults=0, disturbances=replace(TIDY, **{disturbance: 0.2}))

    other = {"duplicates": "superseded", "superseded": "duplicates"}[count]
    files = [file for tables in truth.batches.values() for name, file in tables.items() if name != "geolocation"]
    assert sum(getattr(file, count) for file in files) > 20
    assert sum(getattr(file, other) for file in files) == 0
    assert truth.facts["fct_orders"] == 60


def test_a_later_column_is_sent_from_its_first_day(tmp_path: Path, contract: Contract) -> None:
    channel = Column("sales_channel", ColumnType("text"), "", since=date(2018, 1, 3))
    later = replace(
        contract,
        tables=tuple(
            replace(table, columns=(*table.columns, channel)) if table.name == "orders" else table
            for table in contract.tables
        ),
    )

    generate(tmp_path / "b", scale=0.1, days=4, faults=0.001, contract=later)

    headers = {path.parent.name: path.open("rb").readline() for path in (tmp_path / "b").glob(f"*/{FILES['orders']}")}
    assert [b"sales_channel" in headers[f"2018-01-0{day}"] for day in (1, 2, 3, 4)] == [False, False, True, True]


def test_a_later_column_may_be_between_other_columns(tmp_path: Path, contract: Contract) -> None:
    channel = Column("sales_channel", ColumnType("text"), "", since=date(2018, 1, 3))
    orders = contract.table("orders")
    with_channel = replace(orders, columns=(*orders.columns[:2], channel, *orders.columns[2:]))
    tables = tuple(with_channel if table is orders else table for table in contract.tables)

    generate(tmp_path / "b", scale=0.1, days=4, faults=0, contract=replace(contract, tables=tables))

    sent = rows(tmp_path / "b", "orders")
    assert {row.get("sales_channel") for day, row in sent if day < "2018-01-03"} == {None}
    assert {row["sales_channel"] for day, row in sent if day >= "2018-01-03"} == {"this", "that"}
    assert {row["order_status"] for _, row in sent}.isdisjoint({"this", "that"})


def test_a_history_adds_its_figures_to_those_of_the_days(tmp_path: Path) -> None:
    truth = generate(
        tmp_path / "b", scale=0.1, days=2, faults=0, disturbances=TIDY, history_orders=400, history_batches=3
    )

    assert sorted(truth.batches) == ["2017-12-29", "2017-12-30", "2017-12-31", "2018-01-01", "2018-01-02"]
    orders = {row["order_id"]: row for _, row in rows(tmp_path / "b", "orders")}
    items = [row for _, row in rows(tmp_path / "b", "order_items")]
    by_month: defaultdict[str, Decimal] = defaultdict(Decimal)
    for item in items:
        by_month[orders[item["order_id"]]["order_purchase_timestamp"][:7]] += Decimal(item["price"])
    business = truth.business
    assert business["orders"] == truth.facts["fct_orders"] == len(orders) == 460
    assert business["items"] == truth.facts["fct_order_items"] == len(items)
    assert {month: Decimal(amount) for month, amount in business["revenue_by_month"].items()} == by_month
    assert Decimal(business["revenue"]) == sum(by_month.values())
    assert Decimal(business["freight"]) == sum(Decimal(item["freight_value"]) for item in items)
    arrived = [row for row in orders.values() if row["order_delivered_customer_date"]]
    assert business["delivered_orders"] == len(arrived)
    assert business["late_deliveries"] == sum(
        row["order_delivered_customer_date"][:10] > row["order_estimated_delivery_date"][:10] for row in arrived
    )
    assert business["orders_by_status"] == Counter(row["order_status"] for row in orders.values())


def test_with_a_history_the_truth_does_not_claim_to_cover_dimensions(tmp_path: Path) -> None:
    truth = generate(tmp_path / "b", scale=0.1, days=1, faults=0, disturbances=TIDY, history_orders=40)

    assert {name for name in vars(truth) if getattr(truth, name) is None} == {"versions", "inferred", "dimensions"}
    assert {*Truth({}).scope["covers"]} - {*truth.scope["covers"]} == {"versions", "inferred", "dimensions"}
    assert "With past orders: dim_customer" in "\n".join(truth.scope["leaves_out"])


def test_the_days_after_a_history_refer_only_to_its_rows(tmp_path: Path) -> None:
    generate(tmp_path / "b", scale=0.1, days=2, faults=0, disturbances=TIDY, history_orders=400)

    products = {row["product_id"] for _, row in rows(tmp_path / "b", "products")}
    sellers = {row["seller_id"] for _, row in rows(tmp_path / "b", "sellers")}
    items = [row for _, row in rows(tmp_path / "b", "order_items")]
    assert {item["product_id"] for item in items} <= products
    assert {item["seller_id"] for item in items} <= sellers
    assert not (tmp_path / "b" / "2018-01-01" / FILES["products"]).exists()


def test_generating_again_replaces_the_earlier_batches(tmp_path: Path) -> None:
    generate(tmp_path / "b", scale=0.1, days=3, faults=0)

    generate(tmp_path / "b", scale=0.1, days=1, faults=0)

    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["2018-01-01", "truth.json"]


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "2018-01-01").mkdir()

    with pytest.raises(ConfigurationError, match="is not empty"):
        generate(tmp_path, days=1)

    assert [path.name for path in tmp_path.iterdir()] == ["2018-01-01"]


def test_all_invalid_arguments_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"(?s)no fault of kind typo.*short record must be.*days"):
        generate(tmp_path / "b", days=0, faults={"typo": 0.1, "short record": 2})


def test_a_refused_delivery_has_a_fault_in_each_of_its_files(tmp_path: Path, contract: Contract) -> None:
    faults = write_refused_delivery(tmp_path / "delivery", contract, date(2018, 1, 8))

    with pytest.raises(DeliveryRefused) as refusal:
        landing.land(Lakehouse(settings_in(tmp_path), contract), [tmp_path / "delivery"])

    assert len(faults) == 5
    for file in faults:
        assert any(file in fault for fault in refusal.value.faults), file
