"""Settings -> the Spark session. No other module builds one.

Spark runs in this process, or the session is a client of a Spark Connect server. The steps use only DataFrames and SQL,
so both kinds of session work the same for them.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from pyspark.errors import PySparkException

from lakehouse.errors import SetupError
from lakehouse.settings import Settings
from lakehouse.spark.errors import spark_errors, start_explained
from lakehouse.spark.jars import ensure_jars
from lakehouse.spark.java import find_java
from lakehouse.spark.log import opened

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger(__name__)

CONNECT_PORT = 15002  # unless the address names another port
CONNECT_SECONDS = 10

# The settings of every session, wherever it runs.
SESSION_CONFIGURATION = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.shuffle.partitions": "4",
    # The default is 50, which means 50 tasks even for the log of the smallest table.
    "spark.databricks.delta.snapshotPartitions": "2",
}


@contextmanager
def spark_session(settings: Settings, *, short_run: bool = False) -> Iterator[SparkSession]:
    """A session, closed at the end of the block. A JVM started here stays for later sessions until the process ends.

    `short_run`: the session is so short that the JVM's second compiler would cost more than it saves.
    Raises SetupError when there is no JDK, a jar cannot be fetched, or Spark does not start.
    """
    spark = _remote(settings, settings.spark_remote) if settings.spark_remote else _local(settings, short_run)
    try:
        yield spark
    finally:
        # Java or the server may have ended. The error of the job says so, and must not be replaced by this one.
        with suppress(*spark_errors()):
            spark.stop()


def _remote(settings: Settings, address: str) -> SparkSession:
    from grpc import RpcError
    from pyspark.sql.connect.session import SparkSession as RemoteSession

    server = urlsplit(address.split("/;")[0])  # the rest may hold a token
    try:
        # Without this check Spark would try for ten minutes.
        with socket.create_connection((server.hostname or "", server.port or CONNECT_PORT), CONNECT_SECONDS):
            pass
        builder = RemoteSession.builder.channelBuilder(_channel(address, settings.connect_token()))
        for name, value in SESSION_CONFIGURATION.items():
            builder = builder.config(name, value)
        os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"  # as `builder.remote` does; functions.py reads it
        session = cast("SparkSession", builder.getOrCreate())
        if settings.spark_pages:
            pages = f"{settings.spark_pages.rstrip('/')}/app/?appId={session.conf.get('spark.app.id')}"
            log.info("The Spark application of this work: %s", pages)
        return session
    except (OSError, PySparkException, RpcError) as error:
        refused = "UNAUTHENTICATED" in str(error)
        why = "it refused the token" if refused else type(error).__name__
        remedy = (
            f"The token is that of LAKEHOUSE_SPARK_TOKEN, else of {settings.secrets_path / 'connect_token'}: it has to "
            "be the server's."
            if refused
            else "Check that it runs and LAKEHOUSE_SPARK_REMOTE, or unset it to run Spark in this process."
        )
        raise SetupError(f"The Spark Connect server at {server.geturl()} cannot be used: {why}.\n{remedy}") from error


def _channel(address: str, token: str | None) -> Any:
    """A channel to a server, with the token. The token cannot be part of the address: child processes inherit that in
    their environment, and pyspark's own `token=` forces TLS.
    """
    from pyspark.sql.connect.client import DefaultChannelBuilder

    class WithToken(DefaultChannelBuilder):
        def metadata(self) -> list[tuple[str, str]]:
            own = list(super().metadata())
            return [*own, ("authorization", f"Bearer {token}")] if token else own

    return WithToken(address)


def _local(settings: Settings, short_run: bool) -> SparkSession:
    # Imported here, since the client of Spark Connect lacks these modules.
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    java = find_java()
    jars = ensure_jars(settings)
    os.environ["JAVA_HOME"] = str(java.parent.parent)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    # A host name that does not resolve would stop the driver. One that resolves to another address would expose the
    # driver to the network.
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    configuration = SparkConf(loadDefaults=False).setAll(list(_configuration(settings, jars, short_run).items()))
    try:
        if SparkContext._gateway is None:
            with opened(settings) as sink:
                gateway = launch_gateway(configuration, {"stdout": sink, "stderr": sink})  # type: ignore[no-untyped-call]
            SparkContext._ensure_initialized(gateway=gateway)
        # The keys are set only now, to keep them out of the JVM's arguments, which every user of the machine can read.
        configuration.setAll(list(_store_access(settings).items()))
        context = SparkContext.getOrCreate(configuration)
    except spark_errors() as error:
        raise SetupError(f"Spark did not start: {start_explained(error, settings)}") from error
    context.setLogLevel("WARN")
    return SparkSession(context)


def _configuration(settings: Settings, jars: list[Path], short_run: bool) -> dict[str, str]:
    # For small jobs on few cores and a short-lived heap, the parallel collector has the highest throughput.
    java_options = "-XX:+UseParallelGC -Duser.timezone=UTC"
    if short_run:
        java_options += " -XX:TieredStopAtLevel=1"
    return {
        **SESSION_CONFIGURATION,
        "spark.app.name": "lakehouse",
        "spark.master": "local[*]",
        "spark.driver.memory": settings.spark_driver_memory,
        "spark.driver.extraJavaOptions": java_options,
        "spark.driver.extraClassPath": os.pathsep.join(map(str, jars)),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.warehouse.dir": str(settings.workspace_dir / "spark-warehouse"),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        # A good batch size for COPY; the default is 10,000 rows.
        "spark.sql.execution.arrow.maxRecordsPerBatch": "50000",
    }


def _store_access(settings: Settings) -> dict[str, str]:
    """How S3A reaches the lake's store; empty for a lake in a folder."""
    if not settings.layer_url("silver").startswith("s3://"):
        return {}
    access = {"spark.hadoop.fs.s3a.endpoint.region": settings.s3_region}
    if settings.s3_endpoint:
        access["spark.hadoop.fs.s3a.endpoint"] = settings.s3_endpoint
        access["spark.hadoop.fs.s3a.path.style.access"] = "true"
        access["spark.hadoop.fs.s3a.connection.ssl.enabled"] = str(settings.s3_endpoint.startswith("https")).lower()
    if user := settings.store_user("silver"):  # this user may also read bronze
        access["spark.hadoop.fs.s3a.access.key"] = user.access_key
        access["spark.hadoop.fs.s3a.secret.key"] = user.secret_key
    return access
