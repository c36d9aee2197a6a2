"""A layer's address -> one small interface for a local folder or a bucket of an S3 store.

Keys are relative, with `/`. A write is atomic: readers see the old content or the new one, never a part.
Every method raises StoreError when the store cannot be reached, refuses, or is full.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from lakehouse.errors import StoreError
from lakehouse.settings import Layer, Settings


class Store(Protocol):
    """The store of one layer of the lake."""

    @property
    def url(self) -> str:
        """Where the layer is: an absolute folder, or `s3://bucket[/prefix]`."""

    def read(self, key: str) -> bytes | None:
        """The whole content of a key. None if there is no such key."""

    def open(self, key: str) -> BinaryIO:
        """The content as a stream to be read once, from the start. Raises StoreError if there is no such key."""

    def write(self, key: str, data: bytes) -> None:
        """Replace the content."""

    def write_new(self, key: str, data: bytes) -> bool:
        """Write only if there is no such key. If several write at the same time, exactly one of them gets True."""

    def swap(self, key: str, old: bytes | None, new: bytes) -> bool:
        """Write only if the content is still `old` (None: no such key). Otherwise return False and write nothing."""

    def copy_in(self, key: str, stream: BinaryIO) -> None:
        """Replace the content with the whole stream. Writes nothing if reading the stream fails."""

    def keys(self, prefix: str) -> list[str]:
        """All keys below the folder `prefix`, sorted."""

    def versions(self, prefix: str) -> dict[str, str]:
        """All keys below the folder `prefix`, each with a mark that changes when its content changes."""

    def folders(self, prefix: str) -> list[str]:
        """Names of the folders directly below the folder `prefix`, sorted."""

    def delete(self, key: str) -> None:
        """Remove the key. It is no error if there is no such key."""

    def delta_url(self, key: str) -> str:
        """The address of a Delta table for delta-rs."""

    def delta_options(self) -> dict[str, str]:
        """The storage_options for delta-rs."""

    def spark_url(self, key: str) -> str:
        """The address of a Delta table for Spark."""

    @property
    def spark_commits_atomically(self) -> bool:
        """Whether Spark's commit to a Delta table never overwrites another commit, with Delta's own log store."""


def open_store(settings: Settings, layer: Layer) -> Store:
    """The store of a layer. This does not connect to the store yet."""
    url = settings.layer_url(layer)
    if not url.startswith("s3://"):
        return LocalStore(Path(url))
    # Imported here: minio takes a fifth of a second, and a local lake does not need it.
    from lakehouse.lake.s3 import S3Store

    return S3Store(url, settings, layer)


class LocalStore:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    @property
    def url(self) -> str:
        return str(self._root)

    def read(self, key: str) -> bytes | None:
        with self._reporting(key):
            try:
                return self._path(key).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def open(self, key: str) -> BinaryIO:
        with self._reporting(key):
            return self._path(key).open("rb")

    def write(self, key: str, data: bytes) -> None:
        self.copy_in(key, io.BytesIO(data))

    def write_new(self, key: str, data: bytes) -> bool:
        return self.swap(key, None, data)

    def swap(self, key: str, old: bytes | None, new: bytes) -> bool:
        with self._reporting(key), self._alone_in(self._folder(key)):
            if self.read(key) != old:
                return False
            self.write(key, new)
            return True

    def copy_in(self, key: str, stream: BinaryIO) -> None:
        with self._reporting(key):
            part = self._folder(key) / f".{uuid.uuid4().hex}.part"
            try:
                with part.open("wb") as file:
                    shutil.copyfileobj(stream, file, 1024 * 1024)
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(self._path(key))
            finally:
                part.unlink(missing_ok=True)

    def keys(self, prefix: str) -> list[str]:
        with self._reporting(prefix):
            files = (Path(folder) / name for folder, _, names in os.walk(self._path(prefix)) for name in names)
            return sorted(f.relative_to(self._root).as_posix() for f in files if not f.name.endswith(".part"))

    def versions(self, prefix: str) -> dict[str, str]:
        marks: dict[str, str] = {}
        for key in self.keys(prefix):
            with self._reporting(key), suppress(FileNotFoundError):  # the file was deleted after it was listed
                status = self._path(key).stat()
                marks[key] = f"{status.st_mtime_ns}-{status.st_size}"
        return marks

    def folders(self, prefix: str) -> list[str]:
        with self._reporting(prefix):
            try:
                with os.scandir(self._path(prefix)) as entries:
                    return sorted(entry.name for entry in entries if entry.is_dir())
            except (FileNotFoundError, NotADirectoryError):
                return []

    def delete(self, key: str) -> None:
        with self._reporting(key):
            self._path(key).unlink(missing_ok=True)

    def delta_url(self, key: str) -> str:
        return str(self._path(key))

    def delta_options(self) -> dict[str, str]:
        return {}

    def spark_url(self, key: str) -> str:
        return str(self._path(key))

    @property
    def spark_commits_atomically(self) -> bool:
        return True

    def _path(self, key: str) -> Path:
        return self._root / PurePosixPath(key)

    def _folder(self, key: str) -> Path:
        folder = self._path(key).parent
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def _alone_in(self, folder: Path) -> Iterator[None]:
        """Let one process at a time write in a folder. The lock is on the folder itself and ends with the process."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _reporting(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StoreError(
                    f"No space left for {self._path(key)}: it was not written.\n"
                    "Free space on that disk, or point LAKEHOUSE_HOME to another one, and run the command again."
                ) from error
            raise StoreError(f"{self._path(key)} cannot be used: {error.strerror or error}.") from error
