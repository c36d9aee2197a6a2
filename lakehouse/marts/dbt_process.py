"""Arguments of `dbt` -> dbt run in this process; one JSON line on stdout per finished model or test.

dbt.py starts it as `python -m lakehouse.marts.dbt_process build …`. stdin is a pipe that the parent keeps open and
never writes to. When the parent ends, even if it is killed, the pipe closes and this process ends, too, on every
platform. If dbt outlived its parent, it would write at the same time as the next run.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any, TextIO

CRASHED = 2


def main() -> None:
    """Run dbt. Exit code 0: success; 1: a model or test failed; 2: dbt itself failed (reason on stderr)."""
    threading.Thread(target=_end_with_parent, args=(sys.stdin.fileno(),), daemon=True).start()
    reports = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # so that nothing else mixes with the reports

    from dbt.cli.main import dbtRunner  # imports take a second, so the watch above must start first

    result = dbtRunner(callbacks=[lambda event: _report(event, reports)]).invoke(sys.argv[1:])
    if result.exception is not None:
        print(result.exception, file=sys.stderr, flush=True)  # noqa: T201 - read by the parent
        os._exit(CRASHED)
    # Not sys.exit: dbt's threads and connections need not be closed, which saves a third of a second.
    os._exit(0 if result.success else 1)


def _end_with_parent(pipe: int) -> None:
    while os.read(pipe, 1024):
        pass
    os._exit(CRASHED)


def _report(event: Any, reports: TextIO) -> None:
    """Write one line. `NodeFinished` is dbt's event for every node, with its status, seconds, message and rows."""
    if event.info.name != "NodeFinished":
        return
    result = event.data.run_result
    response = result.adapter_response
    kind = event.data.node_info.resource_type
    written = int(response["rows_affected"]) if "rows_affected" in response else -1
    rows = result.num_failures if kind == "test" else written
    line = {
        "name": event.data.node_info.node_name,
        "kind": kind,
        "status": result.status,
        "seconds": round(result.execution_time, 3),
        "message": result.message,
        "rows": rows if rows >= 0 else None,  # a view has none
    }
    reports.write(json.dumps(line) + "\n")
    reports.flush()


if __name__ == "__main__":
    main()
