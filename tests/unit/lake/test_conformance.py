"""The probe: an honest store passes it once. A store that breaks a promise is refused, and the error names it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lakehouse import warehouse
from lakehouse.errors import StoreError
from lakehouse.lake import conformance
from lakehouse.lake.conformance import NOTE, ensure_conformance, is_proven, probe
from lakehouse.lake.s3 import S3Store
from lakehouse.lake.store import LocalStore, open_store
from lakehouse.lakehouse import Lakehouse
from lakehouse.landing import step as landing
from lakehouse.pipeline import maintain
from lakehouse.pipeline import run as pipeline
from lakehouse.settings import Layer, Settings
from lakehouse.steps import STEP_NAMES, Pending, StepName
from tests.support.s3_server import s3_settings
from tests.support.small_source import DAY, land, manifests_in, settings_in, shop

CREATES = r"create a key at the same time \(If-None-Match: \*\) exactly one succeeds"
CHANGES = r"change a key at the same time \(If-Match\) exactly one succeeds"
READ = "what was written, or written over, is read immediately"
LISTED = "what was written is listed immediately"
GONE = "what was deleted is gone immediately"


class Honest(LocalStore):
    """Keeps every promise. Each class below breaks one."""


class TwoWinners(Honest):
    def write_new(self, key: str, data: bytes) -> bool:
        return super().write_new(key, data) or super().write_new(f"{key}-second", data)


class EveryoneWins(Honest):
    """Does not know If-None-Match, and ignores it."""

    def write_new(self, key: str, data: bytes) -> bool:
        self.write(key, data)
        return True


class NoneWins(Honest):
    def write_new(self, key: str, data: bytes) -> bool:
        super().write_new(key, data)
        return False


class WinnerOverwritten(Honest):
    def write_new(self, key: str, data: bytes) -> bool:
        won = super().write_new(key, data)
        self.write(key, b"of a loser")
        return won


class ConditionsRefused(Honest):
    def write_new(self, key: str, data: bytes) -> bool:
        raise StoreError("The store refused it: NotImplemented: a header is not known\nCheck that the bucket exists.")


class EveryoneChanges(Honest):
    """Ignores If-Match."""

    def swap(self, key: str, old: bytes | None, new: bytes) -> bool:
        if old is None:
            return super().swap(key, old, new)
        self.write(key, new)
        return True


class NoneChanges(Honest):
    def swap(self, key: str, old: bytes | None, new: bytes) -> bool:
        return old is None and super().swap(key, old, new)


class ChangeLost(Honest):
    def swap(self, key: str, old: bytes | None, new: bytes) -> bool:
        won = super().swap(key, old, new)
        if won and old is not None:
            self.write(key, b"of a loser")
        return won


class ReadsTheOldContent(Honest):
    """A cache in front of the store keeps what was read first."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._cache: dict[str, bytes] = {}

    def read(self, key: str) -> bytes | None:
        found = super().read(key)
        return found if found is None else self._cache.setdefault(key, found)


class ReadsLate(Honest):
    """A new key cannot be read yet."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._asked: set[str] = set()

    def read(self, key: str) -> bytes | None:
        found = super().read(key) if key in self._asked else None
        self._asked.add(key)
        return found


class ListsLate(Honest):
    """The listing is an old one."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._before: list[str] = []

    def keys(self, prefix: str) -> list[str]:
        before, self._before = self._before, super().keys(prefix)
        return before


class ReadsDeleted(Honest):
    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._deleted: dict[str, bytes | None] = {}

    def read(self, key: str) -> bytes | None:
        return self._deleted.get(key) or super().read(key)

    def delete(self, key: str) -> None:
        self._deleted[key] = self.read(key)
        super().delete(key)


class ListsDeleted(Honest):
    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._deleted: list[str] = []

    def keys(self, prefix: str) -> list[str]:
        return sorted([*super().keys(prefix), *self._deleted])

    def delete(self, key: str) -> None:
        self._deleted.append(key)
        super().delete(key)


LIARS = [
    (TwoWinners, CREATES, "2 of 32 were answered with success"),
    (EveryoneWins, CREATES, "32 of 32 were answered with success"),
    (NoneWins, CREATES, "none of 32 were answered with success"),
    (WinnerOverwritten, CREATES, "what is read back is not the content of the one that succeeded"),
    (ConditionsRefused, CREATES, "32 of 32 were answered with an error: .*NotImplemented: a header is not known"),
    (EveryoneChanges, CHANGES, "32 of 32 were answered with success"),
    (NoneChanges, CHANGES, "none of 32 were answered with success"),
    (ChangeLost, CHANGES, "what is read back is not the content of the one that succeeded"),
    (ReadsTheOldContent, READ, "the content of before was read after a write"),
    (ReadsLate, READ, "nothing was read after a write"),
    (ListsLate, LISTED, "a new key was not listed"),
    (ReadsDeleted, GONE, "a deleted key was read"),
    (ListsDeleted, GONE, "a deleted key was listed"),
]


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[Settings]:
    with s3_settings() as given:
        yield settings_in(tmp_path, **given)


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The address of everything that is put into an S3 store from now on."""
    puts: list[str] = []
    write, write_if = S3Store.write, S3Store._write_if

    def writes(store: S3Store, key: str, data: bytes) -> None:
        puts.append(f"{store.url}/{key}")
        write(store, key, data)

    def writes_if(store: S3Store, key: str, data: bytes, condition: dict[str, str]) -> bool:
        puts.append(f"{store.url}/{key}")
        return write_if(store, key, data, condition)

    monkeypatch.setattr(S3Store, "write", writes)
    monkeypatch.setattr(S3Store, "_write_if", writes_if)
    return puts


def ignore(monkeypatch: pytest.MonkeyPatch, header: str) -> None:
    """Let the S3 store ignore a header."""
    write_if = S3Store._write_if

    def writes_whatever(store: S3Store, key: str, data: bytes, condition: dict[str, str]) -> bool:
        return write_if(store, key, data, {name: value for name, value in condition.items() if name != header})

    monkeypatch.setattr(S3Store, "_write_if", writes_whatever)


def test_an_honest_store_passes_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    probe(Honest(tmp_path), "here")

    assert Honest(tmp_path).keys("") == []


@pytest.mark.parametrize(("liar", "promise", "finding"), LIARS, ids=[liar.__name__ for liar, *_ in LIARS])
def test_a_store_that_breaks_a_promise_is_refused_with_the_promise_named(
    tmp_path: Path, liar: type[LocalStore], promise: str, finding: str
) -> None:
    with pytest.raises(StoreError) as refused:
        probe(liar(tmp_path), "http://store:9000")

    says = str(refused.value)
    assert says.startswith(f"The store at http://store:9000 cannot hold {tmp_path}: ")
    assert re.search(rf"promise: .*{promise}.*\n  found:   {finding}\n", says)
    assert "\nTwo runs at the same time could lose data there, so nothing was written.\nUse MinIO, AWS S3 " in says
    # TwoWinners also wrote to a second key.
    assert [key for key in LocalStore(tmp_path).keys("") if not key.endswith("-second")] == []


def test_a_store_that_cannot_be_written_is_not_accused_of_a_broken_promise(tmp_path: Path) -> None:
    class Lost(Honest):
        """Cannot be reached any more after the first conditional write."""

        lost = False

        def write(self, key: str, data: bytes) -> None:
            if self.lost:
                raise StoreError("cannot be reached")
            super().write(key, data)

        def write_new(self, key: str, data: bytes) -> bool:
            self.lost = True
            raise StoreError("cannot be reached")

    with pytest.raises(StoreError, match=r"^cannot be reached$"):
        probe(Lost(tmp_path), "here")


def test_s3_is_probed_once_per_layer_and_the_next_command_puts_nothing(s3: Settings, put: list[str]) -> None:
    ensure_conformance(s3, "bronze", "silver")
    first = [*put]
    put.clear()
    ensure_conformance(s3, "bronze", "silver")

    assert put == []
    assert first.count(f"s3://bronze/lake/{NOTE}") == first.count(f"s3://silver/lake/{NOTE}") == 1
    assert not [url for url in first if url.startswith("s3://landing")]  # it has another user
    of_one_key = {url: first.count(url) for url in first if "/created" in url}
    assert list(of_one_key.values()) == [32] * (2 * conformance.ROUNDS)
    assert open_store(s3, "bronze").keys(conformance.PROBES) == []
    assert (is_proven(s3, "bronze"), is_proven(s3, "landing")) == (True, False)


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note.replace(b"127.0.0.1", b"where-the-bucket-came-from"),
        lambda note: note.replace(b": %d" % conformance.VERSION, b": %d" % (conformance.VERSION - 1)),
        lambda note: note[:-5],
    ],
    ids=["of another address", "of an older probe", "cut off"],
)
def test_a_note_that_does_not_fit_does_not_count(
    s3: Settings, put: list[str], change: Callable[[bytes], bytes]
) -> None:
    ensure_conformance(s3, "bronze")
    store = open_store(s3, "bronze")
    note = store.read(NOTE)
    store.write(NOTE, change(note))
    put.clear()

    ensure_conformance(s3, "bronze")

    assert change(note) != note
    assert [url for url in put if "/created" in url]
    assert store.read(NOTE) == note


@pytest.mark.parametrize("header", ["If-None-Match", "If-Match"])
def test_an_s3_store_that_ignores_a_condition_is_refused_each_time(
    s3: Settings, monkeypatch: pytest.MonkeyPatch, header: str
) -> None:
    ignore(monkeypatch, header)

    for _ in range(2):
        with pytest.raises(StoreError, match=rf"cannot hold s3://bronze/lake(.|\n)*{header}"):
            ensure_conformance(s3, "bronze")

    assert not is_proven(s3, "bronze")


def test_an_interrupted_probe_proves_nothing_and_cleans_up(s3: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    read = S3Store.read

    def interrupted(store: S3Store, key: str) -> bytes | None:
        if "/changed" in key:
            raise KeyboardInterrupt
        return read(store, key)

    monkeypatch.setattr(S3Store, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ensure_conformance(s3, "bronze")

    assert not is_proven(s3, "bronze")
    assert open_store(s3, "bronze").keys(conformance.PROBES) == []


def test_keys_left_by_a_killed_probe_are_harmless(s3: Settings, tmp_path: Path) -> None:
    for key in (f"{conformance.PROBES}/dead/created0", NOTE):
        open_store(s3, "landing").write(key, b"0")

    manifest = land(s3, tmp_path, orders=b"order_id,amount,note\na,1,x\n")

    assert manifests_in(s3) == [manifest]
    assert is_proven(s3, "landing")
    assert open_store(s3, "landing").read(f"{conformance.PROBES}/dead/created0") == b"0"


def test_a_folder_is_not_probed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance, "open_store", lambda settings, layer: pytest.fail("it was opened"))
    settings = settings_in(tmp_path)

    ensure_conformance(settings, "landing", "bronze", "silver")

    assert is_proven(settings, "landing")


# No command may write to a store that lies.


def test_a_delivery_is_not_landed_in_a_store_that_lies(
    s3: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ignore(monkeypatch, "If-None-Match")

    with pytest.raises(StoreError, match="If-None-Match"):
        land(s3, tmp_path, orders=b"order_id,amount,note\na,1,x\n")

    assert open_store(s3, "landing").keys("shop") == []


def test_a_table_is_not_withdrawn_in_a_store_that_lies(
    s3: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = land(s3, tmp_path, orders=b"order_id,amount,note\na,1,x\n")
    open_store(s3, "landing").delete(NOTE)  # as if the store had been replaced since
    ignore(monkeypatch, "If-Match")

    with pytest.raises(StoreError, match="If-Match"):
        landing.remove(Lakehouse(s3, shop()), DAY, "orders")

    assert manifests_in(s3) == [manifest]


Asked = list[tuple[Layer, ...]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """The layers of each request for a proof. None of them is proven."""
    calls: Asked = []

    def refuses(settings: Settings, *layers: Layer) -> None:
        calls.append(layers)
        raise StoreError("refused")

    for module in (pipeline, maintain):
        monkeypatch.setattr(module, "ensure_conformance", refuses)
    return calls


class _Observer:
    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: None


@pytest.mark.parametrize(
    ("steps", "layers"),
    [(STEP_NAMES, ("bronze", "silver")), (("bronze",), ("bronze",)), (("silver",), ("silver",)), (("load",), ())],
    ids=["all", "bronze", "silver", "load"],
)
def test_a_run_asks_for_the_layers_that_its_steps_write_before_it_starts_anything(
    tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch, steps: tuple[StepName, ...], layers: Any
) -> None:
    monkeypatch.setattr(pipeline, "SparkWhenNeeded", lambda *given, **more: pytest.fail("Spark was started"))
    units = [Pending(steps[0], "orders", DAY, "not done yet", 1)]

    with pytest.raises(StoreError, match=r"^refused$"):
        pipeline._run_units(Lakehouse(settings_in(tmp_path), shop()), _Observer(), units, steps)

    assert asked == [layers]


def test_a_run_with_nothing_to_do_asks_for_nothing(tmp_path: Path, asked: Asked) -> None:
    assert pipeline._run_units(Lakehouse(settings_in(tmp_path), shop()), _Observer(), [], STEP_NAMES) == []

    assert asked == []


def test_maintain_asks_for_the_layers_that_it_compacts(
    tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warehouse, "prepare", lambda settings: None)

    with pytest.raises(StoreError, match=r"^refused$"):
        maintain.maintain(Lakehouse(settings_in(tmp_path), shop()), lambda text: None)

    assert asked == [("bronze", "silver")]
