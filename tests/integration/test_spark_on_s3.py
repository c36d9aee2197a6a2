"""Silver and load by Spark through S3A on the real store, with the keys of silver's user, into the real warehouse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from lakehouse import warehouse as package_warehouse
from lakehouse.settings import Target
from tests.support.made_up_shop import FIRST, SECOND, Shop
from tests.support.processes import output_of
from tests.support.servers import STORE_SECRETS, StoreServer, WarehouseServer, secrets_of
from tests.support.small_source import settings_in


@dataclass(frozen=True)
class Done:
    """What the process printed, and the workspace that it left."""

    said: dict[str, Any]
    shop: Shop

    def history(self, key: str) -> list[dict[str, Any]]:
        """The commits of a Delta table, oldest first."""
        return self.shop.delta_table(key).history()[::-1]


@pytest.fixture(scope="module")
def done(
    store: StoreServer,
    warehouse: WarehouseServer,
    numbers: Iterator[int],
    jars_dir: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Done:
    """One process for all tests, since starting Spark takes longest."""
    folder = tmp_path_factory.mktemp("spark")
    secrets = secrets_of(store.folder, folder / "secrets", *(name for name in STORE_SECRETS if "root" not in name))
    secrets_of(warehouse.folder, secrets, "owner_password", "loader_password", "transformer_password")
    settings = settings_in(
        folder,
        target=Target.DOCKER,
        s3_endpoint=store.endpoint,
        postgres_host=warehouse.host,
        postgres_port=warehouse.port,
        secrets_dir=secrets,
        jars_dir=jars_dir,
        spark_driver_memory="1g",
        vacuum_retention_hours=0,
    ).model_copy(update={"workspace": f"test_{next(numbers)}"})
    package_warehouse.prepare(settings)
    said = output_of(Path(__file__).parent / "spark_steps.py", settings, folder / "delivery")
    return Done(said, Shop(settings, None, folder / "delivery"))


def test_a_small_batch_goes_to_silver_and_to_the_warehouse(done: Done) -> None:
    assert done.said["silver, first"] == {"bronze": 4, "duplicates": 1, "superseded": 0, "quarantined": 1, "silver": 2}
    assert done.said["load, first"] == {"silver": 2, "raw": 2}
    assert done.said["silver, second"]["silver"] == done.said["load, second"]["raw"] == 1


def test_a_batch_done_before_is_not_done_again(done: Done) -> None:
    assert done.said["again"] == [False, False]


def test_a_redelivery_replaces_its_batch_everywhere(done: Done) -> None:
    rows = [
        ("o1", 1, Decimal("11.00"), "paid", 4.5),
        ("o4", 1, Decimal("4.00"), None, None),
        ("o5", 1, Decimal("5.00"), "new", None),
    ]

    assert done.said["silver, replaced"]["quarantined"] == 1
    assert done.shop.silver() == rows
    assert done.shop.raw() == rows
    assert done.shop.quarantine("_row, _batch_date") == [(2, FIRST)]


def test_the_load_log_holds_each_load_and_which_one_counts(done: Done) -> None:
    log = done.shop.query("select batch_date, rows, is_current from ops.load_log order by load_id")
    staging = done.shop.query("select tablename from pg_tables where schemaname = 'raw_shop'")

    assert log == [(FIRST, 2, False), (FIRST, 2, True), (SECOND, 1, True)]
    assert staging == [("orders",)]
    assert done.shop.query("select order_id from raw_shop.orders where _batch_date = '2018-01-06'", "transformer") == [
        ("o5",)
    ]


def test_every_commit_of_silver_is_sparks(done: Done) -> None:
    for key in ("shop/orders", "quarantine/shop/orders"):
        engines = {commit.get("engineInfo", "delta-rs").partition("/")[0] for commit in done.history(key)}
        assert engines == {"Apache-Spark"}, key


def test_spark_has_only_the_keys_of_silvers_user(done: Done, store: StoreServer) -> None:
    assert done.said["user"] == store.keys_of("silver")[0]
    assert {name: said for name, said in done.said.items() if name.startswith(("writes", "reads"))} == {
        "writes landing": "AccessDenied",
        "writes bronze": "AccessDenied",
        "writes silver": "done",
        "reads landing": "AccessDenied",
    }


def test_maintain_merges_and_removes_files_of_the_lake_by_spark(done: Done, store: StoreServer) -> None:
    table = done.shop.delta_table()
    folder = table.table_uri.removeprefix("s3://silver/").rstrip("/")
    found = [str(item.object_name) for item in store.root().list_objects("silver", f"{folder}/", recursive=True)]
    data_files = sorted(name for name in found if name.endswith(".parquet") and "/_delta_log/" not in name)

    assert done.said["maintained"]["merged"] >= 2  # the large batch was written by two tasks
    assert done.said["maintained"]["removed"] >= 3  # and the merged ones, and the one that a redelivery replaced
    assert data_files == sorted(uri.removeprefix("s3://silver/") for uri in table.file_uris())
    assert len(data_files) == 2  # one per batch
    assert done.history("shop/orders")[-1]["operation"] == "OPTIMIZE"
