"""A batch counts as new until a run claims it, no matter how often it is checked. A run of Airflow claims its own."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from lakehouse.contract.model import Contract
from lakehouse.errors import DeliveryRefused, StoreError
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import step as landing
from lakehouse.pipeline import arrivals, tasks
from lakehouse.pipeline.run import RunReport
from lakehouse.sample_data.synthetic import Truth
from lakehouse.settings import Settings
from tests.support.lake import days_of
from tests.support.small_source import manifest_in

FIRST, SECOND, THIRD = date(2018, 1, 1), date(2018, 1, 2), date(2018, 1, 3)


@pytest.fixture
def drop(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """The settings of an orchestrator whose drop folder is empty; its tasks read them from the environment."""
    folder = tmp_path / "drop"
    folder.mkdir()
    found = settings.model_copy(update={"drop_dir": folder})
    for name in ("home", "embedded_postgres_dir", "postgres_port", "jars_dir", "workspace", "drop_dir"):
        monkeypatch.setenv(f"LAKEHOUSE_{name.upper()}", str(getattr(found, name)))
    monkeypatch.setattr(arrivals, "AT_REST_SECONDS", 0.0)
    return found


def put(settings: Settings, delivery: Path) -> Path:
    assert settings.drop_dir is not None
    return Path(shutil.copytree(delivery, settings.drop_dir / delivery.name, dirs_exist_ok=True))


def prepare_batch(day: str, run_id: str) -> list[dict[str, str]]:
    """What the first task of a run does."""
    tasks.claim_batch(day, run_id)
    return tasks.due_tables(day)


def none_of(_: list[str]) -> set[str]:
    """No run waits or works."""
    return set()


def names(found: Sequence[arrivals.Arrival | arrivals.NewBatch]) -> list[tuple[str, date]]:
    found_arrivals = [each.arrival if isinstance(each, arrivals.NewBatch) else each for each in found]
    return sorted((arrival.place, arrival.batch_date) for arrival in found_arrivals)


def test_a_landed_batch_is_new_until_a_run_claims_it(
    drop: Settings, contract: Contract, shop: tuple[Path, Truth]
) -> None:
    landing.land(Lakehouse(drop, contract), days_of(shop[0])[:2])
    assert names(arrivals.new_batches(Lakehouse(drop, contract))) == [("landing", FIRST), ("landing", SECOND)]
    assert names(arrivals.new_batches(Lakehouse(drop, contract))) == [("landing", FIRST), ("landing", SECOND)]

    due = prepare_batch(FIRST.isoformat(), "a run")

    assert names(arrivals.new_batches(Lakehouse(drop, contract))) == [("landing", SECOND)]
    assert {unit["batch_date"] for unit in due} == {FIRST.isoformat()}
    manifest = manifest_in(drop, FIRST)
    assert manifest is not None
    assert {unit["table"] for unit in due} == set(manifest.tables)
    sizes = [file.size for unit in due if (file := manifest.tables[unit["table"]])]
    assert sizes == sorted(sizes, reverse=True)


def test_a_batch_is_not_new_while_its_run_waits_and_is_new_again_if_that_run_ends_without_it(
    drop: Settings, contract: Contract, shop: tuple[Path, Truth]
) -> None:
    landing.land(Lakehouse(drop, contract), days_of(shop[0])[:1])
    put(drop, days_of(shop[0])[1])
    first, second = (run["run_id"] for run in tasks.runs_to_start(none_of))
    asked: list[list[str]] = []

    def waits(run_ids: list[str]) -> set[str]:
        asked.append(run_ids)
        return {second}

    assert [run["run_id"] for run in tasks.runs_to_start(waits)] == [first]
    assert asked == [[first, second]]
    assert [run["run_id"] for run in tasks.runs_to_start(none_of)] == [first, second]


def test_a_batch_whose_run_claims_it_and_ends_during_the_check_is_not_new(
    drop: Settings, contract: Contract, shop: tuple[Path, Truth]
) -> None:
    landing.land(Lakehouse(drop, contract), days_of(shop[0])[:1])

    def has_just_ended(run_ids: list[str]) -> set[str]:
        prepare_batch(FIRST.isoformat(), *run_ids)
        return set()

    assert tasks.runs_to_start(has_just_ended) == []


def test_a_batch_delivered_again_is_new_again(drop: Settings, contract: Contract, shop: tuple[Path, Truth]) -> None:
    day = days_of(shop[0])[0]
    landing.land(Lakehouse(drop, contract), [day])
    prepare_batch(FIRST.isoformat(), "a run")

    landing.land(Lakehouse(drop, contract), [day])
    assert arrivals.new_batches(Lakehouse(drop, contract)) == []

    landing.remove(Lakehouse(drop, contract), FIRST, "orders")
    assert names(arrivals.new_batches(Lakehouse(drop, contract))) == [("landing", FIRST)]


def test_a_batch_that_a_command_loaded_is_not_new(
    drop: Settings, contract: Contract, shop: tuple[Path, Truth], run: Callable[..., RunReport]
) -> None:
    run(drop, days_of(shop[0])[0])

    assert arrivals.new_batches(Lakehouse(drop, contract)) == []
    assert prepare_batch(FIRST.isoformat(), "a run") == []
    assert tasks.reconcile_tables(FIRST.isoformat()) is None


def test_a_claim_that_is_made_again_writes_nothing(
    drop: Settings, contract: Contract, shop: tuple[Path, Truth]
) -> None:
    lakehouse = Lakehouse(drop, contract)
    landing.land(lakehouse, days_of(shop[0])[:1])
    claimed = [arrivals.claim(lakehouse, arrivals.landed(drop), name) or claims_of(lakehouse) for name in "AABA"]

    assert [name for name, _ in claimed] == ["A", "A", "B", "A"]
    assert claimed[0] == claimed[1]
    assert len({version for _, version in claimed}) == 3


def claims_of(lakehouse: Lakehouse) -> tuple[str, str]:
    """Who claims the only batch, and the version of its row."""
    found = lakehouse.one("select claimed_by, xmin::text from ops.claims")
    assert found is not None
    return found[0], found[1]


def test_a_batch_that_a_command_left_unfinished_is_new_once_the_command_has_ended(
    drop: Settings, contract: Contract, shop: tuple[Path, Truth]
) -> None:
    landing.land(Lakehouse(drop, contract), [days_of(shop[0])[0]])

    with arrivals.claimed_by_command(Lakehouse(drop, contract)):
        assert arrivals.new_batches(Lakehouse(drop, contract)) == []

    assert names(arrivals.new_batches(Lakehouse(drop, contract))) == [("landing", FIRST)]


def test_a_dropped_batch_is_landed_by_its_own_run_and_is_then_not_new_in_landing(
    drop: Settings, contract: Contract, shop: tuple[Path, Truth]
) -> None:
    for day in days_of(shop[0])[:2]:
        put(drop, day)
    started = tasks.runs_to_start(none_of)
    assert [run["conf"]["batch_date"] for run in started] == [FIRST.isoformat(), SECOND.isoformat()]
    assert tasks.runs_to_start(none_of) == started

    assert prepare_batch(SECOND.isoformat(), "a run")

    assert manifest_in(drop, FIRST) is None
    assert names(arrivals.new_batches(Lakehouse(drop, contract))) == [("drop", FIRST)]


def test_a_refused_delivery_is_not_new_until_it_is_corrected_and_does_not_stop_the_others(
    drop: Settings, contract: Contract, shop: tuple[Path, Truth]
) -> None:
    first, second = days_of(shop[0])[:2]
    broken = put(drop, first) / "olist_orders_dataset.csv"
    whole = broken.read_bytes()
    broken.write_bytes(whole.replace(b"order_status", b"order_state", 1))
    put(drop, second)

    with pytest.raises(DeliveryRefused, match="order_status is missing"):
        prepare_batch(FIRST.isoformat(), "a run")
    assert names(arrivals.new_batches(Lakehouse(drop, contract))) == [("drop", SECOND)]
    assert prepare_batch(SECOND.isoformat(), "another run")
    assert arrivals.new_batches(Lakehouse(drop, contract)) == []

    broken.write_bytes(whole)
    assert names(arrivals.new_batches(Lakehouse(drop, contract))) == [("drop", FIRST)]
    assert prepare_batch(FIRST.isoformat(), "a third run")


def test_an_old_file_in_the_drop_folder_does_not_undo_a_later_correction(
    drop: Settings, contract: Contract, shop: tuple[Path, Truth], tmp_path: Path
) -> None:
    old = put(drop, days_of(shop[0])[0]) / "olist_orders_dataset.csv"
    prepare_batch(FIRST.isoformat(), "a run")
    corrected = tmp_path / "orders_2018-01-01.csv"
    corrected.write_bytes(old.read_bytes().replace(b",delivered,", b",shipped,", 1))
    (landed,) = landing.land(Lakehouse(drop, contract), [corrected])
    assert landed.changed == ("orders",)

    for run_id in ("a run", "another run"):  # the first one again, as after it was cleared
        prepare_batch(FIRST.isoformat(), run_id)
        assert manifest_in(drop, FIRST) == landed.manifest

    shutil.copy(old, old.with_suffix(".new"))
    old.with_suffix(".new").replace(old)
    prepare_batch(FIRST.isoformat(), "a third run")
    manifest = manifest_in(drop, FIRST)
    assert manifest is not None and manifest.tables["orders"] != landed.manifest.tables["orders"]


def test_every_run_refuses_a_refused_delivery_until_the_day_is_landed_another_way(
    drop: Settings, contract: Contract, shop: tuple[Path, Truth]
) -> None:
    whole = days_of(shop[0])[0]
    landing.land(Lakehouse(drop, contract), [whole / "olist_customers_dataset.csv"], FIRST)
    prepare_batch(FIRST.isoformat(), "a run before")
    broken = put(drop, whole) / "olist_orders_dataset.csv"
    broken.write_bytes(broken.read_bytes().replace(b"order_status", b"order_state", 1))
    for run_id in ("a run", "a run", "that of midnight"):
        with pytest.raises(DeliveryRefused):
            prepare_batch(FIRST.isoformat(), run_id)

    landing.land(Lakehouse(drop, contract), [whole])

    for run_id in ("another run", "one more"):
        assert prepare_batch(FIRST.isoformat(), run_id)


def test_another_run_lands_what_a_killed_run_began_to_land(
    drop: Settings, contract: Contract, shop: tuple[Path, Truth], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(drop, days_of(shop[0])[0])
    with monkeypatch.context() as broken:
        broken.setattr(landing, "land", lambda *_, **__: (_ for _ in ()).throw(StoreError("The store is away.")))
        with pytest.raises(StoreError):
            prepare_batch(FIRST.isoformat(), "a run")

    assert prepare_batch(FIRST.isoformat(), "that of midnight")


def test_content_that_comes_back_gets_its_own_run(drop: Settings, contract: Contract, shop: tuple[Path, Truth]) -> None:
    """Copy as with `cp -a`, which keeps the times."""
    file = put(drop, days_of(shop[0])[0]) / "olist_orders_dataset.csv"
    first, second = file.read_bytes(), file.read_bytes().replace(b",delivered,", b",shipped,", 1)
    started: list[str] = []
    for content, written_at in ((first, 1_000_000), (second, 2_000_000), (first, 1_000_000), (second, 2_000_000)):
        file.write_bytes(content)
        os.utime(file, (written_at, written_at))
        (run,) = [run for run in tasks.runs_to_start(none_of) if run["run_id"].startswith("drop")]
        started.append(run["run_id"])
        prepare_batch(FIRST.isoformat(), started[-1])

    assert len(started) == len(set(started)) == 4


def test_a_delivery_that_is_still_being_written_is_left_alone(
    drop: Settings, contract: Contract, shop: tuple[Path, Truth], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(drop, days_of(shop[0])[0])
    monkeypatch.setattr(arrivals, "AT_REST_SECONDS", 3600.0)

    assert arrivals.new_batches(Lakehouse(drop, contract)) == []
    assert prepare_batch(FIRST.isoformat(), "a run") == []
    assert manifest_in(drop, FIRST) is None


def test_a_copy_with_the_times_of_its_original_is_not_complete_too_early(
    drop: Settings, shop: tuple[Path, Truth], monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = time.time() - 86400
    for file in put(drop, days_of(shop[0])[0]).iterdir():
        os.utime(file, (long_ago, long_ago))
    monkeypatch.setattr(arrivals, "AT_REST_SECONDS", 60.0)

    assert arrivals.dropped(drop) == []


def test_files_without_a_day_are_reported_and_left_alone(
    drop: Settings, contract: Contract, shop: tuple[Path, Truth], caplog: pytest.LogCaptureFixture
) -> None:
    assert drop.drop_dir is not None
    put(drop, days_of(shop[0])[0])
    (drop.drop_dir / "orders.csv").write_text("order_id\n")
    (drop.drop_dir / "orders_2018-01-03_2018-01-04.csv").write_text("order_id\n")
    caplog.set_level("INFO", logger="lakehouse")

    assert prepare_batch(FIRST.isoformat(), "a run")

    assert "no date" in caplog.text
    assert "two dates" in caplog.text
    assert names(arrivals.present(drop)) == [("drop", FIRST), ("landing", FIRST)]


def test_a_day_without_a_batch_has_no_tables(drop: Settings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="lakehouse")

    assert prepare_batch(THIRD.isoformat(), "a run") == []
    assert tasks.reconcile_tables(THIRD.isoformat()) is None

    assert "an empty day" in caplog.text


def test_arrivals_with_different_content_have_different_names() -> None:
    one = arrivals.Arrival("landing", FIRST, "0123456789abcdef0")

    assert one.name == "landing__2018-01-01__0123456789abcdef"
    assert replace(one, content="f" * 32).name != one.name
    assert replace(one, place="drop").name != one.name


def test_unreadable_files_are_named_while_other_batches_are_new(
    drop: Settings, contract: Contract, shop: tuple[Path, Truth]
) -> None:
    assert drop.drop_dir is not None
    put(drop, days_of(shop[0])[0])
    tasks.look_into_drop_folder()
    (drop.drop_dir / "orders_2018-01-02.zip").write_bytes(b"PK, and then the disk was full")

    with pytest.raises(DeliveryRefused, match=r"orders_2018-01-02\.zip"):
        tasks.look_into_drop_folder()

    assert names(arrivals.new_batches(Lakehouse(drop, contract))) == [("drop", FIRST)]


def test_a_file_that_is_still_being_written_is_no_fault_yet(drop: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert drop.drop_dir is not None
    monkeypatch.setattr(arrivals, "AT_REST_SECONDS", 60.0)
    (drop.drop_dir / "orders_2018-01-02.zip").write_bytes(b"PK, half of it")

    assert arrivals.unreadable(drop) == []


def test_a_folder_whose_name_is_no_utf8_stops_nothing(
    drop: Settings, contract: Contract, shop: tuple[Path, Truth]
) -> None:
    assert drop.drop_dir is not None
    put(drop, days_of(shop[0])[0])
    put(drop, days_of(shop[0])[1]).rename(drop.drop_dir / os.fsdecode(b"exporta\xe7\xe3o 2018-01-02"))

    found = arrivals.new_batches(Lakehouse(drop, contract))

    assert sorted(names(found)) == [("drop", FIRST), ("drop", SECOND)]
    assert prepare_batch(SECOND.isoformat(), "a run")
    assert manifest_in(drop, SECOND) is not None


def test_a_time_that_a_wrong_clock_left_in_the_future_counts_as_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "AT_REST_SECONDS", 5.0)
    now = time.time()

    assert [arrivals._is_at_rest(now + ahead) for ahead in (86400, 30, -1, -86400)] == [True, False, False, True]
