"""Secrets folder -> one random password per role of the warehouse, each in a file that only this user can read."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from lakehouse.errors import SetupError
from lakehouse.settings import ROLES, Settings


def superuser_password_file(settings: Settings) -> Path:
    """The file with the password of the embedded server's superuser `postgres`. Only `prepare` logs in as this user."""
    return settings.secrets_path / "postgres_password"


def ensure_passwords(settings: Settings) -> None:
    """Make a random password for each role that has none, and one for the embedded server's superuser.

    An existing file stays as it is. Raises SetupError when the folder cannot be written.
    """
    files = [superuser_password_file(settings)]
    files += [settings.password_file(role) for role in ROLES if getattr(settings, f"{role}_password") is None]
    for file in files:
        try:
            _ensure_password(file)
        except OSError as error:
            raise SetupError(
                f"The password file {file} cannot be written or read: {error.strerror}.\n"
                "Give this user the folder (a run as root may have left it to root), or set LAKEHOUSE_SECRETS_DIR."
            ) from error


def _ensure_password(file: Path) -> None:
    if not file.parent.is_dir():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if file.is_file() and file.read_text().strip():
        return
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    try:
        with os.fdopen(descriptor, "w") as handle:
            handle.write(secrets.token_urlsafe(32) + "\n")
            handle.flush()
            os.fsync(handle.fileno())
        Path(name).replace(file)
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
