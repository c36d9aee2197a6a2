"""Parquet files of silver -> a staging table, copied by Spark's tasks (copy_task.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lakehouse.contract.model import TableContract
from lakehouse.errors import WarehouseError
from lakehouse.lake.places import table_path
from lakehouse.lakehouse import Lakehouse
from lakehouse.load.copy_task import RETURNED, StagingTable
from lakehouse.settings import Target
from lakehouse.spark.errors import explained, spark_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def copy_rows(
    lakehouse: Lakehouse, table: TableContract, spark: SparkSession, files: Sequence[str], staging: str
) -> list[tuple[int, int]]:
    """Copy files of the table in silver, of any batches, into the staging table in one Spark action.

    Returns (task, rows) for each task that completed successfully. Raises WarehouseError if one did not.
    """
    settings, schema = lakehouse.settings, lakehouse.contract.raw_schema
    target = StagingTable(
        host=settings.postgres_host,
        port=settings.postgres_port,
        database=settings.database_name,
        schema=schema,
        table=staging,
        password_file=str(settings.password_file("loader")),
        password_variable="LAKEHOUSE_LOADER_PASSWORD",  # noqa: S106 - the variable's name
        sslmode="require" if settings.target is Target.AWS else "prefer",
    )
    names = [name for name, _ in table.sql_columns]
    # The batch date is in the names of the files' folders below the table's, not in the files.
    reader = spark.read.schema(table.spark_schema).option("basePath", lakehouse.silver.spark_url(table_path(table)))
    try:
        returned = reader.parquet(*files).select(*names).mapInArrow(target.copy, RETURNED).collect()
    except spark_errors() as error:
        raise WarehouseError(
            f"{schema}.{table.name} could not be copied into the warehouse: {explained(error, settings)}\n"
            "Nothing was published. Then run the same command again."
        ) from error
    return [(row["task"], row["rows"]) for row in returned]
