"""The lint of words to avoid: it finds whole words everywhere, and every exception must be needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.settings import PROJECT_DIR
from tools.lint import words

WORDS = """
skip = ["*.lock"]
[[word]]
avoid = "whilst"
write = "while"
[[word]]
avoid = "in order to"
write = "to"
"""
ALLOWED = """
[[allowed]]
file = "page.md"
line = "he said: whilst"
reason = "a quotation"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a list of two words, and nothing allowed."""
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / "words.toml").write_text(WORDS)
    (tmp_path / "words_allowed.toml").write_text("")
    (tmp_path / ".gitignore").write_text("words*.toml\n")
    monkeypatch.setattr(words, "HERE", tmp_path)
    monkeypatch.setattr(words, "PROJECT", tmp_path)
    return tmp_path


def test_a_word_is_named_with_its_place_and_what_to_write(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "page.md").write_text("Wait\nWhilst it runs, do nothing in order to see.\n")

    assert words.main([]) == 1
    assert capsys.readouterr().out == "page.md:2: Whilst -> while\npage.md:2: in order to -> to\n"


@pytest.mark.parametrize("name", ["a.py", "Dockerfile", "a.sql", "sub/program", "new_file.yml"])
def test_files_of_every_kind_are_read(project: Path, name: str) -> None:
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text("whilst")

    assert words.main([]) == 1


@pytest.mark.parametrize(
    "text",
    ["in order\nto see", "# in\n# order to", "    -- in order\n    -- to", "> in order\n> to", " * in order\n * to"],
    ids=["a paragraph", "shell or Python", "SQL", "Markdown", "Java"],
)
def test_a_phrase_is_found_across_lines(project: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (project / "page").write_text(text)

    assert words.main([]) == 1
    assert capsys.readouterr().out == "page:1: in order to -> to\n"


@pytest.mark.parametrize("text", ["whilstle", "awhilst", "whilst_loading", "in order\n\nto"])
def test_parts_of_words_and_of_paragraphs_are_not_found(project: Path, text: str) -> None:
    (project / "page.md").write_text(text)

    assert words.main([]) == 0


def test_binaries_and_skipped_files_are_not_read(project: Path) -> None:
    (project / "page.lock").write_text("whilst")
    (project / "page.bin").write_bytes(b"\0\xff whilst")

    assert words.main([]) == 0


def test_only_the_allowed_line_is_accepted(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "words_allowed.toml").write_text(ALLOWED)
    (project / "page.md").write_text("As he said: whilst.\nwhilst\n")
    (project / "other.md").write_text("As he said: whilst.\n")

    assert words.main([]) == 1
    assert capsys.readouterr().out == "other.md:1: whilst -> while\npage.md:2: whilst -> while\n"


def test_an_entry_that_allows_nothing_is_an_error(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "words_allowed.toml").write_text(ALLOWED)
    (project / "page.md").write_text("As he said: while. Not whilst.\n")

    assert words.main([]) == 1
    assert "allows nothing any more: page.md: he said: whilst" in capsys.readouterr().out


def test_it_can_read_only_some_files(project: Path) -> None:
    (project / "words_allowed.toml").write_text(ALLOWED)
    (project / "page.md").write_text("As he said: while.\n")
    (project / "good.md").write_text("while")

    assert words.main([str(project / "good.md")]) == 0


def test_hits_are_counted_by_file_the_most_first(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "one.md").write_text("whilst")
    (project / "two.md").write_text("whilst whilst")

    assert words.main(["--count"]) == 1
    assert capsys.readouterr().out == "    2 two.md\n    1 one.md\n"


def test_the_projects_own_lists_can_be_read() -> None:
    result = subprocess.run(
        [sys.executable, "-S", PROJECT_DIR / "tools/lint/words.py", "LICENSE"], capture_output=True, check=False
    )

    assert result.returncode == 0, result.stderr
