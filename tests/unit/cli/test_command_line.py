"""How the command line ends: what it shows of an error, and the exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lakehouse.cli import main
from lakehouse.errors import ConfigurationError
from lakehouse.settings import PROJECT_DIR, Settings


@pytest.fixture(autouse=True)
def dotenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Hide the developer's own settings; return the file that replaces `.env`."""
    for name in [name for name in os.environ if name.startswith("LAKEHOUSE_")]:
        monkeypatch.delenv(name)
    file = tmp_path / "dotenv"
    monkeypatch.setitem(Settings.model_config, "env_file", file)
    return file


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command line that fails with a LakehouseError and reads no settings."""
    monkeypatch.setattr(sys, "argv", ["lakehouse", "replay", str(tmp_path), str(tmp_path / "out")])


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize("debug", [None, "", "0", "false"])
def test_an_error_is_its_message_and_exit_code_1(
    debug: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if debug is not None:
        monkeypatch.setenv("LAKEHOUSE_DEBUG", debug)

    with pytest.raises(SystemExit) as end:
        main()

    shown = capsys.readouterr()
    assert end.value.code == 1
    assert "is not the Olist archive" in shown.err
    assert shown.out == ""


@pytest.mark.usefixtures("failing")
def test_the_setting_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_DEBUG", "1")

    with pytest.raises(ConfigurationError, match="is not the Olist archive"):
        main()


@pytest.mark.usefixtures("failing")
def test_debug_is_read_from_dotenv_and_the_environment_takes_precedence(
    dotenv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dotenv.write_text("LAKEHOUSE_DEBUG=true\n")

    with pytest.raises(ConfigurationError, match="is not the Olist archive"):
        main()

    monkeypatch.setenv("LAKEHOUSE_DEBUG", "0")
    with pytest.raises(SystemExit, match="1"):
        main()


def test_debug_works_when_other_settings_are_invalid(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["lakehouse", "doctor"])
    monkeypatch.setenv("LAKEHOUSE_TARGET", "cloud")

    with pytest.raises(SystemExit) as end:
        main()

    assert end.value.code == 1
    assert "LAKEHOUSE_TARGET" in capsys.readouterr().err
    monkeypatch.setenv("LAKEHOUSE_DEBUG", "1")
    with pytest.raises(ConfigurationError, match="LAKEHOUSE_TARGET"):
        main()


def test_an_invalid_debug_setting_is_reported_like_any_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["lakehouse", "doctor"])
    monkeypatch.setenv("LAKEHOUSE_DEBUG", "perhaps")

    with pytest.raises(SystemExit) as end:
        main()

    assert end.value.code == 1
    assert "LAKEHOUSE_DEBUG" in capsys.readouterr().err


def test_ctrl_c_ends_with_exit_code_130_and_says_what_is_kept(tmp_path: Path) -> None:
    words = ["generate", str(tmp_path / "batches"), "--days", "300", "--scale", "5"]
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "lakehouse"), *words],
        cwd=PROJECT_DIR,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / ".batches.partial").exists() and time.monotonic() < deadline:
            time.sleep(0.05)

        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()

    assert process.returncode == 130
    assert errors == "Interrupted. What was finished stays; run the command again to go on.\n"
    assert output == ""
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_needs_no_spark_does_not_wait_for_its_import() -> None:
    modules = "sys, lakehouse.pipeline.run, lakehouse.pipeline.maintain, lakehouse.cli"
    everything = f"import {modules}; print('pyspark' in sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", everything], cwd=PROJECT_DIR, capture_output=True, text=True, check=True
    )

    assert done.stdout == "False\n"
