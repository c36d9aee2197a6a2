"""What is documented is what there is: generated pages are current, and nothing is missing from them or the README."""

import re
from pathlib import Path

import pytest
import typer

from lakehouse.cli import app
from lakehouse.contract import read_contract
from lakehouse.documentation import pages
from lakehouse.settings import PROJECT_DIR, Settings

PAGES = pages(Settings(source="olist"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(PROJECT_DIR).as_posix())
def test_a_generated_page_is_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == PAGES[path], "run `make docs`"


@pytest.mark.parametrize("name", [n for n, c in typer.main.get_group(app).commands.items() if not c.hidden])
def test_a_command_is_documented_with_an_example(name: str) -> None:
    command = typer.main.get_group(app).commands[name]

    assert f"## `lakehouse {name}`" in PAGES[PROJECT_DIR / "docs" / "commands.md"]
    assert re.search(r"Examples?:", command.help or "")
    assert f"lakehouse {name}" in (command.help or "")


def test_every_option_says_what_it_does() -> None:
    commands = typer.main.get_group(app).commands.values()

    mute = [
        f"{c.name} {p.name}" for c in commands for p in c.params if not getattr(p, "help", None) and p.name != "help"
    ]

    assert mute == []


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_every_make_target_has_its_line_of_help() -> None:
    makefile = (PROJECT_DIR / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))

    helped = set(re.findall(r"^([a-z-]+):.*?## .+", makefile, re.MULTILINE))

    assert helped == targets


@pytest.mark.parametrize("target", ["run", "test", "clean", "status", "doctor", "lint", "bench"])
def test_the_main_targets_are_in_the_readme(target: str) -> None:
    assert f"make {target}" in (PROJECT_DIR / "README.md").read_text()


def test_every_table_and_mart_is_on_the_page_of_tables() -> None:
    page = PAGES[PROJECT_DIR / "docs" / "tables.md"]
    models = [path.stem for path in (PROJECT_DIR / "dbt" / "models").rglob("*.sql")]
    tables = [table.name for table in read_contract(PROJECT_DIR / "contracts", "olist").tables]

    missing = [name for name in [*tables, *models] if f"### `{name}`" not in page]

    assert missing == []


def test_no_relative_link_of_the_docs_leads_nowhere() -> None:
    broken = [
        f"{page.relative_to(PROJECT_DIR)} -> {link}"
        for page in [*PROJECT_DIR.glob("*.md"), *(PROJECT_DIR / "docs").rglob("*.md")]
        for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / link).exists()
    ]

    assert broken == []
