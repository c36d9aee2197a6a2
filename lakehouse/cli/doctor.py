"""This machine and its settings -> a list of checks. Each has passed or names the command that fixes the fault."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from lakehouse import warehouse
from lakehouse.contract.odcs import read_contract
from lakehouse.errors import LakehouseError
from lakehouse.lake.conformance import is_proven
from lakehouse.lake.store import open_store
from lakehouse.settings import LAYERS, PROJECT_DIR, ROLES, Settings, Target
from lakehouse.spark.jars import is_intact, needed_parts, read_lock
from lakehouse.spark.java import find_java, version_of
from lakehouse.spark.watch import NO_EXECUTOR, executors

NEEDED_GB_FREE = 2.0  # the real archive: landing 0.1, bronze and silver 0.2, warehouse 1.0, plus room to work
NEEDED_GB_MEMORY = 4.0
HIGHEST_PORT = 65535


@dataclass(frozen=True)
class Check:
    """The result of one check. `remedy` is empty when nothing is wrong."""

    name: str
    finding: str
    remedy: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing needs to be fixed."""
        return not self.remedy


def checks(settings: Settings) -> list[Check]:
    """Run all checks, even when the first ones fail. Start and change nothing."""
    looks: dict[str, Callable[[], Check]] = {
        "Python": _python,
        "packages": _packages,
        "Spark": lambda: _spark(settings),
        "Java": _java,
        "jars": lambda: _jars(settings),
        "memory": _memory,
        "disk": lambda: _disk(settings),
        "contract": lambda: _contract(settings),
        "store": lambda: _store(settings),
        "port": lambda: _port(settings),
        "warehouse": lambda: _warehouse(settings),
    }
    elsewhere = ("Java", "jars") if settings.spark_remote else ("Spark",)
    return [_looked(settings, name, look) for name, look in looks.items() if name not in elsewhere]


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Check(
        "Python", version, "" if fits else "Use Python 3.11 to 3.13: make clean, then make PYTHON=python3.12 run"
    )


def _packages() -> Check:
    """Compare the installed versions of this project's direct dependencies with uv.lock."""
    lock = PROJECT_DIR / "uv.lock"
    if not lock.is_file():
        return Check("packages", "uv.lock is not here: not checked")
    locked: dict[str, set[str]] = {}
    for name, version in re.findall(r'^name = "([^"]+)"\nversion = "([^"]+)"', lock.read_text(), re.MULTILINE):
        locked.setdefault(name, set()).add(version)
    wrong: list[str] = []
    for requirement in importlib.metadata.requires("ecommerce-data-pipeline") or []:
        name = re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0].lower()
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{name} is missing")
            continue
        if installed not in locked.get(name, {installed}):
            wrong.append(f"{name} is {installed}, locked is {' or '.join(sorted(locked[name]))}")
    return Check("packages", "; ".join(wrong) or "as in uv.lock", "Run: rm -rf .venv && make setup" if wrong else "")


def _java() -> Check:
    def look() -> str:
        java = find_java()
        return f"{version_of(java)}, {java}"

    return _explained("Java", look)


def _spark(settings: Settings) -> Check:
    def look() -> str:
        from lakehouse.spark.session import spark_session  # pyspark takes half a second to import

        with spark_session(settings) as spark:
            return f"{spark.version}, a Connect server answers"

    found = _explained("Spark", look)
    if found.passed and executors(settings) == 0:
        return Check("Spark", f"{found.finding}, but it has no executor", NO_EXECUTOR)
    return found


def _jars(settings: Settings) -> Check:
    wanted = [jar for jar in read_lock() if jar.part in needed_parts(settings)]
    there = sum(is_intact(jar, settings.jars_path) for jar in wanted)
    finding = f"{there} of {len(wanted)} in {settings.jars_path}, as in spark/jars.lock"
    return Check("jars", finding, "" if there == len(wanted) else "Run: lakehouse start (it fetches them once)")


def _memory() -> Check:
    free = psutil.virtual_memory().available / 1e9
    well = free >= NEEDED_GB_MEMORY
    remedy = "" if well else f"Close something: the real archive takes up to {NEEDED_GB_MEMORY:.0f} GB"
    return Check("memory", f"{free:.1f} GB available", remedy)


def _disk(settings: Settings) -> Check:
    """Check the disks of the lake and of the database. For root, the database is in /var/lib."""
    folders = {"LAKEHOUSE_HOME": settings.home}
    if settings.target is Target.EMBEDDED:
        from lakehouse.warehouse.embedded import server as embedded_postgres

        folders["LAKEHOUSE_EMBEDDED_POSTGRES_DIR"] = embedded_postgres.server_dir(settings)
    found: dict[int, str] = {}  # by disk, so that a disk with both is named once
    full: list[str] = []
    for setting, folder in folders.items():
        there = next(path for path in (folder, *folder.parents) if path.exists())
        free, disk = shutil.disk_usage(there).free / 1e9, _device(there)
        moves_with_home = disk in found and folder.is_relative_to(settings.home.resolve())
        if free < NEEDED_GB_FREE and not moves_with_home:
            full.append(setting)
        found.setdefault(disk, f"{free:.1f} GB free at {folder}")
    remedy = f"Free some space, or set {' and '.join(full)} to a folder on another disk" if full else ""
    return Check("disk", "; ".join(found.values()), remedy)


def _device(folder: Path) -> int:
    return folder.stat().st_dev


def _contract(settings: Settings) -> Check:
    return _explained(
        "contract",
        lambda: f"{settings.source}: {len(read_contract(settings.contracts_dir, settings.source).tables)} tables",
    )


def _store(settings: Settings) -> Check:
    def look() -> str:
        for layer in LAYERS:
            open_store(settings, layer).folders(settings.source)
        where = settings.layer_url("landing").removesuffix("/landing")
        unproven = [layer for layer in LAYERS if not is_proven(settings, layer)]
        if not unproven:
            return where
        return (
            f"{where}; not yet proven to write safely, which the next command that writes does: {', '.join(unproven)}"
        )

    return _explained("store", look)


def _port(settings: Settings) -> Check:
    """Only another program on the embedded server's port is a fault."""
    if settings.target is not Target.EMBEDDED:
        return Check("port", f"{settings.postgres_port} of {settings.postgres_host}")
    from lakehouse.warehouse.embedded import server as embedded_postgres

    port = settings.postgres_port
    server = embedded_postgres.status(settings)
    if server is not None and server.port != port:
        remedy = f"Run `lakehouse stop` to move it, or set LAKEHOUSE_POSTGRES_PORT={server.port}"
        return Check("port", f"our server runs on {server.port}, LAKEHOUSE_POSTGRES_PORT is {port}", remedy)
    if server is not None:
        return Check("port", f"{port} (our server)")
    holder = embedded_postgres.port_holder(port)
    if holder is None:
        return Check("port", f"{port} (free)")
    free = port + 100 if port + 100 <= HIGHEST_PORT else port - 100
    return Check("port", f"{port} is used by {holder}", f"Set LAKEHOUSE_POSTGRES_PORT={free}, or stop it")


def _warehouse(settings: Settings) -> Check:
    if settings.target is Target.EMBEDDED:
        from lakehouse.warehouse.embedded import server as embedded_postgres

        if not embedded_postgres.is_running(settings):
            return Check("warehouse", "not running; any command that needs it starts it")

    def look() -> str:
        for role in ROLES[1:]:
            with warehouse.cursor(settings, role) as cursor:
                cursor.execute("show server_version")
                (version,) = cursor.fetchone() or ("?",)
        return f"Postgres {version}, database {settings.database_name}, every role can log in"

    return _explained("warehouse", look)


def _explained(name: str, look: Callable[[], str]) -> Check:
    """Turn a function whose errors already say what to do into a check."""
    try:
        return Check(name, look())
    except LakehouseError as error:
        finding, _, remedy = str(error).partition("\n")
        return Check(name, finding, remedy or "See docs/troubleshooting.md")


def _looked(settings: Settings, name: str, look: Callable[[], Check]) -> Check:
    """Report a check that crashes as a fault, so that the others go on. The setting `debug` shows the traceback."""
    try:
        return look()
    except Exception as error:
        if settings.debug:
            raise
        finding = f"cannot be checked: {type(error).__name__}: {error}"
        return Check(name, finding, "Fix what it names; LAKEHOUSE_DEBUG=1 lakehouse doctor shows where it broke")
