"""What a Spark session raises, classic or Connect -> the one line of it that says why."""

from __future__ import annotations

import re
from contextlib import suppress

# "Caused by: java.io.IOException: No space left on device", but not "at java.io.IOException..." nor plain text.
CAUSE = re.compile(r"(?:Caused by: |: )?([A-Za-z_][\w.$]*(?:Error|Exception)(?:: .*)?)")
LONGEST_REASON = 500


def spark_errors() -> tuple[type[Exception], ...]:
    """To be caught around a job: a failed one, and a Java or a Connect server that is gone."""
    from pyspark.errors import PySparkException  # pyspark takes half a second to import

    found: list[type[Exception]] = [PySparkException, ConnectionError]
    with suppress(ImportError):  # the client of Spark Connect comes without
        from py4j.protocol import Py4JError

        found.append(Py4JError)
    with suppress(ImportError):  # and Spark itself without this
        from grpc import RpcError

        found.append(RpcError)
    return tuple(found)


def reason_of(error: Exception) -> str:
    """The deepest cause that a page of traces names; without one, how the error begins."""
    if callable(details := getattr(error, "details", None)):  # gRPC's own
        return str(details())
    lines = [line.strip() for line in str(error).splitlines()]
    causes = [match[1] for line in lines if (match := CAUSE.fullmatch(line))]
    return (causes[-1] if causes else " ".join(filter(None, lines)))[:LONGEST_REASON]
