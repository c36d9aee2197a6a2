"""docs/guarantees.md names the tests that enforce each property: they exist, and a mutant shows that they can fail."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from lakehouse.settings import PROJECT_DIR
from tools.mutants.patches import read_mutants

PAGE = PROJECT_DIR / "docs" / "guarantees.md"
TEXT = PAGE.read_text(encoding="utf-8")
PROPERTIES = re.findall(r"^## (\d+\. .+)$", TEXT, re.MULTILINE)
SECTIONS = dict(zip(PROPERTIES, re.split(r"^## .+$", TEXT, flags=re.MULTILINE)[1:], strict=True))


def _named(section: str) -> list[tuple[Path, str]]:
    """File and function of each test that an item of a list names: `- [text](file): names`, over several lines."""
    items = re.findall(r"^- \[[^\]]+\]\(([^)]+)\):((?:.|\n  )+)", section, re.MULTILINE)
    return [((PAGE.parent / file).resolve(), name) for file, names in items for name in re.findall(r"`(\w+)`", names)]


def _functions(file: Path) -> set[str]:
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_there_are_nine_properties_in_order() -> None:
    assert [int(title.partition(".")[0]) for title in PROPERTIES] == list(range(1, 10))


@pytest.mark.parametrize("title", PROPERTIES)
def test_a_property_is_enforced_by_tests_that_exist(title: str) -> None:
    named = _named(SECTIONS[title])

    missing = [
        f"{file.relative_to(PROJECT_DIR)}: {name}"
        for file, name in named
        if not file.is_file() or name not in _functions(file)
    ]

    assert named
    assert missing == []


@pytest.mark.parametrize("title", PROPERTIES)
def test_no_test_is_named_without_the_file_that_it_is_in(title: str) -> None:
    section = SECTIONS[title]

    assert re.findall(r"`(test_\w+)`", section) == [name for _, name in _named(section)]


@pytest.mark.parametrize("title", PROPERTIES)
def test_a_property_has_a_mutant_that_a_test_named_under_it_kills(title: str) -> None:
    number = int(title.partition(".")[0])
    named = {f"{file.relative_to(PROJECT_DIR).as_posix()}::{name}" for file, name in _named(SECTIONS[title])}

    mutants = [mutant for mutant in read_mutants(PROJECT_DIR) if number in mutant.properties]

    assert mutants
    assert [killer for mutant in mutants for killer in mutant.killers if killer.partition("[")[0] not in named] == []
