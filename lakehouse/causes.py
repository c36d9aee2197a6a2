"""The text of another program's error -> the line that says why, and what to do about that.

A cause is recognized by the name of an exception or of an error class of Spark, by an SQLSTATE, or else by the words of
the operating system, Postgres or an S3 store. What is not in these tables is not explained: a guess would mislead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# Matches "Caused by: java.io.IOException: No space left on device", not "at java.io.IOException..." or plain text.
EXCEPTION = re.compile(r"(?:Caused by: |Suppressed: |: )?(?P<text>[A-Za-z_][\w.$]*(?:Error|Exception)(?:: .*)?)")
LONGEST_REASON = 500


@dataclass(frozen=True)
class Cause:
    """`pattern`: what a line of the error contains. `remedy`: sentences; places in braces are filled in."""

    pattern: str
    remedy: str


REWRITE = (
    "Delete `_ledger.json` in the table's folder of that layer: `lakehouse run` then writes the table again from the "
    "layer before."
)

# Of the lake's files, in a folder or on S3. The words are those of Java, of delta-rs and of the operating system.
LAKE = (
    Cause(
        r"No space left on device|Disk quota exceeded|StorageFull|QuotaExceeded",
        "A disk is full: that of the lake, or that of Spark's temporary files. Free space there.",
    ),
    Cause(
        r"InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied(?!Exception: /)|ExpiredToken|Status Code: 40[13]\b"
        r"|403 Forbidden|401 Unauthorized|lacked the necessary privileges",
        "The store refuses the access key: correct LAKEHOUSE_S3_ACCESS_KEY and LAKEHOUSE_S3_SECRET_KEY, or what this "
        "key may do there.",
    ),
    Cause(r"NoSuchBucket", "The store has no such bucket: create it, or correct the layer's setting."),
    Cause(
        r"software\.amazon\.awssdk\S*: Unable to execute HTTP request|error sending request",
        "The store cannot be reached: check that it runs, and LAKEHOUSE_S3_ENDPOINT.",
    ),
    Cause(
        r"Permission denied|PermissionDenied|AccessDeniedException|AccessControlException|DELTA_CANNOT_CREATE_LOG_PATH",
        "This user may not read or write there: correct the owner or the permissions of that file and its folder.",
    ),
    Cause(
        r"DELTA_CONCURRENT|DELTA_METADATA_CHANGED|DELTA_PROTOCOL_CHANGED|Concurrent\w+Exception|commit conflict",
        "Another program wrote to this table at the same time, without the table's lock: wait until it has ended.",
    ),
    Cause(
        r"DELTA_TRUNCATED_TRANSACTION_LOG|DELTA_VERSIONS_NOT_CONTIGUOUS|DELTA_LOG_FILE_NOT_FOUND|DELTA_STATE_RECOVER"
        r"|DELTA_TABLE_NOT_FOUND|DELTA_MISSING_TRANSACTION_LOG|DELTA_SCHEMA_NOT_SET",
        "The table's log is damaged: files of `_delta_log` are missing. Delete the table's folder: `lakehouse run` "
        "then writes the table again from the layer before.",
    ),
    Cause(r"Too many open files", "This user may open no more files: end programs, or raise the limit (`ulimit -n`)."),
    Cause(
        r"FileNotFoundException: \S*/(?:blockmgr|spark)-",
        "Spark's temporary files were deleted while it worked: keep what cleans its temporary folder from doing so.",
    ),
    Cause(
        r"FAILED_READ_FILE\.FILE_NOT_EXIST|PATH_NOT_FOUND|FileNotFoundException|NoSuchKey|Object at location \S+ not",
        f"A file that the table's log lists is not there: something deleted it. {REWRITE}",
    ),
    Cause(
        r"FAILED_READ_FILE|is not a Parquet file|org\.apache\.parquet\S*Exception|ParquetDecodingException",
        f"A file of the lake is damaged: something else wrote to it, or its disk is faulty. {REWRITE}",
    ),
)

CONNECTIONS = Cause(
    r"remaining connection slots are reserved|too many clients already|too many connections|SQLSTATE: 53300",
    "All connections of the warehouse are in use: wait until other programs have ended, or close theirs.",
)
# Of the tasks that copy into the warehouse. libpq gives an SQLSTATE only once it is connected.
WAREHOUSE = (
    Cause(
        r"password authentication failed|SQLSTATE: 28P01",
        "The warehouse refuses the password of loader, which the tasks have from {loader_password}: {start} gives the "
        "role this password.",
    ),
    CONNECTIONS,
    Cause(
        r"SQLSTATE: 53100|could not extend file|could not write (?:to|block)",
        "The warehouse's disk is full: free space there.",
    ),
    Cause(r"SQLSTATE: 53200", "The warehouse is out of memory: end other programs there, or give it more."),
    Cause(r'database ".*" does not exist', "The warehouse has no database for this workspace: {start} makes it."),
    Cause(
        r"server does not support SSL|no encryption|SSL error|certificate verify failed",
        "The connection to the warehouse cannot be encrypted as the target demands: check what the server offers.",
    ),
    Cause(
        r"server closed the connection unexpectedly|terminating connection|SQLSTATE: 57P0\d|is (?:starting|shutting)",
        "The warehouse was stopped or restarted in the middle: {start}, unless it runs again.",
    ),
    Cause(
        r"Connection refused|could not translate host name|timeout expired|No route to host|Failed to connect",
        "The warehouse cannot be reached at {warehouse} from where Spark's tasks run: {start}.",
    ),
)

HEAP = Cause(r"OutOfMemoryError|UNABLE_TO_ACQUIRE_MEMORY", "Spark's heap is too small: {more_memory}.")
# Of Spark itself and its Python processes.
SPARK = (
    Cause(
        r"unable to create (?:new )?native thread|Resource temporarily unavailable",
        "This user may start no further threads or processes: end some, or raise the limit (`ulimit -u`).",
    ),
    HEAP,
    Cause(
        r"INVALID_DRIVER_MEMORY|Too small \w+ heap|Invalid (?:maximum|initial) heap size|heap size specified",
        "Java cannot use this heap: set LAKEHOUSE_SPARK_DRIVER_MEMORY (now {memory}) to 600m or more, such as 1600m.",
    ),
    Cause(
        r"insufficient memory for the Java Runtime|Could not reserve enough space",
        "This machine has too little memory for this heap: end other programs, or lower LAKEHOUSE_SPARK_DRIVER_MEMORY "
        "(now {memory}).",
    ),
    Cause(
        r"ExecutorLostFailure|Lost executor|exit code 137|Master removed our application|All masters are unresponsive",
        "Spark lost an executor: the operating system ended it, or its worker stopped. {log} says which.",
    ),
    Cause(
        r"Python worker exited unexpectedly|Python worker failed to connect back",
        "A Python process of Spark was ended from outside, or crashed. If memory was short there, `sudo dmesg` names "
        "the process; {log} has what else is known.",
    ),
    Cause(
        r"PYTHON_VERSION_MISMATCH|Cannot run program|(?:ModuleNotFound|Import)Error: ",
        "Spark's Python processes do not have this project's Python and packages: {python}.",
    ),
    Cause(
        r"PatternSyntaxException|INVALID_PARAMETER_VALUE\.PATTERN",
        "Java cannot use a pattern of the contract: correct it in contracts/.",
    ),
    Cause(
        r"INVALID_HANDLE\.|SESSION_(?:NOT_FOUND|CLOSED|CHANGED)|stopped SparkContext|SparkContext was shut ?down",
        "The Spark server was stopped or restarted in the middle: start it, unless it runs again.",
    ),
    Cause(
        r"StatusCode\.UNAVAILABLE|details = \"(?:failed to connect|Socket closed|recvmsg|Connection reset)",
        "The Spark Connect server does not answer any more: check that it runs, and LAKEHOUSE_SPARK_REMOTE.",
    ),
    Cause(r"SPARK_JOB_CANCELLED|OPERATION_CANCELED|cancelled (?:part of|by)", "The job was interrupted."),
    Cause(
        r"FileNotFoundError: .*_password'",
        "Spark's tasks do not find the password of loader: {loader_password} has to be where they run.",
    ),
    Cause(r"MemoryError$", "A Python process of Spark has too little memory: end other programs there."),
)


def found_in(text: str, causes: Iterable[Cause]) -> tuple[str, str] | None:
    """(line, remedy) of the first cause in the text. If several lines have it, the last one, which is the deepest."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if not line.startswith("at ")]
    for cause in causes:
        if matching := [line for line in lines if re.search(cause.pattern, line)]:
            return exception_in(matching[-1]), cause.remedy
    return None


def exception_in(line: str) -> str:
    """The line without what leads to its exception, cut to LONGEST_REASON characters."""
    match = EXCEPTION.fullmatch(line)
    return (match["text"] if match else line)[:LONGEST_REASON]
