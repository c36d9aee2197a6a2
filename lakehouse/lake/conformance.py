"""A layer in an S3 store -> proof, noted in the layer, that the store keeps the promises the lake needs; or StoreError.

    one creates   if many create a key at the same time (`If-None-Match: *`), one succeeds, and its content stays
    one changes   if many change a key at the same time (`If-Match`), one succeeds, and its content stays
    read back     what was written or overwritten is read and listed immediately
    gone          what was deleted is no longer read or listed

Once the note exists, later commands need only one read. The note counts only at the address where it was made, since
the bucket may be a copy. If you replace the store at an address, delete the note. A layer in a folder is not probed:
the kernel's locks protect it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Event

from lakehouse.errors import StoreError
from lakehouse.lake.store import Store, open_store
from lakehouse.settings import Layer, Settings

VERSION = 1  # a higher one makes every store be probed again
NOTE = "_conformance.json"
PROBES = "_probe"
WRITERS = 32
ROUNDS = 3  # a store that first checks and then writes may pass one round by luck


def ensure_conformance(settings: Settings, *layers: Layer) -> None:
    """Probe the stores of these layers that are not proven yet. Called before the layers are written.

    Raises StoreError, which names the broken promise. The next command then probes the store again.
    """
    for layer in layers:
        if not is_proven(settings, layer):
            store = open_store(settings, layer)
            probe(store, _address(settings))
            store.write(NOTE, _note(settings))


def is_proven(settings: Settings, layer: Layer) -> bool:
    """Whether the layer needs no probe. This costs one read."""
    if not settings.layer_url(layer).startswith("s3://"):
        return True
    return open_store(settings, layer).read(NOTE) == _note(settings)


def probe(store: Store, address: str) -> None:
    """Test each promise on new keys, then remove the keys. Keys that a killed probe left behind are harmless.

    Raises StoreError, which names the first broken promise.
    """
    folder = f"{PROBES}/{uuid.uuid4().hex}"
    written = f"{folder}/written"
    created = [f"{folder}/created{n}" for n in range(ROUNDS)]
    changed = [f"{folder}/changed{n}" for n in range(ROUNDS)]
    try:
        # This check comes first, since it needs no conditions: a user who may not write at all gets that error, not a
        # broken promise.
        _is_read_back(store, folder, written)
        for key in created:
            _one_succeeds(store, key, "create a key at the same time (If-None-Match: *)", partial(store.write_new, key))
        for key in changed:
            store.write(key, b"old")
            _one_succeeds(store, key, "change a key at the same time (If-Match)", partial(store.swap, key, b"old"))
        _is_gone(store, folder, written)
    except _Broken as broken:
        raise StoreError(
            f"The store at {address} cannot hold {store.url}: it breaks a promise that the lake rests on.\n"
            f"  promise: {broken.promise}\n"
            f"  found:   {broken.finding}\n"
            "Two runs at the same time could lose data there, so nothing was written.\n"
            "Use MinIO, AWS S3 or another store with conditional writes (LAKEHOUSE_S3_ENDPOINT)."
        ) from None
    finally:
        for key in (written, *created, *changed):
            with suppress(StoreError):
                store.delete(key)


class _Broken(Exception):
    def __init__(self, promise: str, finding: str) -> None:
        super().__init__(promise)
        self.promise = promise
        self.finding = finding


def _is_read_back(store: Store, folder: str, key: str) -> None:
    for n in range(ROUNDS):
        store.write(key, b"%d" % n)
        if (found := store.read(key)) != b"%d" % n:
            what = "nothing" if found is None else "the content of before" if n else "another content"
            raise _Broken("what was written, or written over, is read immediately", f"{what} was read after a write")
    if key not in store.keys(folder):
        raise _Broken("what was written is listed immediately", "a new key was not listed")


def _one_succeeds(store: Store, key: str, what: str, write: Callable[[bytes], bool]) -> None:
    """`write` takes the content to write, and returns whether it wrote it."""
    promise = f"of many who {what} exactly one succeeds, and its content stays"
    winners, refusals = _concurrently(write)
    if refusals:
        store.write(key, b"")  # raises if the store refuses more than the condition
        reason = str(refusals[0]).partition("\n")[0]
        raise _Broken(promise, f"{len(refusals)} of {WRITERS} were answered with an error: {reason}")
    if len(winners) != 1:
        raise _Broken(promise, f"{len(winners) or 'none'} of {WRITERS} were answered with success")
    if store.read(key) != winners[0]:
        raise _Broken(promise, "what is read back is not the content of the one that succeeded")


def _concurrently(write: Callable[[bytes], bool]) -> tuple[list[bytes], list[StoreError]]:
    """The contents whose writers succeeded according to the store, and the errors of the others."""
    begin = Event()
    winners: list[bytes] = []
    refusals: list[StoreError] = []

    def one(content: bytes) -> None:
        begin.wait()
        try:
            if write(content):
                winners.append(content)
        except StoreError as error:
            refusals.append(error)

    with ThreadPoolExecutor(WRITERS, thread_name_prefix="probe") as pool:
        try:
            done = [pool.submit(one, b"%d" % n) for n in range(WRITERS)]
        finally:
            begin.set()  # even when a thread could not be started, since the others would wait indefinitely
        for future in done:
            future.result()
    return winners, refusals


def _is_gone(store: Store, folder: str, key: str) -> None:
    promise = "what was deleted is gone immediately"
    store.delete(key)
    if store.read(key) is not None:
        raise _Broken(promise, "a deleted key was read")
    if key in store.keys(folder):
        raise _Broken(promise, "a deleted key was listed")


def _address(settings: Settings) -> str:
    return settings.s3_endpoint or "AWS"


def _note(settings: Settings) -> bytes:
    return json.dumps({"endpoint": _address(settings), "probe": VERSION}).encode() + b"\n"
