"""The steps work the same through a Spark Connect server as on a Spark in their process."""

from __future__ import annotations

from decimal import Decimal

import pytest

from benchmarks.sandbox import free_port
from lakehouse.lakehouse import Lakehouse
from lakehouse.load import step as load
from tests.embedded.spark.connect_server import connect_server, run_client
from tests.support.made_up_shop import FIRST, Shop

TOKEN = "the-token-of-this-server"

# Processes the batch that is in bronze, up to the warehouse. `prepare`: code by which a test changes the workers.
CLIENT = """
    import sys
    from pathlib import Path
    from lakehouse.load import copy
    from lakehouse.spark.session import spark_session
    from lakehouse.settings import Settings
    from tests.support.made_up_shop import Shop
    from tests.support.small_source import manifests_in

    settings = Settings.model_validate_json(sys.argv[1])
    {prepare}
    with spark_session(settings) as spark:
        assert type(spark).__module__ == "pyspark.sql.connect.session", type(spark)
        shop = Shop(settings, spark, Path("unused"))
        (manifest,) = manifests_in(settings)
        print(shop.to_silver(manifest).counts)
        print(shop.to_raw(manifest).counts)
"""

REFUSED = """
    import sys
    from lakehouse.errors import SetupError
    from lakehouse.spark.session import spark_session
    from lakehouse.settings import Settings

    try:
        with spark_session(Settings.load(spark_remote=sys.argv[1], spark_token=sys.argv[2])):
            pass
    except SetupError as error:
        print(error)
"""

# Fails after its commit, the first time.
FAILS_ONCE = """
    MARK = Path(sys.argv[2])

    class FailsOnce(copy.StagingTable):
        def copy(self, batches):
            returned = list(super().copy(batches))
            if not MARK.exists():
                MARK.write_text("failed after its commit")
                raise RuntimeError("the worker dies now")
            yield from returned

    copy.StagingTable = FailsOnce
"""


@pytest.fixture(scope="module")
def address(server, tmp_path_factory):
    with connect_server(server, free_port(), tmp_path_factory.mktemp("connect"), TOKEN) as address:
        yield address


@pytest.fixture
def shop(new_workspace, tmp_path):
    """A shop without a Spark in this process."""
    shop = Shop(new_workspace(source="shop"), None, tmp_path / "delivery")
    load.ensure_tables(Lakehouse(shop.settings, shop.contract))
    return shop


def through_connect(shop, address, prepare="", *arguments):
    remote = shop.settings.model_copy(update={"spark_remote": address})
    (remote.secrets_path / "connect_token").write_text(TOKEN + "\n")
    return run_client(CLIENT.replace("{prepare}", prepare.strip()), remote.model_dump_json(), *arguments).splitlines()


def test_silver_and_load_go_through_it(shop, address):
    shop.deliver("o1,1,1.00,new,", "o1,1,1.00,new,", "o1,1,2.00,paid,4.5", "o2,x,1.00,new,", "o3,,,,")

    counted = through_connect(shop, address)

    assert counted == [
        "{'bronze': 5, 'duplicates': 1, 'superseded': 1, 'quarantined': 1, 'silver': 2}",
        "{'silver': 2, 'raw': 2}",
    ]
    assert shop.quarantine() == [
        (2, ["superseded"]),
        (4, ["item: not a valid integer (digits only, up to 2147483647)"]),
    ]
    assert shop.raw("*") == [
        ("o1", 1, Decimal("2.00"), "paid", 4.5, "orders.csv", 3, FIRST),
        ("o3", None, None, None, None, "orders.csv", 5, FIRST),
    ]


def test_a_task_that_fails_after_its_commit_and_runs_again_counts_once(shop, address, tmp_path):
    shop.deliver("o1,1,1.00,new,", "o2,1,2.00,new,")

    counted = through_connect(shop, address, FAILS_ONCE, tmp_path / "mark")

    assert (tmp_path / "mark").exists()
    assert counted[-1] == "{'silver': 2, 'raw': 2}"
    assert shop.raw("order_id") == [("o1",), ("o2",)]


def test_an_absent_server_is_reported_without_its_token():
    output = run_client(REFUSED, f"sc://127.0.0.1:{free_port()}/;token=secret", "secret")

    assert "LAKEHOUSE_SPARK_REMOTE" in output
    assert "secret" not in output


@pytest.mark.parametrize("token", ["", "wrong-token"], ids=["no token", "a wrong token"])
def test_a_server_refuses_a_client_without_its_token(address, token):
    output = run_client(REFUSED, address, token)

    assert "it refused the token" in output
    assert "LAKEHOUSE_SPARK_TOKEN" in output
    assert TOKEN not in output
    assert "wrong-token" not in output


def test_a_spark_that_cannot_start_is_reported_with_its_cause(server, tmp_path):
    script = """
        import sys
        from lakehouse.errors import SetupError
        from lakehouse.spark.session import spark_session
        from lakehouse.settings import Settings

        try:
            with spark_session(Settings.model_validate_json(sys.argv[1])):
                pass
        except SetupError as error:
            print(error)
    """
    settings = server.model_copy(update={"spark_driver_memory": "1k", "home": tmp_path, "workspace": "none"})

    output = run_client(script, settings.model_dump_json())

    assert "LAKEHOUSE_SPARK_DRIVER_MEMORY" in output
    assert "Too small maximum heap" in output
