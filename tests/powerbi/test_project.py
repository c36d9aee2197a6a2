"""powerbi/ is what report/ and dbt's yml files make, and it says all that they say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.settings import PROJECT_DIR
from tools.powerbi.checks.cross import Expected
from tools.powerbi.model import Model, build_model
from tools.powerbi.project import README, project_files, write_project
from tools.powerbi.sources import Sources, read_sources


@pytest.fixture(scope="module")
def sources() -> Sources:
    return read_sources(PROJECT_DIR / "report")


@pytest.fixture(scope="module")
def model(sources: Sources) -> Model:
    return build_model(sources, PROJECT_DIR / "dbt")


def test_the_project_is_current(committed: Path) -> None:
    paths = [path for path in committed.rglob("*") if path.is_file() and path.name != README]
    found = {path.relative_to(committed).as_posix(): path.read_text(encoding="utf-8") for path in paths}

    assert found == project_files(PROJECT_DIR), "run `make powerbi`"


def test_two_runs_write_the_same_bytes() -> None:
    """Whatever order Python gives its sets."""
    program = (
        "import sys; from lakehouse.settings import PROJECT_DIR; from tools.powerbi.project import project_files;"
        "sys.stdout.write(repr(project_files(PROJECT_DIR)))"
    )
    written = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(PROJECT_DIR)},
            cwd=PROJECT_DIR,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(written) == 1


def test_writing_removes_what_is_no_longer_made_and_keeps_the_readme(tmp_path: Path) -> None:
    for path in (tmp_path / "Old.Report" / "page.json", tmp_path / "Old.pbip", tmp_path / README):
        path.parent.mkdir(exist_ok=True)
        path.write_text("old")

    write_project({"New.Report/page.json": "new"}, tmp_path)

    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"New.Report/page.json", README}


def test_every_measure_is_in_the_model_and_no_other_but_derived_ones(model: Model, expected: Expected) -> None:
    found = {one.name: one.dax for table in model.tables for one in table.measures}

    assert {name: dax for name, dax in found.items() if name not in expected.derived} == expected.measures
    assert found.keys() >= expected.derived


def test_a_page_shows_the_visuals_of_pages_yml_and_every_figure_of_them(sources: Sources, committed: Path) -> None:
    for page in sources.pages.pages:
        folder = next(committed.glob("*.Report")) / "definition" / "pages" / page.id / "visuals"
        shown = {path.parent.name: path.read_text(encoding="utf-8") for path in folder.glob("*/visual.json")}

        assert shown.keys() == {"title", *(f"filter_{name}" for name in page.filters), *(v.id for v in page.visuals)}
        for visual in page.visuals:
            named = set(re.findall(r'"Property": "([^"]+)"', shown[visual.id]))
            assert {name for name in visual.all_measures if name not in named} == set(), f"{page.id}.{visual.id}"


def test_the_year_before_stands_beside_what_pages_yml_says(committed: Path) -> None:
    columns = next(committed.glob("*.Report")) / "definition/pages/overview/visuals/revenue_by_month/visual.json"

    fields = json.loads(columns.read_text(encoding="utf-8"))["visual"]["query"]["queryState"]["Y"]["projections"]

    assert [one["nativeQueryRef"] for one in fields] == ["Revenue Year Before", "Revenue"]


def test_the_calendar_is_marked_and_its_months_are_in_their_own_order(model: Model) -> None:
    (calendar,) = [table for table in model.tables if table.is_calendar]
    columns = {column.name: column for column in calendar.columns}

    assert (calendar.name, columns["Date"].is_key, columns["Month"].sorted_by) == ("Date", True, "Month Number")
    assert not columns["Date Key"].is_key


def test_values_are_sorted_by_the_column_that_measures_yml_names(model: Model) -> None:
    order = {
        column.name: column.sorted_by for table in model.tables if table.name == "Order" for column in table.columns
    }

    assert (order["Delay Band"], order["Weekday"], order["Status"]) == ("Delay Band Number", "Weekday Number", None)


def test_a_column_of_model_yml_that_dbt_lacks_is_named(tmp_path: Path) -> None:
    for path in (PROJECT_DIR / "report").glob("*.yml"):
        text = path.read_text(encoding="utf-8")
        (tmp_path / path.name).write_text(text.replace("is_late: Is Late", "is_lost: Is Late"), encoding="utf-8")
    (tmp_path / "insights.yml").unlink(missing_ok=True)

    with pytest.raises(Exception, match=r"model.yml reads marts.fct_orders.is_lost, which dbt's yml file does not"):
        build_model(read_sources(tmp_path), PROJECT_DIR / "dbt")


def test_a_key_of_power_bi_yml_that_means_nothing_is_named(tmp_path: Path) -> None:
    for path in (PROJECT_DIR / "report").glob("*.yml"):
        text = path.read_text(encoding="utf-8")
        (tmp_path / path.name).write_text(
            text.replace("{sorted_by: Day Number}", "{sort: Day Number}"), encoding="utf-8"
        )

    with pytest.raises(Exception, match=r"power_bi.yml cannot be used:\n  columns.Date.Day.sort: Extra inputs"):
        read_sources(tmp_path)
