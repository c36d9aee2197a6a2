"""This machine -> the JDK that Spark runs on. Standard library only: bootstrap.py runs it before any installation."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from lakehouse.errors import SetupError

SUPPORTED = (17, 21)
REMEDY = "Install one (https://adoptium.net, or the package that README.md names), or set JAVA_HOME to one."
KEPT_IN = (
    "/usr/lib/jvm/*{version}*/bin/java",
    "/Library/Java/JavaVirtualMachines/*{version}*/Contents/Home/bin/java",
    "/opt/homebrew/opt/openjdk@{version}/bin/java",
    "/usr/local/opt/openjdk@{version}/bin/java",
)


def find_java() -> Path:
    """The `java` of a JDK 17 or 21: from JAVA_HOME, else the PATH, else the usual folders of macOS and Linux.

    Raises SetupError, which names what was found instead and where to get a JDK.
    """
    found: list[str] = []
    for java in _candidates():
        version = version_of(java)
        if version in SUPPORTED:
            return java
        found.append(f"{java} ({f'Java {version}' if version else 'does not start'})")
    seen = f" Found only: {', '.join(found)}." if found else ""
    raise SetupError(f"Spark needs a JDK 17 or 21.{seen}\n{REMEDY}")


def version_of(java: Path) -> int | None:
    """The major version. None if the program is no JDK or does not start (macOS has a placeholder that only prints)."""
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r'version "(?:1\.)?(\d+)', answer.stderr + answer.stdout)
    return int(match[1]) if match else None


def _candidates() -> list[Path]:
    places: list[Path] = []
    if home := os.environ.get("JAVA_HOME"):
        places.append(Path(home) / "bin" / "java")
    if on_path := shutil.which("java"):
        places.append(Path(on_path))
    for version in SUPPORTED:
        for pattern in KEPT_IN:
            places += sorted(Path("/").glob(pattern.format(version=version).lstrip("/")))
    return [java for java in dict.fromkeys(places) if java.is_file()]
