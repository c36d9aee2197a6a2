"""Runs in a separate process: uses the log store of the Spark image on the real store and prints the results.

The log store's jar must be on the class path when the JVM starts (SPARK_DIST_CLASSPATH).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from py4j.protocol import Py4JJavaError

from lakehouse.lake.store import open_store
from lakehouse.settings import Settings
from lakehouse.silver import step as silver
from lakehouse.silver.partition import CONDITIONAL_LOG_STORE, LOG_STORE_OF_S3A
from lakehouse.spark import session
from tests.support.made_up_shop import Shop

WRITERS, APPENDS = 8, 3


def main(settings: Settings, folder: Path) -> dict[str, Any]:
    """The result of each step."""
    session.SESSION_CONFIGURATION[LOG_STORE_OF_S3A] = CONDITIONAL_LOG_STORE
    with session.spark_session(settings, short_run=True) as spark:
        store = open_store(settings, "silver")
        commits = Commits(spark, f"{store.spark_url('by_hand')}/_delta_log")
        came: dict[str, Any] = {"race": commits.race("00000000000000000000.json")}
        came["again"] = commits.put("1.json", "mine"), commits.put("1.json", "mine"), commits.put("1.json", "other's")
        came["overwritten"] = commits.put("_last_checkpoint", "1", True), commits.put("_last_checkpoint", "2", True)
        came["content"] = commits.read("1.json") + commits.read("_last_checkpoint")

        url, options = store.spark_url("appended"), store.delta_options()
        spark.range(1).write.format("delta").save(url)
        one = pa.table({"id": pa.array([1], pa.int64())})
        ways: list[Callable[[], object]] = [
            lambda: spark.range(1).coalesce(1).write.format("delta").mode("append").save(url),
            lambda: write_deltalake(url.replace("s3a:", "s3:"), one, mode="append", storage_options=options),
        ]
        with ThreadPoolExecutor(4) as threads:
            done = [threads.submit(way) for _ in range(APPENDS) for way in ways * 2]
        came["appended"] = sum(ended.exception() is None for ended in done)
        table = DeltaTable(url.replace("s3a:", "s3:"), storage_options=options)
        came["rows"], came["version"] = table.to_pyarrow_table().num_rows - 1, table.version()

        shop = Shop(settings, spark, folder)
        shop.to_silver(shop.deliver("o1,1,10.5,paid,4.5", "o2,x,1.00,new,"))
        silver.SMALL_ROWS = 0  # large: Spark's tasks write the files
        shop.to_silver(shop.deliver("o1,1,11.00,paid,4.5", "o3,x,1.00,new,"))
    came["silver"] = [list(map(str, row)) for row in shop.silver("order_id, amount")]
    came["quarantine"] = shop.quarantine("_row")
    came["engines"] = [commit.get("engineInfo", "delta-rs") for commit in shop.delta_table().history()[::-1]]
    return came


class Commits:
    """The log store itself, as Delta calls it, at a folder of the store."""

    def __init__(self, spark: Any, folder: str) -> None:
        self._jvm = spark.sparkContext._jvm
        self._configuration = spark._jsparkSession.sessionState().newHadoopConf()
        self._store = self._jvm.lakehouse.ConditionalLogStore(self._configuration)
        self._folder = folder

    def put(self, name: str, line: str, overwrite: bool = False) -> str:
        lines = self._jvm.java.util.Collections.singleton(line).iterator()
        try:
            self._store.write(self._path(name), lines, overwrite, self._configuration)
        except Py4JJavaError as error:
            return str(error.java_exception.getClass().getName())
        return "written"

    def race(self, name: str) -> list[str]:
        """The answers to several writers at the same time, and whether the file's content is the winner's."""
        with ThreadPoolExecutor(WRITERS) as threads:
            answers = list(threads.map(lambda number: self.put(name, f"writer {number}"), range(WRITERS)))
        content = self.read(name)
        return [*sorted(answers), "the winner's" if content == [f"writer {answers.index('written')}"] else f"{content}"]

    def read(self, name: str) -> list[str]:
        lines = self._store.read(self._path(name), self._configuration)
        found = []
        while lines.hasNext():
            found.append(lines.next())
        return found

    def _path(self, name: str) -> Any:
        return self._jvm.org.apache.hadoop.fs.Path(f"{self._folder}/{name}")


if __name__ == "__main__":
    json.dump(main(Settings.model_validate_json(sys.argv[1]), Path(sys.argv[2])), sys.stdout)
