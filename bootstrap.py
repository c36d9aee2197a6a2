"""A bare checkout -> .venv with everything of uv.lock. Run by the Makefile, with whatever Python it found.

Standard library only, and readable by any Python 3, so that too old a Python gets a sentence and not a SyntaxError.

    python3 bootstrap.py          what `make run` needs
    python3 bootstrap.py --dev    what `make test` and `make lint` need, too
"""

import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys

UV = "uv==0.13.9"
OLDEST, NEWEST = (3, 11), (3, 13)
NEEDED_GB = 4.0  # .venv 1.6 GB (pyspark alone 0.5), uv's cache of the same, a build folder while pyspark is unpacked

HOMEBREW = "python@%d.%d" % NEWEST
NAME_ONE = "or name one: make PYTHON=/path/to/python3.12 ..."

PROJECT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(PROJECT, ".venv")
PLACE = ".place"  # in .venv: the path that it was made for


def main():
    """Exit with 0 once .venv is ready, else with 1 and one message that says what to do."""
    dev = "--dev" in sys.argv[1:]
    stamp = os.path.join(VENV, ".ready-dev" if dev else ".ready")
    wanted = lock_hash()
    python = os.path.join(VENV, "bin", "python")
    if read(stamp) == wanted and os.path.exists(python):
        return
    check_python()
    check_venv()
    check_java()
    check_disk()
    if not is_whole(python):
        say("Creating .venv with Python %d.%d" % sys.version_info[:2])
        run([sys.executable, "-m", "venv", "--clear", VENV], "The virtual environment could not be created.")
    write(os.path.join(VENV, PLACE), os.path.realpath(VENV))
    run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV],
        "uv could not be installed from PyPI. Without direct access set PIP_INDEX_URL to your mirror.",
    )
    say("Installing the locked packages (the first time takes a minute or two: pyspark is large)")
    command = [os.path.join(VENV, "bin", "uv"), "sync", "--locked", "--inexact", "--quiet"]
    command += [
        "--group",
        "spark",
        "--group",
        "marts",
        "--group",
        "embedded",
        "--group" if dev else "--no-group",
        "dev",
    ]
    run(command, "The packages of uv.lock could not be installed. Behind a mirror set UV_DEFAULT_INDEX.")
    for name in (".ready-dev", ".ready") if dev else (".ready",):
        write(os.path.join(VENV, name), wanted)


def check_python():
    """The Makefile looks for python3.13, 3.12, 3.11, python3 in this order: this one is the best there is."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        stop(
            "Python %d.%d to %d.%d is needed, this is %s (%s)."
            % (*OLDEST, *NEWEST, platform.python_version(), sys.executable),
            install_python(),
            NAME_ONE,
        )


def check_venv():
    """Debian and Ubuntu ship Python without venv and pip; no package mends a Python that is not the system's own."""
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        name = "python%d.%d" % sys.version_info[:2]
        stop(
            "This Python (%s) comes without venv and pip." % sys.executable,
            install(name + "-venv", name + "-pip", HOMEBREW) if sys.base_prefix == "/usr" else install_python(),
            NAME_ONE,
        )


def check_java():
    """Said before the long download, not after it."""
    sys.path.insert(0, PROJECT)
    sys.dont_write_bytecode = True
    from lakehouse.errors import SetupError
    from lakehouse.spark.java import find_java

    try:
        find_java()
    except SetupError as error:
        stop(str(error))


def check_disk():
    """Of the disk that holds the checkout; uv's cache is usually on the same."""
    free = shutil.disk_usage(PROJECT).free / 1e9
    if free < NEEDED_GB:
        stop(
            "%.1f GB are free where %s is, %.0f GB are needed." % (free, PROJECT, NEEDED_GB),
            "Free some space (`make clean` removes this project's data, `uv cache clean` old packages).",
        )


def is_whole(python):
    """False where .venv was moved (its scripts hold the old path), or killed while it was made (pip comes last)."""
    if read(os.path.join(VENV, PLACE)) not in (None, os.path.realpath(VENV)):
        return False
    command = [python, "-m", "pip", "--version"]
    try:
        return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def install_python():
    """The remedy for a Python that does not do: the newest one that this machine's package manager has."""
    names = ["python3.%d" % minor for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    known = [name for name in names if apt_knows(name + "-venv")]
    return install("%s %s-venv" % (known[0], known[0]) if known else None, "python3.12", HOMEBREW)


def install(debian, fedora, homebrew):
    """The command of the package manager that this machine has; `debian` is None where apt-get knows no package."""
    for program, packages in (("apt-get", debian), ("dnf", fedora), ("brew", homebrew)):
        if packages and shutil.which(program):
            sudo = "" if program == "brew" or os.geteuid() == 0 else "sudo "
            return "Run: %s%s install %s" % (sudo, program, packages)
    if shutil.which("apt-get"):
        return (
            "apt-get knows none: try again after `apt-get update`, install one from https://www.python.org/downloads,"
        )
    return "Install one with your system's package manager or from https://www.python.org/downloads,"


def apt_knows(package):
    """As in lakehouse/spark/java.py, which a Python that is too old cannot read."""
    command = ["apt-cache", "policy", package]
    try:
        answer = subprocess.check_output(command, env=dict(os.environ, LC_ALL="C"), stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return False
    return re.search(rb"Candidate: (?!\(none\))", answer) is not None


def run(command, failure):
    """Run a command in the project; stop with `failure` when it does not succeed."""
    environment = dict(os.environ, UV_PYTHON_DOWNLOADS="never", UV_PROJECT_ENVIRONMENT=VENV)
    if subprocess.call(command, cwd=PROJECT, env=environment) != 0:
        stop(failure, "What was run: " + " ".join(command))


def lock_hash():
    """Changes with the lock file, this file, and the place of the checkout (a moved .venv does not work)."""
    digest = hashlib.sha256(PROJECT.encode())
    for name in ("uv.lock", "pyproject.toml", "bootstrap.py"):
        with open(os.path.join(PROJECT, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def read(path):
    """Content of a small file, or None where there is none."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None


def write(path, content):
    """A small file, whatever was in it."""
    with open(path, "w") as file:
        file.write(content)


def say(text):
    """To people, not into a pipe."""
    sys.stderr.write(text + " ...\n")


def stop(*lines):
    """One message, then the end."""
    sys.stderr.write("\n".join(lines) + "\n")
    sys.exit(1)


if __name__ == "__main__":
    main()
