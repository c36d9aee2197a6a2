"""generate and replay through the command line."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lakehouse.cli import app
from lakehouse.sample_data.synthetic import KINDS, Truth
from lakehouse.settings import PROJECT_DIR, Settings
from tests.unit.sample_data.test_replay import read_batches, write_archive

CONTRACT = PROJECT_DIR / "contracts" / "olist.odcs.yaml"


@pytest.fixture(autouse=True)
def _the_developers_own_settings_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LAKEHOUSE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path / "home"))


def lakehouse(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "4000", "NO_COLOR": "1"})


def generate(folder: Path, *words: str) -> Result:
    return lakehouse("generate", str(folder), "--days", "2", "--scale", "0.1", *words)


def kinds_in(folder: Path) -> Counter[str]:
    return Counter(fault.kind for fault in Truth.read(folder / "truth.json").faults)


def test_one_kind_of_fault_alone(tmp_path: Path) -> None:
    done = generate(tmp_path / "b", "--faults", "0", "--fault", "bad date=0.2", "--fault", "NUL byte=0.1")

    assert done.exit_code == 0, done.output
    found = kinds_in(tmp_path / "b")
    assert set(found) == {"bad date", "NUL byte"}
    assert min(found.values()) > 5


def test_all_kinds_of_fault_but_one(tmp_path: Path) -> None:
    assert generate(tmp_path / "b", "--fault", "bad date=0").exit_code == 0

    assert set(kinds_in(tmp_path / "b")) == set(KINDS) - {"bad date"}


def test_without_the_option_every_kind_has_the_share_of_faults_and_the_same_bytes_as_before(tmp_path: Path) -> None:
    assert generate(tmp_path / "one").exit_code == 0
    assert generate(tmp_path / "other", "--fault", "bad date=0.0005").exit_code == 0

    files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.csv")]
    assert len(files) > 9
    assert [f for f in files if (tmp_path / "one" / f).read_bytes() != (tmp_path / "other" / f).read_bytes()] == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--fault", "bad hair=0.1"], "there is no fault of kind bad hair"),
        (["--fault", "bad date"], "bad date is not KIND=RATE"),
        (["--fault", "bad date=often"], "bad date=often is not KIND=RATE"),
        (["--fault", "bad date=2"], "the rate of bad date must be from 0 to 1, not 2"),
        (["--fault", "bad date=nan"], "the rate of bad date must be from 0 to 1, not nan"),
    ],
    ids=["unknown", "no rate", "no number", "too much", "not a number"],
)
def test_an_invalid_fault_is_answered_with_the_valid_kinds(tmp_path: Path, words: list[str], why: str) -> None:
    done = generate(tmp_path / "b", *words)

    assert done.exit_code == 2
    assert why in done.output
    assert all(kind in done.output for kind in KINDS)
    assert not (tmp_path / "b").exists()


def test_one_error_names_all_faults(tmp_path: Path) -> None:
    done = generate(tmp_path / "b", "--fault", "bad hair=0.1", "--fault", "bad date=often")

    assert "bad hair" in done.output
    assert "bad date=often" in done.output


def test_help_shows_an_example() -> None:
    help_text = lakehouse("generate", "--help").output

    assert re.search(r"--fault\s+KIND=RATE", help_text)
    assert '--fault "bad date=0.01"' in help_text


def test_a_column_with_a_first_day_is_sent_from_that_day_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = re.split(r"(?m)^(?= *- name: seller_state$)", CONTRACT.read_text())
    indent = re.match(r" *", after)[0]
    added = [
        "- name: seller_rank",
        "  physicalType: integer",
        "  customProperties: [{property: since, value: 2018-01-02}]",
    ]
    (tmp_path / "olist.odcs.yaml").write_text(before + "".join(f"{indent}{line}\n" for line in added) + after)
    monkeypatch.setenv("LAKEHOUSE_CONTRACTS_DIR", str(tmp_path))

    done = generate(tmp_path / "b", "--changes", "1")

    assert done.exit_code == 0, done.output
    headers = {
        path.parent.name: path.read_text().partition("\n")[0]
        for path in (tmp_path / "b").glob("*/olist_sellers_dataset.csv")
    }
    assert [("seller_rank" in header, day) for day, header in sorted(headers.items())] == [
        (False, "2018-01-01"),
        (True, "2018-01-02"),
    ]


def test_replay_cuts_an_archive_and_says_what_it_wrote(tmp_path: Path) -> None:
    archive = write_archive(
        tmp_path / "archive",
        orders="o1,c1,created,2018-01-02 10:00:00,,,,2018-02-20 00:00:00\n"
        "o2,c2,created,2018-02-03 10:00:00,,,,2018-02-20 00:00:00\n",
        customers="c1,p1,01310,sao paulo,SP\nc2,p2,01310,sao paulo,SP\n",
    )

    done = lakehouse("replay", str(archive), str(tmp_path / "batches"), "--by", "month")

    assert (done.exit_code, done.output) == (0, "2 batches, 2018-01-31 to 2018-02-28, 4 records.\n")
    sent = read_batches(tmp_path / "batches")
    assert [(key, [row[0] for row in rows]) for key, rows in sent.items()] == [
        (("2018-01-31", "customers"), ["c1"]),
        (("2018-01-31", "orders"), ["o1"]),
        (("2018-02-28", "customers"), ["c2"]),
        (("2018-02-28", "orders"), ["o2"]),
    ]
