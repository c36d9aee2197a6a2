"""java.py takes the first suitable JDK. If there is none, the error names what was found, and the remedy."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.errors import SetupError
from lakehouse.spark import java
from lakehouse.spark.java import find_java

Program = Callable[[Path, str], Path]
JDK = "echo 'openjdk version \"{version}\" 2025-04-15' >&2"
JDK_8, JDK_17, JDK_21, JDK_25 = (JDK.format(version=version) for version in ("1.8.0_402", "17.0.15", "21.0.7", "25"))


@pytest.fixture(autouse=True)
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Write a shell script. The machine has nothing else: an empty PATH, no JAVA_HOME, no system folders."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(java, "KEPT_IN", (f"{tmp_path}/jvm/*{{version}}*/bin/java",))

    def write(path: Path, script: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return write


def test_without_java_the_suitable_versions_are_named() -> None:
    with pytest.raises(
        SetupError, match=r"^Spark needs a JDK 17 or 21\.\nInstall one \(https://.*\), or set JAVA_HOME to one\.$"
    ):
        find_java()


@pytest.mark.parametrize("jdk", [JDK_17, JDK_21], ids=["17", "21"])
def test_the_java_on_the_path_is_used(jdk: str, tmp_path: Path, program: Program) -> None:
    on_path = program(tmp_path / "bin" / "java", jdk)

    assert find_java() == on_path


@pytest.mark.parametrize(
    ("jdk", "seen"),
    [(JDK_8, "Java 8"), (JDK_25, "Java 25"), ("exit 1", "does not start")],
    ids=["too old", "too new", "a placeholder"],
)
def test_an_unsuitable_java_is_named(jdk: str, seen: str, tmp_path: Path, program: Program) -> None:
    on_path = program(tmp_path / "bin" / "java", jdk)

    with pytest.raises(SetupError, match=re.escape(f"Found only: {on_path} ({seen}).")):
        find_java()


def test_java_home_comes_before_the_path(tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin" / "java", JDK_17)
    at_home = program(tmp_path / "home" / "bin" / "java", JDK_21)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))

    assert find_java() == at_home


@pytest.mark.parametrize("jdk", [JDK_8, None], ids=["an old one", "no folder"])
def test_a_wrong_java_home_is_skipped(
    jdk: str | None, tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    if jdk:
        program(tmp_path / "home" / "bin" / "java", jdk)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    on_path = program(tmp_path / "bin" / "java", JDK_17)

    assert find_java() == on_path


def test_every_unsuitable_java_is_named(tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    at_home = program(tmp_path / "home" / "bin" / "java", JDK_8)
    on_path = program(tmp_path / "bin" / "java", JDK_25)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))

    with pytest.raises(SetupError, match=re.escape(f"{at_home} (Java 8), {on_path} (Java 25).")):
        find_java()


def test_the_systems_folder_is_searched(tmp_path: Path, program: Program) -> None:
    program(tmp_path / "bin" / "java", JDK_25)
    kept = program(tmp_path / "jvm" / "java-21-openjdk" / "bin" / "java", JDK_21)

    assert find_java() == kept
