"""An error of a Spark session, classic or Connect -> the line of its text that says why, and what to do about it."""

from __future__ import annotations

from contextlib import suppress

from lakehouse.causes import EXCEPTION, HEAP, LAKE, LONGEST_REASON, SPARK, WAREHOUSE, exception_in, found_in
from lakehouse.settings import Settings, Target
from lakehouse.spark.log import last_session, log_file

# The driver of the tasks that copy into the warehouse: its errors are not about Spark or the lake.
WAREHOUSE_DRIVER = "adbc_driver_manager"
ENDED = (
    "Java, in which Spark runs, has ended",
    "It was ended from outside, or crashed. If memory was short, `sudo dmesg` names the process; the end of {log} has "
    "what else is known.",
)


def spark_errors() -> tuple[type[Exception], ...]:
    """The errors to catch around a job. They mean that the job failed, or that Java or the Connect server is gone."""
    from pyspark.errors import PySparkException  # pyspark takes half a second to import

    found: list[type[Exception]] = [PySparkException, ConnectionError]
    with suppress(ImportError):  # the client of Spark Connect lacks py4j
        from py4j.protocol import Py4JError

        found.append(Py4JError)
    with suppress(ImportError):  # Spark without Connect lacks grpc
        from grpc import RpcError

        found.append(RpcError)
    return tuple(found)


def explained(error: Exception, settings: Settings) -> str:
    """Why the job failed and, in a second line, what to do. If the cause is not known: where the whole error is."""
    if settings.spark_remote is None and _java_has_ended(error):
        return _with_remedy(settings, found_in(last_session(settings), [HEAP]) or ENDED)
    text = str(error)
    causes = WAREHOUSE if WAREHOUSE_DRIVER in text else (*SPARK, *LAKE)
    return _with_remedy(settings, found_in(text, causes) or (reason_of(error), "The whole error is in {log}."))


def start_explained(error: Exception, settings: Settings) -> str:
    """The same of a Java that did not start. The error says only so, but Java has written why."""
    unknown = ENDED if _java_has_ended(error) else (reason_of(error), "What it said is at the end of {log}.")
    return _with_remedy(settings, found_in(last_session(settings), SPARK) or unknown)


def reason_of(error: Exception) -> str:
    """The deepest cause in the traces, or the beginning of the error if no trace names a cause."""
    if callable(details := getattr(error, "details", None)):  # an error of gRPC
        return str(details())
    lines = [line.strip() for line in str(error).splitlines()]
    # A class without a text says less than the beginning of the error.
    causes = [line for line in lines if EXCEPTION.fullmatch(line) and ": " in exception_in(line)]
    return exception_in(causes[-1]) if causes else " ".join(filter(None, lines))[:LONGEST_REASON]


def _java_has_ended(error: Exception) -> bool:
    """Whether the Java that py4j talks to is gone. The error then says only so, or even asks Java for its text."""
    from py4j.protocol import Py4JNetworkError

    try:
        return isinstance(error, ConnectionError | Py4JNetworkError) or not str(error)
    except (ConnectionError, Py4JNetworkError):
        return True


def _with_remedy(settings: Settings, found: tuple[str, str]) -> str:
    reason, remedy = found
    return f"{reason}\n{remedy.format(**_places(settings))}"


def _places(settings: Settings) -> dict[str, str]:
    """What the remedies name, in these settings."""
    remote, embedded = settings.spark_remote is not None, settings.target is Target.EMBEDDED
    memory = settings.spark_driver_memory
    return {
        "memory": memory,
        "more_memory": (
            "raise SPARK_WORKER_MEMORY and SPARK_WORKER_LIMIT of its server"
            if remote
            else f"raise LAKEHOUSE_SPARK_DRIVER_MEMORY, now {memory}"
        ),
        "log": "the log of the Spark server" if remote else str(log_file(settings)),
        "python": ("its server needs the image of this version" if remote else "install it again (`make setup`)"),
        "loader_password": f"LAKEHOUSE_LOADER_PASSWORD or {settings.password_file('loader')}",
        "warehouse": f"{settings.postgres_host}:{settings.postgres_port}",
        "start": f"`lakehouse start --workspace {settings.workspace_name}`" if embedded else "`make up`",
    }
