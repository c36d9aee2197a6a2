"""spark/jars.lock -> the jars it lists, in `settings.jars_path`, each checked against its SHA-256.

The lock has two parts: `delta`, which every session needs, and `s3`, which only a lake on an S3 store needs.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import SetupError
from lakehouse.settings import PROJECT_DIR, Settings

LOCK = PROJECT_DIR / "spark" / "jars.lock"
TIMEOUT_SECONDS = 60
PARALLEL_DOWNLOADS = 8


@dataclass(frozen=True)
class Jar:
    """A line of the lock. `part` is `delta` or `s3`."""

    part: str
    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def name(self) -> str:
        """File name of the jar."""
        return f"{self.artifact}-{self.version}.jar"

    @property
    def path(self) -> str:
        """The jar's path below the root of a Maven repository."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.name}"


def ensure_jars(settings: Settings, parts: Iterable[str] | None = None) -> list[Path]:
    """The jars of these parts of the lock (unset: the parts that the settings need). Fetches missing jars.

    Raises SetupError, which names every jar that could not be fetched or differs from the lock.
    """
    wanted = set(needed_parts(settings) if parts is None else parts)
    jars = [jar for jar in read_lock() if jar.part in wanted]
    folder = settings.jars_path
    missing = [jar for jar in jars if not is_intact(jar, folder)]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
            faults = [fault for fault in pool.map(lambda jar: _fetch(settings, jar, folder), missing) if fault]
        if faults:
            raise SetupError(
                "\n".join(
                    [
                        f"{len(faults)} of the jars that Spark needs could not be had from {settings.maven_url}:",
                        *(f"  {fault}" for fault in sorted(faults)),
                        "Check the network, or set LAKEHOUSE_MAVEN_URL to a mirror of Maven Central, and run it again.",
                    ]
                )
            )
    return [folder / jar.name for jar in jars]


def needed_parts(settings: Settings) -> tuple[str, ...]:
    """The parts of the lock that a session with these settings needs on this machine."""
    if settings.spark_remote:
        return ()
    on_s3 = any(url.startswith("s3://") for url in (settings.layer_url("bronze"), settings.layer_url("silver")))
    return ("delta", "s3") if on_s3 else ("delta",)


def read_lock(lock: Path = LOCK) -> list[Jar]:
    """The jars of the lock, in its order. Raises SetupError for an invalid line."""
    jars: list[Jar] = []
    part = ""
    for line in lock.read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"# (delta|s3)", line):
            part = match[1]
        elif match := re.fullmatch(r"([0-9a-f]{64})  ([\w.-]+):([\w.-]+):([\w.-]+)", line):
            sha256, group, artifact, version = match.groups()
            jars.append(Jar(part, group, artifact, version, sha256))
        elif line.strip() and not line.startswith("#"):
            raise SetupError(f"{lock} has a line that is not `sha256  group:artifact:version`: {line}")
    return jars


def is_intact(jar: Jar, folder: Path) -> bool:
    """Whether the folder has the jar, with the checksum of the lock."""
    try:
        with (folder / jar.name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


def _fetch(settings: Settings, jar: Jar, folder: Path) -> str | None:
    """Put the jar into the folder, whole or not at all. Returns the fault if that failed."""
    url = f"{settings.maven_url.rstrip('/')}/{jar.path}"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 - a setting of the user
            content: bytes = response.read()
    except urllib.error.HTTPError as error:
        return f"{jar.name}: {error.code} {error.reason}"
    except (OSError, urllib.error.URLError, ValueError) as error:
        return f"{jar.name}: {getattr(error, 'reason', None) or error}"
    found = hashlib.sha256(content).hexdigest()
    if found != jar.sha256:
        return f"{jar.name}: its SHA-256 is {found}, spark/jars.lock says {jar.sha256}"
    try:
        descriptor, part = tempfile.mkstemp(dir=folder, prefix=f".{jar.name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(part).chmod(0o644)
        Path(part).replace(folder / jar.name)
    except OSError as error:
        return f"{jar.name}: cannot be written to {folder}: {error.strerror or error}"
    return None
