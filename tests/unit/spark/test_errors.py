"""reason_of finds the line that says why, in the errors of each kind of Spark."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from py4j.protocol import Py4JJavaError, Py4JNetworkError
from pyspark.errors import PySparkException, PythonException
from pyspark.errors.exceptions.connect import SparkConnectGrpcException

from lakehouse.errors import SparkError
from lakehouse.settings import Settings
from lakehouse.spark import session
from lakehouse.spark.errors import reason_of, spark_errors

JAVA = """An error occurred while calling o77.collectToPython.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 3.0 failed 1 times
\tat org.apache.spark.scheduler.DAGScheduler.abortStage(DAGScheduler.scala:2898)
Caused by: java.io.IOException: No space left on device
\tat java.base/java.io.FileOutputStream.writeBytes(Native Method)
\t... 9 more
"""
PYTHON = """An exception was thrown from the Python worker:
Traceback (most recent call last):
  File "copy_task.py", line 40, in copy
    cursor.adbc_ingest(self.table, batches)
adbc_driver_manager.OperationalError: IO: could not connect to the server
"""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (JAVA, "java.io.IOException: No space left on device"),
        (PYTHON, "adbc_driver_manager.OperationalError: IO: could not connect to the server"),
        ("java.lang.OutOfMemoryError: Java heap space", "java.lang.OutOfMemoryError: Java heap space"),
        ("[PATH_NOT_FOUND] Path does not exist:\nfile:/lake.", "[PATH_NOT_FOUND] Path does not exist: file:/lake."),
        (
            "[PATH_NOT_FOUND] gone\norg.apache.spark.sql.AnalysisException",
            "[PATH_NOT_FOUND] gone org.apache.spark.sql.AnalysisException",
        ),
        ("x" * 600, "x" * 500),
    ],
)
def test_the_reason_is_the_deepest_cause(text: str, reason: str) -> None:
    assert reason_of(PySparkException(text)) == reason


@pytest.mark.parametrize(
    "kind", [PythonException, SparkConnectGrpcException, Py4JJavaError, Py4JNetworkError, ConnectionRefusedError]
)
def test_failures_of_every_kind_of_session_are_caught(kind: type[Exception]) -> None:
    assert issubclass(kind, spark_errors())


def test_an_error_of_grpc_is_an_error_of_spark_and_its_details_are_the_reason() -> None:
    channel = grpc.insecure_channel("127.0.0.1:1")

    with pytest.raises(spark_errors()) as gone:
        channel.unary_unary("/any/method")(b"", timeout=5)

    assert "failed to connect" in reason_of(gone.value).lower()
    assert "\n" not in reason_of(gone.value)


def test_the_error_of_a_job_is_not_replaced_by_that_of_closing_the_session(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Gone:
        def stop(self) -> None:
            raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(session, "_local", lambda settings, short_run: Gone())

    with pytest.raises(SparkError, match="Java has ended"), session.spark_session(Settings(home=tmp_path)):
        raise SparkError("Java has ended")
