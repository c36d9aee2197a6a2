"""Settings -> this home's Postgres server on 127.0.0.1, run by the programs that programs.py finds.

There is one server per home, with one database per workspace. The server outlives the command that started it and keeps
none of that command's file descriptors. cluster.py says what the server's folder contains.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shlex
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from lakehouse.errors import SetupError
from lakehouse.settings import Settings
from lakehouse.warehouse.embedded.cluster import (
    CONFIGURATION,
    DATA,
    HOST,
    LOG,
    make_cluster,
    make_directory,
    remove_cluster,
    write_configuration,
)
from lakehouse.warehouse.embedded.programs import find_programs, tail
from lakehouse.warehouse.passwords import ensure_passwords, superuser_password_file

ROOT_DIR = Path("/var/lib/ecommerce-data-pipeline")
START_SECONDS = 300  # after a crash the server first replays up to max_wal_size of its log
SESSION_END_TIMEOUT = 15  # how long the sessions of a killed server may take to end
UNSEEN_HOLDER_TIMEOUT = 2  # after this long, a port without a visible holder counts as held by another user


@dataclass(frozen=True)
class RunningServer:
    """A live server process of this home. `ready`: it accepts connections (else it is starting or stopping)."""

    pid: int
    port: int
    ready: bool


def server_dir(settings: Settings) -> Path:
    """The folder with the server's data, log and configuration: in the home or, for root, in /var/lib."""
    if settings.embedded_postgres_dir is not None:
        return settings.embedded_postgres_dir.resolve()
    home = settings.home.resolve()
    if os.geteuid() != 0:
        return home / "postgres"
    clone = re.sub(r"[^A-Za-z0-9-]+", "-", home.parent.name).strip("-")
    return ROOT_DIR / f"{clone}-{hashlib.sha256(str(home).encode()).hexdigest()[:12]}"


def log_dir(settings: Settings) -> Path:
    """The folder with the server's log: one file per weekday, so a week is kept."""
    return server_dir(settings) / LOG


def has_data(settings: Settings) -> bool:
    """Whether this home has a cluster, running or not."""
    return _data_dir(settings).is_dir()


def status(settings: Settings) -> RunningServer | None:
    """The server of this home, or None. A pid file left by a crash or a reboot is ignored."""
    try:
        lines = _pid_file(settings).read_text().splitlines()
        pid, port = int(lines[0]), int(lines[3])
    except (OSError, ValueError, IndexError):
        return None
    if not _is_of_home(pid, settings):
        return None
    return RunningServer(pid, port, ready=len(lines) > 7 and lines[7].strip() == "ready")


def is_running(settings: Settings) -> bool:
    """Whether the server of this home accepts connections."""
    server = status(settings)
    return server is not None and server.ready


def start(settings: Settings, extra_settings: Mapping[str, str] | None = None) -> RunningServer:
    """Start the server of this home unless it runs. Create its cluster first if there is none.

    `extra_settings`: further settings of postgresql.conf (tests turn fsync off). Several callers at the same time start
    only one server.
    Raises SetupError when the port is taken, the programs are missing or do not run, or the server does not start.
    """
    server = status(settings)
    if server is None or not server.ready:
        with _alone(settings):
            server = _start(settings, extra_settings or {})
    if server.port != settings.postgres_port:
        raise SetupError(
            f"LAKEHOUSE_POSTGRES_PORT is {settings.postgres_port}, but the server of {settings.home} runs on port "
            f"{server.port}.\nRun `lakehouse stop` first to move it, or leave the setting as it was."
        )
    return server


def stop(settings: Settings) -> bool:
    """Stop the server of this home and end its sessions. False if none was running."""
    with _alone(settings):
        return _stop(settings)


def remove(settings: Settings) -> None:
    """Stop the server. Delete its data, its log and, for root, the copy of the programs. Other files stay."""
    with _alone(settings):
        _stop(settings, "immediate")  # without writing first what is then deleted
        directory = server_dir(settings)
        remove_cluster(directory)
        if directory.parent == ROOT_DIR:
            with contextlib.suppress(OSError):  # the folder contains another clone's server
                ROOT_DIR.rmdir()


def reset_superuser_password(settings: Settings) -> None:
    """Set the superuser's password to the one in its file. Stops the server for a moment.

    Needed after a password file was deleted or changed. The owner of the data needs no password for this.
    """
    with _alone(settings):
        _stop(settings)
        password = superuser_password_file(settings).read_text().strip().replace("'", "''")
        single = ["--single", "-D", str(_data_dir(settings)), "-c", f"config_file={_conf(settings)}", "postgres"]
        programs = find_programs(server_dir(settings))
        done = programs.run("postgres", *single, stdin=f"alter role postgres password '{password}'\n")
        output = done.stdout + done.stderr
        if done.returncode != 0 or "ERROR" in output:
            raise SetupError(f"The superuser's password could not be set again:\n{tail(output)}")
        _start(settings, {})


def port_holder(port: int) -> str | None:
    """A description of the process that listens on a port of 127.0.0.1; None if the port is free."""
    with socket.socket() as probe:
        probe.settimeout(2)
        if probe.connect_ex((HOST, port)) != 0:
            return None
    process = _listener(port)
    if process is None:
        return "a program that this user may not see"
    with contextlib.suppress(psutil.Error):
        return f"`{shlex.join(process.cmdline())[:200]}` (pid {process.pid}, user {process.username()})"
    return f"pid {process.pid}"


def _start(settings: Settings, extra_settings: Mapping[str, str]) -> RunningServer:
    server = _settled(settings)
    if server is not None:
        return server
    _free_port(settings)
    ensure_passwords(settings)
    directory = server_dir(settings)
    make_directory(directory)
    programs = find_programs(directory)
    make_cluster(directory, programs, superuser_password_file(settings).read_text())
    write_configuration(directory, programs, {"port": str(settings.postgres_port), **extra_settings})
    _drop_foreign_pid_file(settings)

    output = log_dir(settings) / "start.log"
    options = f"-c config_file={shlex.quote(str(_conf(settings)))}"  # pg_ctl passes it to a shell
    arguments = ["start", "-D", str(_data_dir(settings)), "-w", "-t", str(START_SECONDS), "-l", str(output)]
    deadline = time.monotonic() + SESSION_END_TIMEOUT
    while True:
        done = programs.run("pg_ctl", *arguments, "-o", options)
        server = status(settings)
        if server is not None and server.ready:
            return server
        message = _newest_log(settings) or done.stderr
        if "still in use" not in message or time.monotonic() > deadline:
            raise SetupError(
                f"The embedded Postgres did not start. Its log in {log_dir(settings)} ends:\n{tail(message)}\n"
                "Fix what it names and run `lakehouse start`; `lakehouse doctor` checks memory, disk and port."
            )
        time.sleep(0.2)


def _stop(settings: Settings, mode: Literal["fast", "immediate"] = "fast") -> bool:
    server = _settled(settings)
    if server is None:
        return False
    programs = find_programs(server_dir(settings))
    done = programs.run("pg_ctl", "stop", "-D", str(_data_dir(settings)), "-m", mode, "-w", "-t", str(START_SECONDS))
    _await_end(server.pid, settings)  # the server removes its pid file a moment before it ends
    if _is_of_home(server.pid, settings):
        raise SetupError(f"Postgres (pid {server.pid}) did not stop:\n{tail(done.stdout + done.stderr)}")
    return True


def _settled(settings: Settings) -> RunningServer | None:
    """Wait while the server starts or stops, and return it. The command that began this may have been killed."""
    deadline = time.monotonic() + START_SECONDS
    while (server := status(settings)) is not None and not server.ready:
        if time.monotonic() > deadline:
            raise SetupError(f"Postgres (pid {server.pid}) neither starts nor stops. Its log: {log_dir(settings)}")
        time.sleep(0.05)
    return server


def _free_port(settings: Settings) -> None:
    port = settings.postgres_port
    deadline = time.monotonic() + UNSEEN_HOLDER_TIMEOUT
    while (holder := port_holder(port)) is not None:
        process = _listener(port)
        if process is not None and _is_of_home(process.pid, settings):
            # The server's data was deleted while it ran (`rm -rf .lakehouse`). It would notice this within a minute.
            process.kill()
            _await_end(process.pid, settings)
        elif process is None and time.monotonic() < deadline:
            time.sleep(0.02)  # sessions of a killed server release its port a moment after it ended
        else:
            raise SetupError(
                f"Port {port} on {HOST} is taken by {holder}.\n"
                "Stop it, or choose a free port for the embedded Postgres: "
                f"LAKEHOUSE_POSTGRES_PORT={port + 1 if port < 65535 else port - 1} in .env or in the environment."
            )


def _drop_foreign_pid_file(settings: Settings) -> None:
    """Delete a leftover pid file that names another program, as after a reboot. Postgres would not start with it."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        pid = int(_pid_file(settings).read_text().splitlines()[0])
        if psutil.pid_exists(pid) and not _is_of_home(pid, settings):
            _pid_file(settings).unlink()


def _is_of_home(pid: int, settings: Settings) -> bool:
    with contextlib.suppress(psutil.Error, ValueError):
        command = psutil.Process(pid).cmdline()  # empty for a zombie
        return "-D" in command and str(_data_dir(settings)) in command
    return False


def _await_end(pid: int, settings: Settings) -> None:
    """Wait until a server has ended. A dead process that its parent has not reaped yet counts as ended."""
    deadline = time.monotonic() + SESSION_END_TIMEOUT
    while _is_of_home(pid, settings) and time.monotonic() < deadline:
        time.sleep(0.02)


def _listener(port: int) -> psutil.Process | None:
    """The process that listens on a port; None if there is none, or this user may not see it."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
                return psutil.Process(connection.pid) if connection.pid else None
    return None


@contextlib.contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Let one process at a time start, stop or remove the server of a home. The lock ends with the process."""
    file = settings.home / "postgres.lock"
    try:
        while True:
            settings.home.mkdir(parents=True, exist_ok=True)
            lock = file.open("w")
            fcntl.flock(lock, fcntl.LOCK_EX)
            if file.exists() and os.path.samestat(os.fstat(lock.fileno()), file.stat()):
                break
            lock.close()  # `clean` deleted the home meanwhile
    except OSError as error:
        raise SetupError(f"{settings.home} (LAKEHOUSE_HOME) cannot be written: {error.strerror}.") from error
    with lock:
        yield


def _data_dir(settings: Settings) -> Path:
    return server_dir(settings) / DATA


def _pid_file(settings: Settings) -> Path:
    return _data_dir(settings) / "postmaster.pid"


def _conf(settings: Settings) -> Path:
    return server_dir(settings) / CONFIGURATION


def _newest_log(settings: Settings) -> str:
    """The last messages in the two newest logs. start.log covers the startup until the server opens its own log."""
    files = sorted(log_dir(settings).glob("*.log"), key=lambda file: file.stat().st_mtime)
    return "\n".join(file.read_text(errors="replace")[-4000:] for file in files[-2:])
