"""The pictures of the README are those of this project: drawn from what it holds now, dated, and all in use."""

import hashlib
import json
import re

import pytest

from lakehouse.settings import PROJECT_DIR
from tests.support.archive import ARCHIVE_MARTS, ARCHIVE_ROWS
from tools.pictures.album import FOLDER, read_list
from tools.pictures.architecture import architecture_svg
from tools.pictures.diagrams import Diagram, diagrams
from tools.pictures.drawn import DARK, LIGHT, hash_in, source_hash
from tools.pictures.terminal import terminal_svg

README = (PROJECT_DIR / "README.md").read_text(encoding="utf-8")
DIAGRAMS = diagrams()
DRAWN = {"architecture.svg", *(f"{diagram.name}.svg" for diagram in DIAGRAMS)}
PICTURES = {path.name for path in FOLDER.iterdir() if path.suffix in (".svg", ".png")}
FIGURES = json.loads((FOLDER / "figures.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("diagram", DIAGRAMS, ids=lambda diagram: diagram.name)
def test_a_diagram_is_drawn_from_what_the_project_holds_now(diagram: Diagram) -> None:
    drawn = (FOLDER / f"{diagram.name}.svg").read_text(encoding="utf-8")

    assert hash_in(drawn) == source_hash(diagram.dot), "run `make pictures ARGS=diagrams` (needs graphviz)"


def test_the_architecture_is_drawn_as_its_script_says() -> None:
    drawn = (FOLDER / "architecture.svg").read_text(encoding="utf-8")

    assert drawn == architecture_svg(), "run `make pictures ARGS=diagrams` (needs graphviz)"


def test_the_source_s_diagram_joins_all_nine_tables() -> None:
    dot = next(diagram.dot for diagram in DIAGRAMS if diagram.name == "source-model")
    edges = re.findall(r"^_(\w+):\w+:e -> _(\w+):\w+:w", dot, re.MULTILINE)

    joined, more = {"orders"}, True
    while more:
        reached = joined | {end for edge in edges if joined & set(edge) for end in edge}
        joined, more = reached, reached != joined
    assert joined == set(ARCHIVE_ROWS)


def test_the_star_has_every_fact_and_dimension() -> None:
    dot = next(diagram.dot for diagram in DIAGRAMS if diagram.name == "star-schema")

    assert set(re.findall(r"^_(\w+) \[label", dot, re.MULTILINE)) == set(ARCHIVE_MARTS)


def test_a_colour_has_one_use_so_that_a_dark_page_can_replace_it() -> None:
    assert len(set(LIGHT.values())) == len(LIGHT)
    assert LIGHT.keys() == DARK.keys()


def test_no_picture_asks_an_address_outside() -> None:
    asking = [
        path.name
        for path in FOLDER.glob("*.svg")
        if re.search(r"(href|src)=|url\(\s*['\"]?http|@import", path.read_text(encoding="utf-8").replace("xmlns", ""))
    ]

    assert asking == []


def test_each_picture_of_a_moment_says_when_and_of_which_version_it_is() -> None:
    listed = read_list(FOLDER)

    assert set(listed) == PICTURES - DRAWN
    for name, entry in listed.items():
        assert re.fullmatch(r"\d{4}-\d\d-\d\d, version [\d.]+ \([0-9a-f]{7,}\)", entry["taken"]), name
        assert entry["shows"]
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == entry["sha256"], name
        if name.endswith(".svg"):
            assert entry["taken"] in (FOLDER / name).read_text(encoding="utf-8").replace("&#160;", " ")


def test_every_picture_is_shown_and_every_shown_picture_exists() -> None:
    pages = [PROJECT_DIR / "README.md", *(PROJECT_DIR / "docs").glob("*.md")]
    shown = {
        name
        for page in pages
        for name in re.findall(r"pictures/([\w-]+\.(?:svg|png))", page.read_text(encoding="utf-8"))
    }

    assert shown == PICTURES


def test_the_pictures_stay_small() -> None:
    assert sum((FOLDER / name).stat().st_size for name in PICTURES) < 3_000_000


def test_the_readme_s_counts_of_the_marts_are_those_of_a_run() -> None:
    assert _rows_of_table("marts") == {name: [str(rows)] for name, rows in FIGURES["marts"].items()}


def test_the_readme_s_counts_of_the_source_are_those_of_a_run() -> None:
    counts = ("records", "rejected", "duplicates", "quarantined", "loaded")
    tables = FIGURES["source_tables"]

    expected = {name: [str(found[count]) for count in counts] for name, found in tables.items()}
    expected["all"] = [str(sum(found[count] for found in tables.values())) for count in counts]
    assert _rows_of_table("source") == expected
    assert all(found["superseded"] == 0 for found in tables.values())


def test_that_run_counted_what_every_run_on_the_archive_counts() -> None:
    assert FIGURES["marts"] == {name: rows for name, (rows, _) in ARCHIVE_MARTS.items()}
    assert {name: found["records"] for name, found in FIGURES["source_tables"].items()} == ARCHIVE_ROWS


def test_a_terminal_s_picture_has_the_output_and_the_caption() -> None:
    svg = terminal_svg("run", "make run <data>", "table  rows\norders {5}\n\x1b[31mheld\x1b[0m", "A run · 2018-01-05")

    assert svg == terminal_svg(
        "run", "make run <data>", "table  rows\norders {5}\n\x1b[31mheld\x1b[0m", "A run · 2018-01-05"
    )
    assert "A run · 2018-01-05</text>" in svg
    text = re.sub(r"<[^>]+>", "", svg).replace("&#160;", " ")
    assert "make run &lt;data&gt;" in text
    assert "orders {5}" in text
    assert "held" in text


def _rows_of_table(name: str) -> dict[str, list[str]]:
    """First cell of each row of a table of the README -> its numbers, without separators."""
    found = re.search(rf"<!-- figures: {name} -->\n(.*?)<!-- figures: end -->", README, re.DOTALL)
    assert found
    rows = {}
    for line in found[1].splitlines()[2:]:
        first, *others = (cell.strip() for cell in line.strip("|").split("|"))
        rows[first.strip("`")] = [cell.replace(",", "") for cell in others if re.fullmatch(r"[\d,]+", cell)]
    return rows
