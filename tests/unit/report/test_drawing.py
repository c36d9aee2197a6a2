"""The scripts and charts of the report: made once per version, kept in the home, removed when a newer one is made."""

from __future__ import annotations

from pathlib import Path

import pytest
import vl_convert

from lakehouse.report import charts, drawing
from lakehouse.report.measures import read_measures
from lakehouse.report.pages import read_pages
from lakehouse.settings import PROJECT_DIR, Settings

REPORT = PROJECT_DIR / "report"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, home=tmp_path)  # type: ignore[call-arg]


def test_the_scripts_are_made_once_per_version(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    made = iter(["first", "second"])
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda: next(made))

    found = [drawing.scripts(settings), drawing.scripts(settings)]
    monkeypatch.setattr(drawing, "versions", lambda: {"vl-convert-python": "99"})
    found.append(drawing.scripts(settings))

    assert found == ["first", "first", "second"]
    assert [file.name for file in (settings.home / "report").iterdir()] == ["vega-99.js"]


def test_every_chart_has_a_specification_that_vega_lite_accepts(settings: Settings) -> None:
    measures = read_measures(REPORT, "olist")
    assert measures is not None
    pages = read_pages(REPORT, measures)
    assert pages is not None

    found = drawing.specifications(settings, pages, measures)

    charted = {
        f"{page.id}/{visual.id}"
        for page in pages.pages
        for visual in page.visuals
        if visual.kind not in ("cards", "table", "insights")
    }
    assert set(found) == charted
    for specification in found.values():
        vl_convert.vegalite_to_vega({**specification, "datasets": {"rows": []}})


def test_no_chart_holds_data_or_an_address() -> None:
    measures = read_measures(REPORT, "olist")
    assert measures is not None
    pages = read_pages(REPORT, measures)
    assert pages is not None

    text = str(charts.specifications(pages, measures))

    assert "http" not in text
    assert "'values'" not in text
