"""A bare checkout -> .venv with the packages of uv.lock. The Makefile runs it, with the Python that it found.

Standard library only, and readable by any Python 3, so that too old a Python gets a sentence and not a SyntaxError.

    python3 bootstrap.py          what `make run` needs
    python3 bootstrap.py --dev    also what `make test` and `make lint` need
"""

import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 13)
NEEDED_GB = 4.0  # .venv 1.6 GB (pyspark alone 0.5), uv's cache of the same, a build folder while pyspark is unpacked
ANOTHER_PYTHON = (
    "Install one that has venv (https://www.python.org/downloads, or the packages that README.md names),\n"
    "or name one: make PYTHON=/path/to/python3.12 ..."
)

PROJECT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(PROJECT, ".venv")
UV = os.path.join(PROJECT, "uv.txt")  # its version and hashes
PLACE = ".place"  # in .venv: the path that it was created for


def main():
    """Make .venv ready; else exit with 1 and one message that says what to do."""
    dev = "--dev" in sys.argv[1:]
    python = os.path.join(VENV, "bin", "python")
    ready = os.path.join(VENV, ".ready")
    wanted = lock_hash()
    if read(ready + "-dev" if dev else ready) == wanted and os.path.exists(python):
        return
    check_machine()
    if not is_whole(python):
        say("Creating .venv with Python %d.%d ..." % sys.version_info[:2])
        run([sys.executable, "-m", "venv", "--clear", VENV], "The virtual environment could not be created.")
    write(os.path.join(VENV, PLACE), os.path.realpath(VENV))
    is_first = read(ready) is None
    command = [find_uv() or install_uv(python), "sync", "--locked", "--inexact", "--quiet"]
    command += ["--group=spark", "--group=marts", "--group=report", "--group=embedded"]
    command += ["--group=dev" if dev else "--no-group=dev"]
    say("Installing the locked packages (the first time takes a minute or two: pyspark is large) ...")
    run(command, "The packages of uv.lock could not be installed. Behind a mirror set UV_DEFAULT_INDEX.")
    for stamp in (ready + "-dev", ready) if dev else (ready,):
        write(stamp, wanted)
    if is_first:
        say("Ready: .venv/bin/lakehouse (`source .venv/bin/activate` makes it `lakehouse` in this shell)")


def check_machine():
    """Report what is missing before the long download, not after it."""
    # The Makefile has searched for python3.13, 3.12, 3.11, python3 in this order: there is no better one on the PATH.
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        found = (platform.python_version(), sys.executable)
        stop("Python %d.%d to %d.%d is needed, this is %s (%s)." % (OLDEST + NEWEST + found), ANOTHER_PYTHON)
    # Debian and Ubuntu package these separately.
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        stop("This Python (%s) comes without venv and pip." % sys.executable, ANOTHER_PYTHON)
    # The package searches for a JDK itself; these modules need no installed packages.
    sys.path.insert(0, PROJECT)
    sys.dont_write_bytecode = True
    from lakehouse.errors import SetupError
    from lakehouse.spark.java import find_java

    try:
        find_java()
    except SetupError as error:
        stop(str(error))
    free = shutil.disk_usage(PROJECT).free / 1e9  # uv's cache is usually on the same disk
    if free < NEEDED_GB:
        stop(
            "%.1f GB are free where %s is, %.0f GB are needed." % (free, PROJECT, NEEDED_GB),
            "Free some space (`make clean` removes this project's data, `uv cache clean` old packages).",
        )


def is_whole(python):
    """False if .venv was moved (its scripts contain the old path) or its creation was killed (pip comes last)."""
    if read(os.path.join(VENV, PLACE)) not in (None, os.path.realpath(VENV)):
        return False
    command = [python, "-m", "pip", "--version"]
    try:
        return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def find_uv():
    """The uv on the PATH; None if there is none or only one older than that of uv.txt."""
    try:
        answer = subprocess.check_output(["uv", "--version"], stderr=subprocess.DEVNULL).decode()
    except (OSError, subprocess.CalledProcessError):
        return None
    wanted = re.search("uv==(.*)", read(UV)).group(1)
    found, needed = [[int(number) for number in re.findall(r"\d+", text)[:3]] for text in (answer, wanted)]
    return "uv" if found >= needed else None


def install_uv(python):
    """Install it into .venv and return its path."""
    run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", UV],
        "uv could not be installed from PyPI. Without direct access set PIP_INDEX_URL to your mirror.",
    )
    return os.path.join(VENV, "bin", "uv")


def run(command, failure):
    """Run a command in the project; stop with `failure` when it does not succeed."""
    environment = dict(os.environ, UV_PYTHON_DOWNLOADS="never", UV_PROJECT_ENVIRONMENT=VENV)
    if subprocess.call(command, cwd=PROJECT, env=environment) != 0:
        stop(failure, "The command was: " + " ".join(command))


def lock_hash():
    """Changes with uv.lock, pyproject.toml, this file, and the checkout's path (a moved .venv does not work)."""
    digest = hashlib.sha256(PROJECT.encode())
    for name in ("uv.lock", "pyproject.toml", "bootstrap.py"):
        with open(os.path.join(PROJECT, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def read(path):
    """The content of a small file; None if it does not exist."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None


def write(path, content):
    with open(path, "w") as file:
        file.write(content)


def say(text):
    """Print to stderr, so that a pipe does not receive it."""
    sys.stderr.write(text + "\n")


def stop(*lines):
    """Print one message and exit with 1."""
    sys.exit("\n".join(lines))


if __name__ == "__main__":
    main()
