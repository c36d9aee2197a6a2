"""The documentation matches the project: generated pages are current, and neither they nor the README lack anything."""

import re
import shutil
from pathlib import Path

import pytest
import typer
import yaml

from lakehouse.cli import app
from lakehouse.contract.odcs import read_contract
from lakehouse.settings import PROJECT_DIR, Settings
from tools.generate import pages
from tools.generate.commands import make_page
from tools.generate.dbt_graph import FILE, models_read, python_module

DOCS = PROJECT_DIR / "docs"
PAGES = pages(Settings(source="olist"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(PROJECT_DIR).as_posix())
def test_a_generated_page_is_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == PAGES[path], "run `make docs`"


def test_airflow_s_picture_of_the_models_is_current() -> None:
    found = python_module(models_read(PROJECT_DIR / "dbt"))

    assert (PROJECT_DIR / FILE).read_text(encoding="utf-8") == found, "run `make docs`"


@pytest.mark.parametrize("name", [n for n, c in typer.main.get_group(app).commands.items() if not c.hidden])
def test_a_command_is_documented_with_an_example(name: str) -> None:
    command = typer.main.get_group(app).commands[name]

    assert f"## `lakehouse {name}`" in PAGES[DOCS / "commands.md"]
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


MAKEFILE = (PROJECT_DIR / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("target", sorted(set(re.findall(r"^([\w.-]+):(?!=)", MAKEFILE, re.MULTILINE)) - {".PHONY"}))
def test_a_make_target_is_documented(target: str) -> None:
    assert re.search(rf"^\| `make {re.escape(target)}` \|.* [^ |]+ \|$", PAGES[DOCS / "make.md"], re.MULTILINE)


def test_every_variable_that_a_make_target_takes_is_documented() -> None:
    own = set(re.findall(r"^(\w+) :=", MAKEFILE, re.MULTILINE)) | {"MAKEFILE_LIST"}
    taken = set(re.findall(r"\$\((\w+)\)", MAKEFILE)) - own

    assert {name for name in taken if f"\n| `{name}` |" in PAGES[DOCS / "make.md"]} == taken
    assert taken == {
        "DATA",
        "QUERY",
        "TARGET",
        "FROM",
        "TO",
        "SERVICE",
        "DIR",
        "NAME",
        "PORT",
        "ARGS",
        "OPEN",
        "PYTHON",
    }


def test_a_make_target_takes_the_variables_of_its_recipe_and_of_what_runs_before(tmp_path: Path) -> None:
    makefile = tmp_path / "Makefile"
    makefile.write_text(
        "##@ Use it\nrun: setup  ## Go\n\t@echo $(DATA)\n\nsetup:  ## Prepare\n\t@$(PYTHON) x.py\n\n"
        "##@ Variables\n## DATA  what\n## PYTHON  with what\n"
    )

    page = make_page(makefile)

    assert "| `make run` | `DATA`, `PYTHON` | Go |" in page
    assert "| `make setup` | `PYTHON` | Prepare |" in page


@pytest.mark.parametrize("target", ["run", "test", "clean", "status", "doctor", "lint", "bench"])
def test_the_main_targets_are_in_the_readme(target: str) -> None:
    assert f"make {target}" in (PROJECT_DIR / "README.md").read_text()


def test_every_table_and_mart_is_on_the_page_of_tables() -> None:
    page = PAGES[DOCS / "tables.md"]
    models = [path.stem for path in (PROJECT_DIR / "dbt" / "models").rglob("*.sql")]
    tables = [table.name for table in read_contract(PROJECT_DIR / "contracts", "olist").tables]

    missing = [name for name in [*tables, *models] if f"### `{name}`" not in page]

    assert missing == []


def test_a_yml_beside_each_dbt_model_describes_it_and_holds_its_unit_tests() -> None:
    described = {}
    for path in sorted((PROJECT_DIR / "dbt" / "models").rglob("*.sql")):
        content = yaml.safe_load(path.with_suffix(".yml").read_text(encoding="utf-8"))
        tested = [test["model"] for test in content.get("unit_tests", [])]
        described[path.stem] = {model["name"] for model in content["models"]}.union(tested)

    assert described == {name: {name} for name in described}


def test_the_pages_are_the_same_whatever_source_is_set() -> None:
    assert pages(Settings(source="another")) == PAGES


SHELF = """
apiVersion: v3.2.0
kind: DataContract
id: shelf
name: Shelf
version: 1.0.0
status: active
schema:
  - name: shelves
    properties:
      - name: room
        physicalType: text
        description: Where it is.
        quality: [{metric: invalidValues, arguments: {validValues: [a, b]}, mustBe: 0, severity: warning}]
      - {name: shelf_id, physicalType: text, primaryKey: true}
  - name: books
    properties:
      - {name: isbn, physicalType: text, primaryKey: true}
      - {name: price, physicalType: "decimal(12,2)", customProperties: [{property: since, value: 2018-02-01}]}
      - {name: shelf_id, physicalType: text, required: true, relationships: [{to: shelves.shelf_id}]}
      - {name: second_shelf_id, physicalType: text, relationships: [{to: shelves.shelf_id}]}
      - {name: room, physicalType: text, required: true, relationships: [{to: shelves.room}]}
"""


@pytest.fixture(scope="module")
def two_sources(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, str]:
    """Relative path -> page, of a project with a second contract."""
    tmp_path = tmp_path_factory.mktemp("project")
    for folder in ("contracts", "dbt"):
        shutil.copytree(PROJECT_DIR / folder, tmp_path / folder, ignore=shutil.ignore_patterns("target", "logs"))
    shutil.copy(PROJECT_DIR / "Makefile", tmp_path)
    (tmp_path / "contracts" / "shelf.odcs.yaml").write_text(SHELF)
    staging = tmp_path / "dbt" / "models" / "staging" / "shelf"
    staging.mkdir()
    (staging / "stg_books.sql").write_text("select isbn, price as list_price from {{ source('shelf', 'books') }}\n")
    (staging / "stg_books.yml").write_text("models: [{name: stg_books, columns: [{name: isbn}, {name: list_price}]}]\n")
    settings = Settings(source="olist", contracts_dir=tmp_path / "contracts", dbt_dir=tmp_path / "dbt")
    return {path.relative_to(tmp_path): text for path, text in pages(settings, tmp_path).items()}


def test_every_source_has_its_section_and_its_dbt_sources(two_sources: dict[Path, str]) -> None:
    for page in ("tables.md", "er-diagram.md"):
        assert re.findall("^## Source: (.+)", two_sources[Path("docs", page)], re.MULTILINE) == [
            "Olist web shop",
            "Shelf",
        ]
    assert Path("dbt/models/staging/olist/_olist__sources.yml") in two_sources
    assert Path("dbt/models/staging/shelf/_shelf__sources.yml") in two_sources


def test_rules_say_what_is_allowed_and_how_severe_they_are(two_sources: dict[Path, str]) -> None:
    page = two_sources[Path("docs/tables.md")]

    assert "| `room` | text | Where it is. | one of `a`, `b` (warning) |" in page
    assert "| **`isbn`** | text | required |" in page
    assert "| `price` | decimal(12,2) | in every file from batch 2018-02-01 on, before it may be absent |" in page
    assert "required; at least 0; at least 1 (warning) |" in page


def test_staging_has_the_types_of_the_contract_and_no_type_column_is_empty(two_sources: dict[Path, str]) -> None:
    page = two_sources[Path("docs/tables.md")]

    assert "| column | type |\n| --- | --- |\n| `isbn` | text |\n| `list_price` | numeric(12,2) |" in page
    assert re.findall(r"^.*\|  \|.*$", page.partition("## Staging")[2], re.MULTILINE) == []


def test_how_many_rows_meet_follows_from_keys_and_required_columns(two_sources: dict[Path, str]) -> None:
    page = two_sources[Path("docs/er-diagram.md")]

    assert "shelves ||--o{ books : shelf_id\n" in page
    assert "shelves |o--o{ books : second_shelf_id\n" in page
    assert "shelves }o--o{ books : room\n" in page
    assert "geolocation }o--o{ customers : customer_zip_code_prefix\n" in page
    assert "category_translation |o--o{ products : product_category_name\n" in page


def test_the_star_schema_has_every_mart_and_every_relationship_test_of_dbt() -> None:
    page = PAGES[DOCS / "er-diagram.md"].partition("## Star schema")[2]
    marts = PROJECT_DIR / "dbt" / "models" / "marts"
    tests = sum(path.read_text(encoding="utf-8").count("relationships:") for path in marts.rglob("*.yml"))

    assert re.findall(r"^    (\w+) \{$", page, re.MULTILINE) == sorted(path.stem for path in marts.rglob("*.sql"))
    assert page.count("--o") == tests > 0
    assert "dim_customer ||--o{ fct_orders : customer_key\n" in page
    assert "fct_orders |o--o{ fct_payments : order_id\n" in page


def test_options_show_their_values_and_defaults() -> None:
    page = PAGES[DOCS / "commands.md"]

    assert "| `--by` | `day`, `week`, `month`, `quarter` | `month` |" in page
    assert "| `--format` | `table`, `csv`, `json` | `table` |" in page
    assert "| `--days` | from 1 | `7` |" in page
    assert "| `--start` | YYYY-MM-DD | `2018-01-01` |" in page


def test_no_table_of_a_generated_page_is_empty() -> None:
    empty = [path.name for path, page in PAGES.items() if re.search(r"^\|( --- \|)+\n(?!\|)", page, re.MULTILINE)]

    assert empty == []


def test_no_relative_link_of_the_docs_leads_nowhere() -> None:
    broken = [
        f"{page.relative_to(PROJECT_DIR)} -> {link}"
        for page in [*PROJECT_DIR.glob("*.md"), *(PROJECT_DIR / "docs").rglob("*.md")]
        for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / link).exists()
    ]

    assert broken == []
