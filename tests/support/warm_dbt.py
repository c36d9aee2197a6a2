"""A dbt whose Python has imported it already: it forks for each run, which saves several seconds of CPU time.

The program that `warm_dbt` makes takes the place of the Python in `settings.dbt_python`. It passes its arguments,
environment and streams to the waiting Python, and ends with the exit code of the run. If it is killed, so is the run.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lakehouse.settings import PROJECT_DIR

ASKING = """#!{python} -IS
import json, os, socket, sys

assert sys.argv[1:3] == ["-m", "lakehouse.marts.dbt_process"], sys.argv
request = {{"arguments": sys.argv[3:], "environment": dict(os.environ), "folder": os.getcwd()}}
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect({address!r})
    socket.send_fds(connection, [b"."], [0, 1, 2])
    connection.sendall(json.dumps(request).encode())
    connection.shutdown(socket.SHUT_WR)
    code = connection.recv(1)
os._exit(code[0] if code else 2)
"""


@contextmanager
def warm_dbt(folder: Path) -> Iterator[Path]:
    """Start the waiting Python, and make the program that asks it for runs. Both end with the block."""
    address, program = str(folder / "dbt.socket"), folder / "dbt_python"
    program.write_text(ASKING.format(python=sys.executable, address=address))
    program.chmod(0o755)
    command = [sys.executable, "-m", "tests.support.warm_dbt", address]
    with (
        (folder / "dbt.err").open("w") as complaints,
        subprocess.Popen(command, cwd=PROJECT_DIR, stdout=subprocess.PIPE, stderr=complaints, text=True) as waiting,
    ):
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "ready\n", (folder / "dbt.err").read_text()
        try:
            yield program
        finally:
            waiting.terminate()


def _serve(address: str) -> None:
    """Import dbt, and fork for each run that is asked for."""
    import dbt.adapters.postgres
    import dbt.cli.main
    import dbt.task.build  # noqa: F401 - what a run would import

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        print("ready", flush=True)  # noqa: T201 - read by warm_dbt
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _answer(connection)
            connection.close()


def _answer(connection: socket.socket) -> None:
    """Fork a run, and report its exit code. The run is killed if the program that asked for it ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    request = json.loads(b"".join(iter(lambda: connection.recv(65536), b"")))
    run = os.fork()
    if run == 0:
        connection.close()
        _run(request["arguments"], request["environment"], request["folder"], streams)
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(run)
    waiting = select.poll()
    waiting.register(ended, select.POLLIN)
    waiting.register(connection, 0)  # reports only that the other side is gone
    if ended not in dict(waiting.poll()):
        os.kill(run, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(run, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(bytes([code % 256]))
    os._exit(0)


def _run(arguments: list[str], environment: dict[str, str], folder: str, streams: list[int]) -> None:
    """What `python -m lakehouse.marts.dbt_process` does, in a process that has imported dbt."""
    from lakehouse.marts import dbt_process

    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["dbt_process.py", *arguments]
    try:
        dbt_process.main()
    finally:
        os._exit(dbt_process.CRASHED)


if __name__ == "__main__":
    _serve(sys.argv[1])
