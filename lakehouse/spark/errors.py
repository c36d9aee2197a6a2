"""An error of a Spark session, classic or Connect -> the line of its text that says why."""

from __future__ import annotations

import re
from contextlib import suppress

# Matches "Caused by: java.io.IOException: No space left on device", not "at java.io.IOException..." or plain text.
CAUSE = re.compile(r"(?:Caused by: |: )?([A-Za-z_][\w.$]*(?:Error|Exception)(?:: .*)?)")
LONGEST_REASON = 500


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


def reason_of(error: Exception) -> str:
    """The deepest cause in the traces, or the beginning of the error if no trace names a cause."""
    if callable(details := getattr(error, "details", None)):  # an error of gRPC
        return str(details())
    lines = [line.strip() for line in str(error).splitlines()]
    causes = [match[1] for line in lines if (match := CAUSE.fullmatch(line))]
    return (causes[-1] if causes else " ".join(filter(None, lines)))[:LONGEST_REASON]
