"""A home of version 0.1.0 is converted once. Other people's files in the same folder stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse import workspaces
from lakehouse.errors import ConfigurationError
from lakehouse.workspaces import load_settings, remember, take_over


def plant(home: Path, *names: str) -> None:
    for name in names:
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def names(home: Path) -> list[str]:
    return sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("LAKEHOUSE_WORKSPACE", raising=False)
    return tmp_path / "home"


def test_every_state_becomes_a_workspace_and_the_last_one_stays_the_last(home: Path) -> None:
    plant(home, "states/shop/lake/bronze/part-0", "states/other/dbt/manifest.json", "jars/a.jar")
    (home / "last_state").write_text("shop\n")

    settings = load_settings()

    assert settings.workspace_name == "shop"
    assert settings.workspace_dir == home / "workspaces" / "shop"
    assert names(home) == [
        "jars/a.jar",
        "last_workspace",
        "workspaces/other/dbt/manifest.json",
        "workspaces/shop/lake/bronze/part-0",
    ]
    assert not (home / "states").exists()


def test_a_second_conversion_finds_nothing_to_do(home: Path) -> None:
    plant(home, "states/shop/lake/x")

    assert take_over(home)
    assert not take_over(home)
    assert names(home) == ["workspaces/shop/lake/x"]


def test_other_peoples_files_in_a_folder_of_that_name_stay(home: Path) -> None:
    others = ["states/Texas.csv", "states/alabama/counties.csv", "states/shop 2/lake/x"]
    plant(home, *others)

    assert not take_over(home)
    assert names(home) == sorted(others)


def test_a_link_to_another_disk_stays_a_link(home: Path, tmp_path: Path) -> None:
    plant(tmp_path / "disk", "shop/lake/x")
    home.mkdir()
    (home / "states").symlink_to(tmp_path / "disk")

    assert take_over(home)
    assert (home / "workspaces").readlink() == tmp_path / "disk"


def test_a_workspace_under_both_names_is_refused_and_nothing_is_lost(home: Path) -> None:
    both = ["states/shop/lake/old", "workspaces/shop/lake/new"]
    plant(home, *both)

    with pytest.raises(ConfigurationError, match="are both there"):
        load_settings()
    assert names(home) == both


def test_two_processes_may_convert_a_home_at_the_same_time(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(home, "states/shop/lake/x", "states/tiny/lake/y")
    rename = Path.rename

    def overtaken(path: Path, target: Path) -> Path:
        if path.name == "shop":
            rename(path, target)  # by the other process
        return rename(path, target)

    monkeypatch.setattr(workspaces.Path, "rename", overtaken)

    assert take_over(home)
    assert names(home) == ["workspaces/shop/lake/x", "workspaces/tiny/lake/y"]


def test_the_next_command_uses_the_remembered_workspace(home: Path) -> None:
    remember(load_settings(workspace="shop"))

    assert load_settings().workspace_name == "shop"
    assert load_settings(otherwise="main").workspace_name == "main"
