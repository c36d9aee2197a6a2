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

UV = "uv==0.13.9"  # installed where the PATH has none, or an older one; the images read it here, too
OLDEST, NEWEST = (3, 11), (3, 13)
NEEDED_GB = 4.0  # .venv 1.6 GB (pyspark alone 0.5), uv's cache of the same, a build folder while pyspark is unpacked
ANOTHER_PYTHON = (
    "Install one that has venv (https://www.python.org/downloads, or the packages that README.md names),\n"
    "or name one: make PYTHON=/path/to/python3.12 ..."
)

PROJECT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(PROJECT, ".venv")
PLACE = ".place"  # in .venv: the path that it was made for


def main():
    """Exit with 0 once .venv is ready, else with 1 and one message that says what to do."""
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
    command += ["--group=spark", "--group=marts", "--group=embedded", "--group=dev" if dev else "--no-group=dev"]
    say("Installing the locked packages (the first time takes a minute or two: pyspark is large) ...")
    run(command, "The packages of uv.lock could not be installed. Behind a mirror set UV_DEFAULT_INDEX.")
    for stamp in (ready + "-dev", ready) if dev else (ready,):
        write(stamp, wanted)
    if is_first:
        say("Ready: .venv/bin/lakehouse (`source .venv/bin/activate` makes it `lakehouse` in this shell)")


def check_machine():
    """What is missing is said before the long download, not after it."""
    # The Makefile looks for python3.13, 3.12, 3.11, python3 in this order: this one is the best there is.
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        found = (platform.python_version(), sys.executable)
        stop("Python %d.%d to %d.%d is needed, this is %s (%s)." % (OLDEST + NEWEST + found), ANOTHER_PYTHON)
    # As Debian and Ubuntu ship it.
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        stop("This Python (%s) comes without venv and pip." % sys.executable, ANOTHER_PYTHON)
    # The package's own search for a JDK, which needs nothing installed.
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
    """False where .venv was moved (its scripts hold the old path), or killed while it was made (pip comes last)."""
    if read(os.path.join(VENV, PLACE)) not in (None, os.path.realpath(VENV)):
        return False
    command = [python, "-m", "pip", "--version"]
    try:
        return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def find_uv():
    """The uv on the PATH, or None where there is none, or one older than UV."""
    try:
        answer = subprocess.check_output(["uv", "--version"], stderr=subprocess.DEVNULL).decode()
    except (OSError, subprocess.CalledProcessError):
        return None
    found, needed = [[int(number) for number in re.findall(r"\d+", text)[:3]] for text in (answer, UV)]
    return "uv" if found >= needed else None


def install_uv(python):
    """Into .venv; its path."""
    run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV],
        "uv could not be installed from PyPI. Without direct access set PIP_INDEX_URL to your mirror.",
    )
    return os.path.join(VENV, "bin", "uv")


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
    with open(path, "w") as file:
        file.write(content)


def say(text):
    """To people, not into a pipe."""
    sys.stderr.write(text + "\n")


def stop(*lines):
    """One message, then the end."""
    sys.exit("\n".join(lines))


if __name__ == "__main__":
    main()
