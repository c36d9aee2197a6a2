"""A Spark Connect server on this machine, and a Python process that is its client."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark

from lakehouse.settings import PROJECT_DIR, Settings
from lakehouse.spark.jars import ensure_jars
from lakehouse.spark.java import find_java

START_SECONDS = 120


@contextmanager
def connect_server(settings: Settings, port: int, folder: Path, token: str) -> Iterator[str]:
    """The address of a server that requires this token and tries each task three times."""
    java = find_java()
    configuration = {
        "spark.connect.grpc.binding.port": str(port),
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.authenticate.token": token,
        "spark.driver.extraClassPath": os.pathsep.join(map(str, ensure_jars(settings))),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.ui.enabled": "false",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    }
    options = [part for name, value in configuration.items() for part in ("--conf", f"{name}={value}")]
    command = [Path(pyspark.__file__).parent / "bin" / "spark-submit", "--master", "local[2,3]", *options]
    command += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"]
    environment = {**os.environ, "JAVA_HOME": str(java.parent.parent), "PYSPARK_PYTHON": sys.executable}
    environment["SPARK_LOCAL_IP"] = "127.0.0.1"
    log = folder / "server.log"
    with log.open("wb") as sink:
        server = subprocess.Popen(command, env=environment, stdout=sink, stderr=sink, cwd=folder)
    try:
        _wait_for(server, port, log)
        yield f"sc://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(60)


def _wait_for(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise AssertionError(f"the Connect server did not start:\n{log.read_text()[-3000:]}")


def run_client(script: str, *arguments: object) -> str:
    """The output of a separate Python process: one process has a classic Spark or a Connect client, not both."""
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT_DIR, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
