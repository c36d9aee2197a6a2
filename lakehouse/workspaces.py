"""A home -> a folder per workspace and the name of the last workspace. A home of version 0.1.0 is converted."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from lakehouse.errors import ConfigurationError
from lakehouse.settings import Settings

# Version 0.1.0 called a workspace a state. Every state that a run used contains at least one of these folders.
OF_AN_OLD_STATE = ("lake", "dbt", "logs", "source")


def load_settings(*, workspace: str | None = None, otherwise: str | None = None) -> Settings:
    """The settings of a command or a task; see `Settings.load`. A home of version 0.1.0 is converted first.

    Raises ConfigurationError if a setting is wrong, or the home cannot be converted.
    """
    settings = Settings.load(workspace=workspace, otherwise=otherwise)
    if take_over(settings.home):
        settings = Settings.load(workspace=workspace, otherwise=otherwise)
    return settings


def remember(settings: Settings) -> None:
    """Make this workspace the one that later commands without `--workspace` act on."""
    settings.home.mkdir(parents=True, exist_ok=True)
    last = settings.home / "last_workspace"
    part = last.with_suffix(".part")
    part.write_text(settings.workspace_name + "\n")
    part.replace(last)


def take_over(home: Path) -> bool:
    """Rename `states/` to `workspaces/` and `last_state` to `last_workspace`. Returns whether anything was renamed.

    Only what version 0.1.0 made is renamed, since the folder may have other uses, too. Two processes may call this at
    the same time.
    Raises ConfigurationError if a workspace exists under both names, or the home cannot be written.
    """
    old, new = home / "states", home / "workspaces"
    renames = [(home / "last_state", home / "last_workspace")] if (home / "last_state").is_file() else []
    if old.is_symlink() and old.is_dir() and not new.exists():
        renames.append((old, new))
    elif old.is_dir():
        renames += [(state, new / state.name) for state in sorted(old.iterdir()) if _is_old_state(state)]
    for source, target in renames:
        if target.is_dir():
            raise ConfigurationError(
                f"{source} and {target} are both there: version 0.1.0, which calls a workspace a state, was used after "
                "this one.\nRemove the one that you do not need, then run the same command again."
            )
        try:
            target.parent.mkdir(exist_ok=True)
            with suppress(FileNotFoundError):  # another process was faster
                source.rename(target)
        except OSError as error:
            raise ConfigurationError(
                f"{source} cannot be renamed to {target}: {error.strerror}.\nGive this user the permission to write "
                f"{home}, then run the same command again."
            ) from error
    with suppress(OSError):  # the folder does not exist, or contains other files
        old.rmdir()
    return bool(renames)


def _is_old_state(folder: Path) -> bool:
    is_named_so = re.fullmatch(r"[a-z][a-z0-9_]{0,40}", folder.name) is not None
    return is_named_so and folder.is_dir() and any((folder / name).is_dir() for name in OF_AN_OLD_STATE)
