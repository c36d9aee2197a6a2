"""What other programs say when they fail, nearly all of it provoked once -> the advice of this project."""

# ruff: noqa: E501 - what the programs said

from __future__ import annotations

from pathlib import Path

import pytest
from py4j.protocol import Py4JError, Py4JNetworkError
from pyspark.errors import PySparkException

from lakehouse.causes import LAKE, found_in
from lakehouse.settings import Settings
from lakehouse.spark.errors import explained, start_explained
from lakehouse.spark.log import START, log_file, opened

ABORTED = "org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 3.0 failed 1 times, most "
PYTHON = (
    "An exception was thrown from the Python worker. Please see the stack trace below.\n"
    "Traceback (most recent call last):\n"
    '  File "copy_task.py", line 64, in copy\n'
)
LIBPQ = (
    'adbc_driver_manager.OperationalError: IO: [libpq] Failed to connect: connection to server at "10.0.0.7", port 1 '
)

JOBS = {
    "heap": (
        f"An error occurred while calling o65.collect.\n: {ABORTED}recent failure: Lost task 0.0\n"
        "Caused by: java.lang.OutOfMemoryError: Java heap space\n\tat java.base/java.util.Arrays.copyOf(Arrays.java:1)",
        "java.lang.OutOfMemoryError: Java heap space",
        "Spark's heap is too small: raise LAKEHOUSE_SPARK_DRIVER_MEMORY, now 1600m.",
    ),
    "executor lost": (
        "Job aborted due to stage failure: Task 1 in stage 0.0 failed 4 times, most recent failure: Lost task 1.3 in "
        "stage 0.0 (TID 9) (10.0.0.3 executor 2): ExecutorLostFailure (executor 2 exited caused by one of the running "
        "tasks) Reason: Command exited with code 137",
        "ExecutorLostFailure",
        "Spark lost an executor",
    ),
    "full disk": (
        "An error occurred while calling o500.save.\n"
        ": org.apache.spark.SparkException: [TASK_WRITE_FAILED] Task failed while writing rows to file:/lake/t. SQLSTATE: "
        "58030\nCaused by: org.apache.hadoop.fs.FSError: java.io.IOException: No space left on device\n"
        "Caused by: java.io.IOException: No space left on device",
        "java.io.IOException: No space left on device",
        "A disk is full",
    ),
    "file missing": (
        "An error occurred while calling o65.count.\n"
        ": org.apache.spark.SparkException: [FAILED_READ_FILE.FILE_NOT_EXIST] Encountered error while reading file "
        "file:///lake/a.parquet. File does not exist. It is possible the underlying files have been updated.\n"
        "Caused by: java.io.FileNotFoundException: File file:/lake/a.parquet does not exist",
        "java.io.FileNotFoundException: File file:/lake/a.parquet does not exist",
        "Delete `_ledger.json` in the table's folder",
    ),
    "file missing, through Connect": (
        "[PATH_NOT_FOUND] Path does not exist: file:/lake/a.parquet. SQLSTATE: 42K03\n\nJVM stacktrace:\n"
        "org.apache.spark.sql.AnalysisException\n\tat org.apache.spark.sql.errors.QueryCompilationErrors$.x(Q.scala:1)",
        "[PATH_NOT_FOUND] Path does not exist: file:/lake/a.parquet. SQLSTATE: 42K03",
        "Delete `_ledger.json` in the table's folder",
    ),
    "file cut": (
        "An error occurred while calling o90.getResult.\n: org.apache.spark.SparkException: Exception thrown in "
        "awaitResult: \nCaused by: org.apache.spark.SparkException: [FAILED_READ_FILE.NO_HINT] Encountered error while "
        "reading file file:///lake/a.parquet.  SQLSTATE: KD001\nCaused by: java.lang.RuntimeException: "
        "file:/lake/a.parquet is not a Parquet file. Expected magic number at tail, but found [51, 26, 64, 31]",
        "java.lang.RuntimeException: file:/lake/a.parquet is not a Parquet file.",
        "A file of the lake is damaged",
    ),
    "file garbled": (
        "An error occurred while calling o111.getResult.\nCaused by: org.apache.spark.SparkException: "
        "[FAILED_READ_FILE.NO_HINT] Encountered error while reading file file:///lake/a.parquet.  SQLSTATE: KD001\n"
        "Caused by: java.io.IOException: can not read class org.apache.parquet.format.PageHeader: Negative length: -1\n"
        "Caused by: shaded.parquet.org.apache.thrift.protocol.TProtocolException: Negative length: -1",
        "[FAILED_READ_FILE.NO_HINT] Encountered error while reading file file:///lake/a.parquet.",
        "A file of the lake is damaged",
    ),
    "table's log cut": (
        "An error occurred while calling o168.save.\n: org.apache.spark.sql.delta.DeltaFileNotFoundException: "
        "[DELTA_TRUNCATED_TRANSACTION_LOG] file:/lake/l/_delta_log/00000000000000000000.json: Unable to reconstruct "
        "state at version 2 as the transaction log has been truncated due to manual deletion",
        "DELTA_TRUNCATED_TRANSACTION_LOG",
        "files of `_delta_log` are missing",
    ),
    "two writers": (
        "An error occurred while calling o92.save.\n: io.delta.exceptions.ConcurrentAppendException: "
        "[DELTA_CONCURRENT_APPEND.WITH_PARTITION_HINT] Transaction conflict detected. a concurrent WRITE added data to "
        "table delta.`file:/lake/c` committed at version 1.",
        "DELTA_CONCURRENT_APPEND",
        "Another program wrote to this table at the same time",
    ),
    "read denied": (
        "An error occurred while calling o65.count.\n: org.apache.spark.SparkException: [FAILED_READ_FILE.NO_HINT] "
        "Encountered error while reading file file:///lake/a.parquet.  SQLSTATE: KD001\n"
        "Caused by: java.io.FileNotFoundException: /lake/a.parquet (Permission denied)",
        "/lake/a.parquet (Permission denied)",
        "correct the owner or the permissions",
    ),
    "write denied": (
        "An error occurred while calling o73.save.\n: org.apache.spark.sql.delta.DeltaIOException: "
        "[DELTA_CANNOT_CREATE_LOG_PATH] Cannot create file:/lake/ro/t/_delta_log",
        "Cannot create file:/lake/ro/t/_delta_log",
        "correct the owner or the permissions",
    ),
    "store gone": (
        "An error occurred while calling o78.parquet.\n: java.net.ConnectException: getFileStatus on s3a://silver/x: "
        "software.amazon.awssdk.core.exception.SdkClientException: Unable to execute HTTP request: Connect to "
        "127.0.0.1:9 failed: Connection refused\nCaused by: java.net.ConnectException: Connection refused",
        "Connect to 127.0.0.1:9 failed",
        "The store cannot be reached: check that it runs, and LAKEHOUSE_S3_ENDPOINT.",
    ),
    "store refuses the key": (
        "An error occurred while calling o78.parquet.\n: java.nio.file.AccessDeniedException: s3a://silver/x: "
        "getFileStatus on s3a://silver/x: software.amazon.awssdk.services.s3.model.S3Exception: Forbidden (Service: S3, "
        "Status Code: 403, Request ID: null):null",
        "Status Code: 403",
        "LAKEHOUSE_S3_ACCESS_KEY",
    ),
    "Python killed": (
        f"An error occurred while calling o231.x.\n: {ABORTED}recent failure: org.apache.spark.SparkException: Python "
        "worker exited unexpectedly (crashed). Consider\nCaused by: org.apache.spark.SparkException: Python worker exited "
        "unexpectedly (crashed). Consider setting\nCaused by: java.net.SocketException: Connection reset",
        "Python worker exited unexpectedly (crashed)",
        "A Python process of Spark was ended from outside",
    ),
    "no Python": (
        f'An error occurred while calling o78.x.\n: {ABORTED}recent: java.io.IOException: Cannot run program "/no/python"'
        ': error=2, No such file or directory\nCaused by: java.io.IOException: Cannot run program "/no/python": error=2, '
        "No such file or directory\nCaused by: java.io.IOException: error=2, No such file or directory",
        'java.io.IOException: Cannot run program "/no/python"',
        "do not have this project's Python and packages",
    ),
    "another Python": (
        f"{PYTHON}    import pyarrow as pa\nModuleNotFoundError: No module named 'pyarrow'",
        "ModuleNotFoundError: No module named 'pyarrow'",
        "do not have this project's Python and packages",
    ),
    "no password file": (
        f"{PYTHON}FileNotFoundError: [Errno 2] No such file or directory: '/run/secrets/loader_password'",
        "FileNotFoundError: [Errno 2]",
        "do not find the password of loader",
    ),
    "pattern": (
        "[INVALID_PARAMETER_VALUE.PATTERN] The value of parameter(s) `regexp` in `rlike` is invalid: '(?P<x>a)'. "
        "SQLSTATE: 22023\n\nJVM stacktrace:\norg.apache.spark.SparkRuntimeException\nCaused by: "
        "java.util.regex.PatternSyntaxException: Unknown inline modifier near index 2\n(?P<x>a)\n  ^",
        "java.util.regex.PatternSyntaxException: Unknown inline modifier near index 2",
        "Java cannot use a pattern of the contract",
    ),
    "server restarted": (
        "[INVALID_HANDLE.SESSION_NOT_FOUND] The handle 00000000-0000-4000-8000-000000000000 is invalid. Session not found.",
        "INVALID_HANDLE.SESSION_NOT_FOUND",
        "The Spark server was stopped or restarted",
    ),
    "server ends": (
        "(java.lang.IllegalStateException) Cannot call methods on a stopped SparkContext.\nThis stopped SparkContext was "
        "created at:",
        "stopped SparkContext",
        "The Spark server was stopped or restarted",
    ),
    "server gone": (
        "<_MultiThreadedRendezvous of RPC that terminated with:\n\tstatus = StatusCode.UNAVAILABLE\n\tdetails = "
        '"failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:15002"\n>',
        "failed to connect to all addresses",
        "The Spark Connect server does not answer any more",
    ),
    "password": (
        f'{PYTHON}{LIBPQ}failed: FATAL:  password authentication failed for user "loader"',
        "password authentication failed",
        "which the tasks have from LAKEHOUSE_LOADER_PASSWORD or /home/secrets/loader_password: `lakehouse start",
    ),
    "password at the second address": (
        f"{PYTHON}{LIBPQ}failed: Connection refused\n\tIs the server running on that host and accepting TCP/IP "
        'connections?\nconnection to server at "localhost", port 1 failed: FATAL:  password authentication failed for x',
        "password authentication failed",
        "refuses the password of loader",
    ),
    "slots": (
        f"{PYTHON}{LIBPQ}failed: FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        "remaining connection slots are reserved",
        "All connections of the warehouse are in use",
    ),
    "warehouse full": (
        f"{PYTHON}adbc_driver_manager.OperationalError: IO: [libpq] Failed to execute COPY statement: PGRES_FATAL_ERROR "
        'ERROR:  could not extend file "base/16384/16385": wrote only 4096 of 8192 bytes at block 8920\nHINT:  Check free '
        "disk space.\nCONTEXT:  COPY t, line 216000\n. SQLSTATE: 53100",
        ". SQLSTATE: 53100",
        "The warehouse's disk is full",
    ),
    "warehouse stopped": (
        f"{PYTHON}adbc_driver_manager.OperationalError: IO: Error writing tuple field data: server closed the connection "
        "unexpectedly\n\tThis probably means the server terminated abnormally\n\tbefore or while processing the request.",
        "server closed the connection unexpectedly",
        "The warehouse was stopped or restarted in the middle",
    ),
    "warehouse gone": (
        f"{PYTHON}{LIBPQ}failed: Connection refused\n\tIs the server running on that host",
        "Connection refused",
        "The warehouse cannot be reached at 127.0.0.1:5433 from where Spark's tasks run",
    ),
    "host unknown": (
        f"{PYTHON}adbc_driver_manager.OperationalError: IO: [libpq] Failed to connect: could not translate host name "
        '"nowhere.invalid" to address: Name or service not known',
        "could not translate host name",
        "The warehouse cannot be reached",
    ),
    "no database": (
        f'{PYTHON}{LIBPQ}failed: FATAL:  database "nodb" does not exist',
        'database "nodb" does not exist',
        "The warehouse has no database for this workspace: `lakehouse start",
    ),
    "no encryption": (
        f"{PYTHON}{LIBPQ}failed: server does not support SSL, but SSL was required",
        "server does not support SSL",
        "cannot be encrypted",
    ),
    "a relation of the warehouse is gone": (
        f"{PYTHON}adbc_driver_manager.ProgrammingError: NOT_FOUND: [libpq] Failed to execute query: ERROR:  relation "
        '"raw_olist.t" does not exist',
        'relation "raw_olist.t" does not exist',
        "The whole error is in /home/workspaces/w/logs/spark.log.",
    ),
    "not known": (
        "An error occurred while calling o7.x.\n: java.lang.IllegalStateException: it is Tuesday",
        "java.lang.IllegalStateException: it is Tuesday",
        "The whole error is in /home/workspaces/w/logs/spark.log.",
    ),
}


@pytest.fixture
def settings() -> Settings:
    return Settings(home=Path("/home"), workspace="w", postgres_port=5433)


@pytest.mark.parametrize(("text", "reason", "advice"), JOBS.values(), ids=JOBS)
def test_a_job_that_failed_is_explained_by_its_own_cause(
    settings: Settings, text: str, reason: str, advice: str
) -> None:
    first, second = explained(PySparkException(text), settings).split("\n")

    assert reason in first
    assert advice in second
    assert len(first) <= 500


def test_no_advice_is_given_twice_for_different_reasons() -> None:
    """The other half of the table above: nothing of memory and disk is said where neither is the cause."""
    about_neither = {name for name in JOBS if not {"heap", "full disk", "executor lost", "Python killed"} & {name}}
    settings = Settings(home=Path("/home"), workspace="w")

    for name in about_neither - {"warehouse full"}:
        _, advice = explained(PySparkException(JOBS[name][0]), settings).split("\n")
        assert not {"memory", "heap", "full"} & set(advice.replace(",", " ").split()), name


def test_the_log_of_a_spark_server_is_not_the_one_of_this_process() -> None:
    remote = Settings(home=Path("/home"), workspace="w", spark_remote="sc://connect:15002")

    assert explained(PySparkException("it is Tuesday"), remote).endswith(
        "The whole error is in the log of the Spark server."
    )
    assert "raise SPARK_WORKER_MEMORY" in explained(PySparkException(JOBS["heap"][0]), remote)


class HasNoTextWithoutJava(Py4JError):
    """As py4j's own: it asks Java for its text."""

    def __str__(self) -> str:
        raise ConnectionRefusedError(111, "Connection refused")


GONE = [ConnectionRefusedError(111, "Connection refused"), Py4JNetworkError("Answer from Java side is empty")]
GONE += [HasNoTextWithoutJava()]


@pytest.mark.parametrize("error", GONE, ids=lambda error: type(error).__name__)
def test_when_java_is_gone_its_log_says_whether_its_heap_was_full(error: Exception, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, workspace="w")
    with opened(settings) as sink:
        sink.write(
            b"26/11/30 16:42:56 ERROR Executor: Exception in task 1.0\njava.lang.OutOfMemoryError: GC overhead\n"
        )

    first, second = explained(error, settings).split("\n")

    assert first == "java.lang.OutOfMemoryError: GC overhead"
    assert "raise LAKEHOUSE_SPARK_DRIVER_MEMORY" in second


@pytest.mark.parametrize("error", GONE, ids=lambda error: type(error).__name__)
def test_a_java_that_was_killed_is_not_said_to_have_had_a_full_heap(error: Exception, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, workspace="w")
    with opened(settings) as sink:
        sink.write(b"java.lang.OutOfMemoryError: of a session before\n")
    with opened(settings):
        pass

    first, second = explained(error, settings).split("\n")

    assert first == "Java, in which Spark runs, has ended"
    assert "ended from outside, or crashed" in second
    assert str(log_file(settings)) in second


STARTS = {
    "Invalid maximum heap size: -Xmxabc\nError: Could not create the Java Virtual Machine.": "Java cannot use this heap",
    "org.apache.spark.SparkIllegalArgumentException: [INVALID_DRIVER_MEMORY] System memory 387448832 must be at least "
    "471859200.": "(now 1600m) to 600m or more",
    "#\n# There is insufficient memory for the Java Runtime Environment to continue.": "has too little memory",
    "Something else": "What it said is at the end of",
}


@pytest.mark.parametrize(("written", "advice"), STARTS.items(), ids=["no size", "too small", "too large", "unknown"])
def test_a_java_that_does_not_start_is_explained_by_what_it_wrote(written: str, advice: str, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, workspace="w")
    with opened(settings) as sink:
        sink.write(written.encode())

    assert advice in start_explained(PySparkException("[JAVA_GATEWAY_EXITED] Java gateway process exited"), settings)


def test_each_start_of_spark_has_a_line_in_its_log(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, workspace="w")
    for _ in range(2):
        with opened(settings):
            pass

    assert [line.startswith(START) for line in log_file(settings).read_text().splitlines()] == [True, True]


DELTA_RS = {
    "Failed to parse parquet: Generic LocalFileSystem error: Unable to copy data to file: No space left on device (os "
    "error 28)": "A disk is full",
    'Could not create local directory: /lake/ro/t Error: Os { code: 13, kind: PermissionDenied, message: "Permission '
    'denied" }': "correct the owner",
    "Kernel error -> Generic S3 error <- Error performing GET http://127.0.0.1:9/silver in 1ms, after 1 retries <- HTTP "
    "error <- error sending request <- client error (Connect)": "The store cannot be reached",
    "Kernel error -> The operation lacked the necessary privileges to complete for path x <- 403 Forbidden <- <?xml "
    'version="1.0"?><Error><Code>InvalidAccessKeyId</Code></Error>': "LAKEHOUSE_S3_ACCESS_KEY",
}


@pytest.mark.parametrize(("text", "advice"), DELTA_RS.items(), ids=["full", "denied", "gone", "key"])
def test_what_delta_rs_says_is_explained_too(text: str, advice: str) -> None:
    found = found_in(text, LAKE)

    assert found is not None
    assert advice in found[1]
