"""maintain on the warehouse: tables analysed, leftovers dropped, used keys removed; tests/unit has the lake's part."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lakehouse import warehouse
from lakehouse.contract.model import Contract
from lakehouse.contract.odcs import read_contract
from lakehouse.lakehouse import Lakehouse
from lakehouse.load import step as load
from lakehouse.pipeline.maintain import _drop_used_keys, maintain
from lakehouse.settings import PROJECT_DIR, Settings


@pytest.fixture
def contract() -> Contract:
    return read_contract(PROJECT_DIR / "contracts", "olist")


def execute(settings: Settings, *statements: str) -> list[tuple]:
    """Execute statements as the role loader; the rows of the last one, if it has any."""
    with warehouse.cursor(settings) as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def tables_of(settings: Settings, schema: str = "raw_olist") -> set[str]:
    found = execute(settings, f"select tablename from pg_tables where schemaname = '{schema}'")
    return {name for (name,) in found}


def test_an_empty_workspace_is_maintained(settings: Settings, contract: Contract) -> None:
    done = maintain(Lakehouse(settings, contract), lambda text: None)

    assert (done.files_merged, done.files_removed, done.leftovers, done.changed_keys_removed) == (0, 0, (), 0)
    assert (done.tests, done.warnings) == (0, ())


def test_staging_tables_of_killed_loads_are_dropped_and_similar_names_stay(
    settings: Settings, contract: Contract
) -> None:
    load.ensure_tables(Lakehouse(settings, contract))
    before = tables_of(settings)
    dead = ["_staging_orders_0a1b2c3d", "_staging_orders_ffffffff", "_staging_order_items_00000000"]
    alike = ["_staging_orders_mine", "staging_orders_0a1b2c3d", "_staging_unheard_of_0a1b2c3d"]
    execute(settings, *(f"create table raw_olist.{name} (order_id text)" for name in [*dead, *alike]))

    done = maintain(Lakehouse(settings, contract), lambda text: None)

    assert sorted(done.leftovers) == sorted(dead)
    assert tables_of(settings) == before | set(alike)


def test_every_table_of_the_pipeline_is_analysed_and_its_dead_rows_are_vacuumed(
    settings: Settings, contract: Contract
) -> None:
    load.ensure_tables(Lakehouse(settings, contract))
    execute(
        settings,
        "insert into raw_olist.sellers (seller_id, _source_file, _row, _batch_date) "
        "select number::text, 'f', number, '2018-01-05' from generate_series(1, 1000) as number",
        "delete from raw_olist.sellers where _row > 900",
    )
    with warehouse.connect(settings, "transformer") as connection:
        connection.cursor().execute("create table marts.dim_seller as select 1 as seller_key")
    begin = datetime.now(UTC)

    done = maintain(Lakehouse(settings, contract), lambda text: None)

    found = execute(
        settings, "select schemaname, relname, last_analyze, last_vacuum from pg_stat_user_tables order by 1, 2"
    )
    late = [f"{schema}.{name}" for schema, name, *moments in found if not all(m and m >= begin for m in moments)]
    assert late == []
    assert done.tables_analysed == len(found)
    assert {"raw_olist.sellers", "marts.dim_seller", "ops.load_log"} <= {f"{row[0]}.{row[1]}" for row in found}
    assert execute(settings, "select reltuples from pg_class where oid = 'raw_olist.sellers'::regclass") == [(900,)]


@pytest.mark.parametrize(("status", "left"), [("complete", [6]), ("building", [5, 6])])
def test_keys_that_the_marts_have_used_are_removed_and_others_stay(
    settings: Settings, contract: Contract, status: str, left: list[int]
) -> None:
    execute(
        settings,
        f"insert into ops.marts_state (source, load_id, project_hash, status) values ('olist', 5, 'x', '{status}')",
        "insert into ops.changed_keys (load_id, source, table_name, key) "
        "values (5, 'olist', 'orders', 'o1'), (6, 'olist', 'orders', 'o2'), (5, 'shop', 'orders', 'o3')",
    )

    removed = _drop_used_keys(Lakehouse(settings, contract))

    assert removed == 2 - len(left)
    assert execute(settings, "select load_id from ops.changed_keys where source = 'olist' order by 1") == [
        (number,) for number in left
    ]
    assert execute(settings, "select load_id from ops.changed_keys where source = 'shop'") == [(5,)]
