"""Settings that cannot work are refused when they are read."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_source import land, run_bronze, settings_in, values_of

from lakehouse.errors import ConfigurationError
from lakehouse.settings import Settings

HEADER = b"order_id,amount,note\n"


@pytest.mark.parametrize(
    "name", ["my files", "Daten für März", "données", "日本", "a#b", "it's (1) & more, @home+~$=;!"]
)
def test_a_lake_may_lie_in_a_folder_of_any_ordinary_name(tmp_path: Path, name: str) -> None:
    settings = settings_in(tmp_path / name)
    (tmp_path / name).mkdir()

    for record in (b"o1,1.00,x\n", b"o2,2.00,y\n"):
        run_bronze(settings, land(settings, tmp_path / name, orders=HEADER + record))

    assert values_of(settings, "order_id") == [("o2",)]
    assert (tmp_path / name / "home" / "states" / "test" / "lake" / "bronze" / "shop" / "orders").is_dir()


@pytest.mark.parametrize("sign", list("[]{}*?%\\|^:\n"))
@pytest.mark.parametrize("setting", ["home", "bronze_url"])
def test_a_folder_whose_name_an_engine_would_misread_is_refused(tmp_path: Path, setting: str, sign: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Settings.load(**{setting: str(tmp_path / f"a{sign}20")})

    assert f"LAKEHOUSE_{setting.upper()}: " in str(refused.value)
    assert f"holds {sign!r}, which delta-rs, Spark or Java would misread: name a folder without it" in str(
        refused.value
    )


def test_a_home_that_is_not_absolute_is_judged_by_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a[b]").mkdir()
    monkeypatch.chdir(tmp_path / "a[b]")

    with pytest.raises(ConfigurationError, match="LAKEHOUSE_HOME: "):
        Settings.load(home="home")
