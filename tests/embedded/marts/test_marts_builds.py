"""marts.run with dbt itself: the result of a build, when dbt starts, and what happens when it breaks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import pytest

from lakehouse import warehouse
from lakehouse.contract.model import Contract
from lakehouse.errors import MartsError, WarehouseError
from lakehouse.lakehouse import Lakehouse
from lakehouse.marts import step as marts
from lakehouse.marts.dbt import Node
from lakehouse.settings import PROJECT_DIR, Settings

Deliver = Callable[..., None]
Rows = list[tuple[Any, ...]]

ADDRESSES = {
    "sp": {"customer_zip_code_prefix": "01000", "customer_city": "sao paulo", "customer_state": "SP"},
    "rj": {"customer_zip_code_prefix": "20000", "customer_city": "rio de janeiro", "customer_state": "RJ"},
}


def customer(customer_id: str, person: str, address: str) -> dict[str, str]:
    return {"customer_id": customer_id, "customer_unique_id": person, **ADDRESSES[address]}


def order(order_id: str, customer_id: str, purchased: str) -> dict[str, str]:
    return {
        "order_id": order_id,
        "customer_id": customer_id,
        "order_status": "created",
        "order_purchase_timestamp": purchased,
        "order_estimated_delivery_date": "2018-03-01",
    }


def item(order_id: str, number: int, product: str, seller: str) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "order_item_id": number,
        "product_id": product,
        "seller_id": seller,
        "price": 10,
        "freight_value": 1,
    }


def query(settings: Settings, statement: str) -> Rows:
    with warehouse.cursor(settings, "transformer") as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def all_marts(settings: Settings) -> dict[str, Rows]:
    """Every row of every mart, sorted."""
    tables = query(settings, "select tablename from pg_tables where schemaname = 'marts'")
    return {table: sorted(query(settings, f"select * from marts.{table}"), key=repr) for (table,) in tables}


def counted(settings: Settings) -> Rows:
    """What a report reads in marts.data_quality, after the load has noted a row if there is none."""
    with warehouse.cursor(settings) as cursor:
        cursor.execute(
            "insert into ops.batch_counts values ('olist', 'orders', '2018-01-20', 3, 1, 0, 0, 0, 2, false, "
            "'2018-01-20 10:00:00+02') on conflict do nothing"
        )
    with warehouse.cursor(settings, "bi_reader") as cursor:
        cursor.execute("select source, table_name, records, loaded, loaded_at::text from marts.data_quality")
        return cursor.fetchall()


@pytest.fixture(scope="module")
def first_day(new_shop: Callable[[], Settings], deliver: Deliver, contract: Contract) -> Settings:
    """Ana ordered twice from Sao Paulo; Bob once, a product from a seller, both without rows of their own."""
    settings = new_shop()
    deliver(
        settings,
        "2018-01-20",
        customers=[customer("c1", "ana", "sp"), customer("c2", "ana", "sp"), customer("c3", "bob", "sp")],
        orders=[
            order("o1", "c1", "2018-01-10 10:00:00"),
            order("o2", "c2", "2018-01-15 10:00:00"),
            order("o3", "c3", "2018-01-22 10:00:00"),
        ],
        order_items=[item("o1", 1, "p1", "s1"), item("o1", 2, "p1", "s1"), item("o3", 1, "p2", "s2")],
        order_payments=[
            {"order_id": "o1", "payment_sequential": 1, "payment_value": 20},
            {"order_id": "o9", "payment_sequential": 1, "payment_value": 7},
        ],
        products=[{"product_id": "p1", "product_category_name": "artes"}],
        sellers=[{"seller_id": "s1", "seller_zip_code_prefix": "01000", "seller_city": "osasco", "seller_state": "SP"}],
    )
    result = marts.run(Lakehouse(settings, contract))
    assert result.done and not result.full_refresh
    return settings


@pytest.fixture
def shop(first_day: Settings, copy_of: Callable[[Settings], Settings]) -> Settings:
    """The workspace after the first day, for one test."""
    return copy_of(first_day)


@pytest.fixture
def own_dbt(shop: Settings) -> Settings:
    """The same workspace, with a dbt that is a process of its own, so that it can be killed."""
    return shop.model_copy(update={"dbt_python": None})


def change_everything(settings: Settings, deliver: Deliver) -> None:
    """A day on which a late order, moves, corrections, descriptions and a withdrawal arrive."""
    deliver(
        settings,
        "2018-01-21",
        customers=[customer("c4", "ana", "rj"), customer("c3", "ana", "rj")],
        orders=[order("o4", "c4", "2018-01-12 10:00:00"), order("o9", "c9", "2018-01-21 10:00:00")],
        products=[
            {"product_id": "p1", "product_category_name": "artes", "product_weight_g": 5},
            {"product_id": "p2"},
        ],
        sellers=[{"seller_id": "s2", "seller_zip_code_prefix": "20000", "seller_city": "rio", "seller_state": "RJ"}],
        category_translation=[{"product_category_name": "artes", "product_category_name_english": "art"}],
    )
    deliver(settings, "2018-01-20", order_items=[item("o1", 1, "p1", "s1"), item("o3", 1, "p2", "s2")])


CITY_OF_ORDER = """
    select orders.order_id, customers.customer_unique_id, customers.state, customers.is_inferred
    from marts.fct_orders as orders inner join marts.dim_customer as customers using (customer_key)
    order by orders.order_id
"""


def test_a_late_order_splits_its_persons_versions_again_and_gives_their_facts_new_keys(
    shop: Settings, deliver: Deliver, contract: Contract
) -> None:
    before = query(shop, CITY_OF_ORDER)
    assert before == [("o1", "ana", "SP", False), ("o2", "ana", "SP", False), ("o3", "bob", "SP", False)]

    deliver(
        shop, "2018-01-21", customers=[customer("c4", "ana", "rj")], orders=[order("o4", "c4", "2018-01-12 10:00:00")]
    )
    deliver(shop, "2018-01-22", orders=[order("o9", "c9", "2018-01-21 10:00:00")])
    result = marts.run(Lakehouse(shop, contract))

    assert not result.full_refresh
    versions = query(
        shop,
        "select state, valid_from::text, valid_to::text from marts.dim_customer "
        "where customer_unique_id = 'ana' order by valid_from",
    )
    assert versions == [
        ("SP", "1900-01-01 00:00:00", "2018-01-12 10:00:00"),
        ("RJ", "2018-01-12 10:00:00", "2018-01-15 10:00:00"),
        ("SP", "2018-01-15 10:00:00", None),
    ]
    assert query(shop, CITY_OF_ORDER) == [
        ("o1", "ana", "SP", False),
        ("o2", "ana", "SP", False),
        ("o3", "bob", "SP", False),
        ("o4", "ana", "RJ", False),
        ("o9", "c9", "unknown", True),
    ]
    keys = "select count(distinct customer_key) from marts.fct_orders where order_id in ('o1', 'o2')"
    assert query(shop, keys) == [(2,)], "the second order from Sao Paulo now points to the third version"
    assert query(shop, "select count(*) from marts.fct_payments where customer_key = 'unknown'") == [(0,)]


def test_a_daily_build_ends_in_the_marts_of_a_full_refresh(
    shop: Settings, deliver: Deliver, contract: Contract
) -> None:
    change_everything(shop, deliver)

    daily = marts.run(Lakehouse(shop, contract))

    incremental = all_marts(shop)
    quality = counted(shop)  # a view over what the load commits, so no build is needed
    again = marts.run(Lakehouse(shop, contract), full_refresh=True)
    assert (daily.full_refresh, again.full_refresh) == (False, True)
    assert incremental == all_marts(shop)
    assert quality == counted(shop) == [("olist", "orders", 3, 2, "2018-01-20 08:00:00")]
    assert len(incremental["fct_order_items"]) == 2, "the item that vanished from its batch is gone"


def test_ids_called_unknown_are_ordinary_members(shop: Settings, deliver: Deliver, contract: Contract) -> None:
    deliver(
        shop,
        "2018-01-21",
        orders=[order("o5", "unknown", "2018-01-21 10:00:00")],
        order_items=[item("o5", 1, "unknown", "unknown")],
    )

    assert marts.run(Lakehouse(shop, contract)).done

    members = "select count(*), count(distinct {0}_key) from marts.dim_{0} where {1} = 'unknown'"
    for dimension, key in (("customer", "customer_unique_id"), ("product", "product_id"), ("seller", "seller_id")):
        assert query(shop, members.format(dimension, key)) == [(2, 2)]


def test_no_id_of_a_person_gives_the_key_of_an_inferred_member(
    shop: Settings, deliver: Deliver, contract: Contract
) -> None:
    people = ["c9", "customer_id:c9", "c9|customer_id", "c9|1900-01-01 00:00:00"]
    deliver(
        shop,
        "2018-01-21",
        customers=[customer(f"of {person}", person, "rj") for person in people],
        orders=[order("o5", "c9", "2018-01-21 10:00:00")],
    )

    assert marts.run(Lakehouse(shop, contract)).done

    members = "select customer_unique_id, is_inferred from marts.dim_customer where customer_unique_id like '%c9%'"
    assert sorted(query(shop, members)) == sorted([("c9", True), *((person, False) for person in people)])
    assert ("o5", "c9", "unknown", True) in query(shop, CITY_OF_ORDER)


def test_with_nothing_new_dbt_is_not_started(shop: Settings, contract: Contract) -> None:
    log = shop.workspace_dir / "dbt" / "dbt.err"
    log.unlink()

    result = marts.run(Lakehouse(shop, contract))

    assert (result.done, log.exists(), marts.pending(Lakehouse(shop, contract))) == (False, False, None)


def move_ana_again(settings: Settings, deliver: Deliver) -> None:
    """Where a killed build had put her must not be forgotten."""
    deliver(settings, "2018-01-23", customers=[customer("c4", "bob", "sp"), customer("c3", "carla", "rj")])


@pytest.fixture(scope="module")
def changed_and_moved(
    first_day: Settings, copy_of: Callable[[Settings], Settings], deliver: Deliver, contract: Contract
) -> dict[str, Rows]:
    """The marts that a full refresh makes of both deliveries."""
    settings = copy_of(first_day)
    change_everything(settings, deliver)
    move_ana_again(settings, deliver)
    marts.run(Lakehouse(settings, contract), full_refresh=True)
    return all_marts(settings)


@pytest.mark.parametrize("nodes", [1, 6, 20], ids=lambda nodes: f"after {nodes} models and tests")
def test_the_next_build_completes_one_whose_dbt_was_killed(
    nodes: int,
    shop: Settings,
    own_dbt: Settings,
    deliver: Deliver,
    contract: Contract,
    changed_and_moved: dict[str, Rows],
) -> None:
    change_everything(shop, deliver)
    seen: list[str] = []

    def kill(node: Node) -> None:
        seen.append(node.name)
        if len(seen) == nodes:
            (dbt,) = dbt_processes()
            dbt.kill()

    with pytest.raises(MartsError, match="dbt stopped with code -9"):
        marts.run(Lakehouse(own_dbt, contract), log=kill)

    assert marts.pending(Lakehouse(shop, contract)) == "the last build was not completed"
    move_ana_again(shop, deliver)
    completed = marts.run(Lakehouse(shop, contract))
    assert not completed.full_refresh
    assert all_marts(shop) == changed_and_moved


def test_a_killed_full_refresh_is_repeated_as_a_full_refresh(
    shop: Settings, own_dbt: Settings, contract: Contract
) -> None:
    expected = all_marts(shop)

    def kill(node: Node) -> None:
        if node.name == "dim_seller":
            (dbt,) = dbt_processes()
            dbt.kill()

    with pytest.raises(MartsError):
        marts.run(Lakehouse(own_dbt, contract), full_refresh=True, log=kill)

    assert marts.run(Lakehouse(shop, contract)).full_refresh
    assert all_marts(shop) == expected


def test_a_build_that_lost_its_lock_does_not_count_as_complete(
    shop: Settings, deliver: Deliver, contract: Contract
) -> None:
    change_everything(shop, deliver)
    ended: list[int] = []

    def end_the_locks_session(node: Node) -> None:
        if node.name == "fct_orders":
            with warehouse.cursor(shop) as cursor:
                cursor.execute(
                    "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' "
                    "and database = (select oid from pg_database where datname = current_database())"
                )
                ended.append(cursor.rowcount)

    with pytest.raises(WarehouseError, match="The lock publish was lost"):
        marts.run(Lakehouse(shop, contract), log=end_the_locks_session)

    assert ended and ended[0] > 0
    assert marts.pending(Lakehouse(shop, contract)) == "the last build was not completed"


def dbt_processes() -> list[psutil.Process]:
    """Those that this process started; Spark's JVM may be another child of it."""
    return [child for child in psutil.Process().children() if "lakehouse.marts.dbt_process" in child.cmdline()]


RUN = """
import sys
from pathlib import Path
from lakehouse.marts import step as marts
from lakehouse.lakehouse import Lakehouse
from lakehouse.settings import Settings

marts.run(Lakehouse.open(Settings.load(workspace=sys.argv[1])), full_refresh=True,
          log=lambda node: print(node.name, flush=True))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda how: how.name)
def test_no_dbt_outlives_its_parent(how: signal.Signals, shop: Settings, contract: Contract) -> None:
    environment = {
        **os.environ,
        "LAKEHOUSE_HOME": str(shop.home),
        "LAKEHOUSE_EMBEDDED_POSTGRES_DIR": str(shop.embedded_postgres_dir),
        "LAKEHOUSE_POSTGRES_PORT": str(shop.postgres_port),
    }
    parent = subprocess.Popen(
        [sys.executable, "-c", RUN, shop.workspace_name],
        env=environment,
        cwd=PROJECT_DIR,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline(), "dbt is through with its first model"
    children = psutil.Process(parent.pid).children(recursive=True)  # dbt, and a process that cleans up after it
    assert "dbt" in " ".join(children[0].cmdline())

    parent.send_signal(how)

    assert parent.wait(timeout=60) != 0
    parent.stdout.close()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []
    with Lakehouse(shop, contract).lock("publish", wait_seconds=0):
        pass
    assert marts.pending(Lakehouse(shop, contract)) == "they were not built yet"


def test_a_failing_model_or_test_is_named_and_leaves_the_build_open(
    shop: Settings, deliver: Deliver, contract: Contract, tmp_path: Path
) -> None:
    broken = shop.model_copy(update={"dbt_dir": tmp_path / "dbt"})
    shutil.copytree(PROJECT_DIR / "dbt", broken.dbt_dir)
    (broken.dbt_dir / "tests" / "nobody_is_called_ana.sql").write_text(
        "select * from {{ tested_rows_of(ref('dim_customer')) }} where customer_unique_id = 'ana'"
    )
    deliver(shop, "2018-01-21", orders=[order("o1", "c1", "2018-01-10 11:00:00")])

    with pytest.raises(MartsError, match=r"nobody_is_called_ana: Got 1 result.*"):
        marts.run(Lakehouse(broken, contract))

    assert marts.pending(Lakehouse(shop, contract)) == "the last build was not completed"


def test_a_changed_project_makes_the_marts_due_but_a_changed_test_does_not(
    shop: Settings, deliver: Deliver, contract: Contract, tmp_path: Path
) -> None:
    changed = shop.model_copy(update={"dbt_dir": tmp_path / "dbt"})
    shutil.copytree(PROJECT_DIR / "dbt", changed.dbt_dir)
    for folder in ("tests", "analyses"):
        (changed.dbt_dir / folder / "new.sql").write_text("select 1 as one where 1 = 0\n")
    assert marts.pending(Lakehouse(changed, contract)) is None

    with (changed.dbt_dir / "models" / "marts" / "olist" / "dim_seller.sql").open("a") as model:
        model.write("-- changed\n")

    assert marts.pending(Lakehouse(changed, contract)) == "the dbt project changed"


def test_full_tests_check_rows_that_a_daily_build_leaves_out(
    shop: Settings, deliver: Deliver, contract: Contract
) -> None:
    assert marts.test(Lakehouse(shop, contract)).tests > 50
    with warehouse.cursor(shop, "transformer") as cursor:
        cursor.execute("delete from marts.dim_customer where customer_unique_id = 'bob'")
        cursor.execute("update marts.fct_orders set items_value = 99 where order_id = 'o1'")
        cursor.execute("delete from intermediate.int_orders_current where order_id = 'o3'")

    deliver(shop, "2018-01-21", orders=[order("o2", "c2", "2018-01-15 11:00:00")])
    marts.run(Lakehouse(shop, contract))
    with pytest.raises(MartsError) as failure:
        marts.test(Lakehouse(shop, contract))

    assert "relationships_fct_orders_customer_key" in str(failure.value)
    assert "holds_every_key_int_orders_current" in str(failure.value)
    assert "order_totals_are_those_of_its_items" not in str(failure.value), "Ana's orders were all rebuilt"


def dbt(settings: Settings, *arguments: str) -> str:
    """Output of dbt on the workspace's database, as the role transformer."""
    environment = {
        **os.environ,
        "LAKEHOUSE_DBT_PORT": str(settings.postgres_port),
        "LAKEHOUSE_DBT_DATABASE": settings.database_name,
        "DBT_ENV_SECRET_PASSWORD": settings.password("transformer"),
    }
    folder = settings.workspace_dir / "dbt_by_hand"
    options = ["--project-dir", str(settings.dbt_dir), "--profiles-dir", str(settings.dbt_dir)]
    options += ["--target-path", str(folder), "--log-path", str(folder / "logs")]
    done = subprocess.run(
        [str(Path(sys.executable).parent / "dbt"), *arguments, *options],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_every_business_rule_holds_in_its_unit_test(shop: Settings) -> None:
    output = dbt(shop, "test", "--select", "test_type:unit")

    assert "PASS=19 WARN=0 ERROR=0 SKIP=0" in output


def test_dbt_docs_describe_every_table_and_column(shop: Settings) -> None:
    dbt(shop, "docs", "generate")

    folder = shop.workspace_dir / "dbt_by_hand"
    catalog = json.loads((folder / "catalog.json").read_text(encoding="utf-8"))
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    bare = []
    for key, table in {**catalog["nodes"], **catalog["sources"]}.items():
        described = manifest["nodes"].get(key) or manifest["sources"][key]
        bare += [key] if not described["description"] else []
        columns = {name: column["description"] for name, column in described["columns"].items()}
        bare += [f"{key}.{name}" for name in table["columns"] if not columns.get(name)]
    assert len(catalog["nodes"]) == 28
    assert bare == []


def test_any_dropped_relation_is_noticed_and_made_again_with_what_came_meanwhile(
    new_shop: Callable[[], Settings], deliver: Deliver, contract: Contract
) -> None:
    settings = new_shop()
    lakehouse = Lakehouse(settings, contract)
    relations = [name for (name,) in query(settings, "select unnest(relations) from ops.marts_state order by 1")]
    assert {name.partition(".")[0] for name in relations} == {"staging", "intermediate", "marts"}
    assert len(relations) == len(
        query(
            settings,
            "select from pg_class where relkind in ('r', 'v') and "
            "relnamespace::regnamespace::text in ('staging', 'intermediate', 'marts')",
        )
    )
    with warehouse.cursor(settings, "transformer", autocommit=True) as cursor:
        for name in relations:
            cursor.execute(f"alter table {name} rename to moved_away")
            assert marts.pending(lakehouse) == f"{name} no longer exists"
            cursor.execute(f"alter table {name.partition('.')[0]}.moved_away rename to {name.partition('.')[2]}")
        assert marts.pending(lakehouse) is None
        cursor.execute("drop schema staging cascade")
        cursor.execute("drop table intermediate.int_changed_keys, marts.fct_orders cascade")
    # A full refresh takes the types of numbers from the warehouse.
    with warehouse.cursor(settings) as cursor:
        cursor.execute("alter table raw_olist.order_items alter price type numeric(14, 4)")

    warehouse.prepare(settings)
    item = {"order_id": "o1", "order_item_id": 1, "product_id": "p1", "seller_id": "s1", "freight_value": 1}
    order_1 = order("o1", "c1", "2018-01-10 10:00:00")
    deliver(settings, "2018-01-20", orders=[order_1], order_items=[{**item, "price": Decimal("10.0051")}])
    assert marts.run(lakehouse).full_refresh

    exact = "select price, order_value from marts.fct_order_items inner join marts.fct_orders using (order_id)"
    assert query(settings, exact) == [(Decimal("10.0051"), Decimal("11.0051"))]
    assert marts.pending(lakehouse) is None

    # And what no shop can have done is kept, and warned of.
    impossible = {"order_delivered_customer_date": "2018-01-01", "order_approved_at": "2018-01-02"}
    deliver(
        settings,
        "2018-01-21",
        orders=[
            {**order("o2", "c1", "2018-01-10 10:00:00"), **impossible},
            {**order("o3", "c1", "2018-01-22 10:00:00"), "order_estimated_delivery_date": "2018-01-21"},
        ],
    )
    assert dict(marts.run(lakehouse).warnings) == {
        "customers_not_described_yet": 1,
        "orders_delivered_before_the_purchase": 1,
        "orders_delivered_before_approval": 1,
        "orders_approved_before_the_purchase": 1,
        "orders_promised_before_the_purchase": 1,
        "payments_cover_the_order": 1,
        "purchases_precede_their_batch": 1,
    }
