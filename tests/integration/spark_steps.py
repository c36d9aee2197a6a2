"""Runs in a separate process: silver and load of a batch with Spark on the real store; prints the results.

Spark's jars for S3 must be on the class path when its JVM starts, and tests of other folders start a JVM without them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lakehouse.lakehouse import Lakehouse
from lakehouse.load import step as load
from lakehouse.pipeline import maintain
from lakehouse.settings import Settings
from lakehouse.silver import step as silver
from lakehouse.spark.errors import spark_errors
from lakehouse.spark.session import spark_session
from tests.support.made_up_shop import SECOND, Shop


def main(settings: Settings, folder: Path) -> dict[str, Any]:
    """The result of each step."""
    came: dict[str, Any] = {}
    with spark_session(settings, short_run=True) as spark:
        shop = Shop(settings, spark, folder)
        load.ensure_tables(Lakehouse(settings, shop.contract))

        first = shop.deliver("o1,1,10.5,paid,4.5", "o1,1,10.5,paid,4.5", "o2,x,1.00,new,", "o3,1,3.00,new,")
        came["silver, first"] = shop.to_silver(first).counts
        came["load, first"] = shop.to_raw(first).counts
        came["again"] = [shop.to_silver(first).done, shop.to_raw(first).done]

        silver.SMALL_ROWS_RETURNED = 0  # large: Spark's tasks write the files
        replaced = shop.deliver("o1,1,11.00,paid,4.5", "o2,2,x,new,", "o4,1,4.00,,")
        came["silver, replaced"] = shop.to_silver(replaced).counts
        came["load, replaced"] = shop.to_raw(replaced).counts
        silver.SMALL_ROWS_RETURNED = 20_000
        second = shop.deliver("o5,1,5.00,new,", day=SECOND)
        came["silver, second"] = shop.to_silver(second).counts
        came["load, second"] = shop.to_raw(second).counts

        hadoop = spark.sparkContext._jsc.hadoopConfiguration()
        came["user"] = hadoop.get("fs.s3a.access.key")
        for layer in ("landing", "bronze", "silver"):
            url = f"s3a://{layer}/{settings.workspace_name}/by_hand"
            came[f"writes {layer}"] = outcome(lambda url=url: spark.range(1).write.parquet(url))
        url = f"s3a://landing/{settings.workspace_name}/shop"
        came["reads landing"] = outcome(lambda: spark.read.text(url).collect())
    done = maintain.maintain(Lakehouse(settings, shop.contract), lambda text: None)
    came["maintained"] = {"merged": done.files_merged, "removed": done.files_removed}
    return came


def outcome(act: Callable[[], object]) -> str:
    try:
        act()
    except spark_errors() as error:
        return "AccessDenied" if "AccessDenied" in str(error) else str(error)
    return "done"


if __name__ == "__main__":
    json.dump(main(Settings.model_validate_json(sys.argv[1]), Path(sys.argv[2])), sys.stdout)
