"""What all suites have in common."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.settings import Settings

KEPT_SETTINGS = {"LAKEHOUSE_MAVEN_URL", "LAKEHOUSE_JARS_DIR"}

# A shell that starts the tests in the background has it ignored, in all programs that they start, too.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests begin first: one that begins last keeps one worker busy while the other has nothing left to do."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes name no test: a compressed file holds the time, and two workers must find the same names."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def jars_dir() -> Path:
    """The jars of this checkout: fetched once, not once per test session."""
    return Settings.load().jars_path


@pytest.fixture(scope="session")
def no_settings_of_the_developer(jars_dir: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("LAKEHOUSE_") and name not in KEPT_SETTINGS]:
            patch.delenv(name)
        maven_url = Settings.load().maven_url
        patch.setenv("LAKEHOUSE_MAVEN_URL", maven_url)
        patch.setitem(Settings.model_config, "env_file", None)
        yield
