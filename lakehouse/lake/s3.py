"""A bucket of an S3 store, or a prefix in it -> the interface of store.py, through the `minio` client."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, cast
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.credentials.providers import AWSConfigProvider, ChainedProvider, EnvAWSProvider, IamAwsProvider
from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError

from lakehouse.errors import StoreError
from lakehouse.settings import Layer, Settings

PART_SIZE = 16 * 1024 * 1024


class S3Store:
    """A bucket, or a prefix in it, of AWS or of a compatible store (MinIO)."""

    def __init__(self, url: str, settings: Settings, layer: Layer) -> None:
        self._url = url
        self._bucket, _, prefix = url.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._endpoint = settings.s3_endpoint
        self._region = settings.s3_region
        self._user = settings.store_user(layer)
        address = urlsplit(self._endpoint or "https://s3.amazonaws.com")
        own_identity = ChainedProvider([EnvAWSProvider(), AWSConfigProvider(), IamAwsProvider()])
        self._client = Minio(
            address.netloc or address.path,
            access_key=self._user.access_key if self._user else None,
            secret_key=self._user.secret_key if self._user else None,
            credentials=None if self._user else own_identity,
            secure=address.scheme != "http",
            region=self._region,
            # By default the client waits five minutes for an absent host.
            http_client=urllib3.PoolManager(
                maxsize=32,  # conformance.py has as many writers; urllib3 warns about each further connection
                timeout=urllib3.Timeout(connect=5, read=120),
                retries=urllib3.Retry(total=3, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
            ),
        )

    @property
    def url(self) -> str:
        return self._url

    def read(self, key: str) -> bytes | None:
        found = self._read_with_etag(key)
        return found[0] if found else None

    def open(self, key: str) -> BinaryIO:
        with self._reporting(key):
            response = self._client.get_object(self._bucket, self._object(key))
            return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, _Body(response)), PART_SIZE // 16))

    def write(self, key: str, data: bytes) -> None:
        with self._reporting(key):
            self._client.put_object(self._bucket, self._object(key), io.BytesIO(data), len(data))

    def write_new(self, key: str, data: bytes) -> bool:
        return self._write_if(key, data, {"If-None-Match": "*"})

    def swap(self, key: str, old: bytes | None, new: bytes) -> bool:
        if old is None:
            return self.write_new(key, new)
        found = self._read_with_etag(key)
        if found is None or found[0] != old:
            return False
        return self._write_if(key, new, {"If-Match": found[1]})

    def copy_in(self, key: str, stream: BinaryIO) -> None:
        with self._reporting(key):
            self._client.put_object(self._bucket, self._object(key), stream, length=-1, part_size=PART_SIZE)

    def keys(self, prefix: str) -> list[str]:
        with self._reporting(prefix):
            found = self._client.list_objects(self._bucket, self._folder(prefix), recursive=True)
            return sorted(str(item.object_name).removeprefix(self._prefix) for item in found)

    def versions(self, prefix: str) -> dict[str, str]:
        with self._reporting(prefix):
            found = self._client.list_objects(self._bucket, self._folder(prefix), recursive=True)
            return {str(item.object_name).removeprefix(self._prefix): str(item.etag) for item in found}

    def folders(self, prefix: str) -> list[str]:
        with self._reporting(prefix):
            found = self._client.list_objects(self._bucket, self._folder(prefix))
            return sorted(str(item.object_name).rstrip("/").rsplit("/", 1)[-1] for item in found if item.is_dir)

    def delete(self, key: str) -> None:
        with self._reporting(key):
            self._client.remove_object(self._bucket, self._object(key))

    def delta_url(self, key: str) -> str:
        return f"s3://{self._bucket}/{self._object(key)}"

    def delta_options(self) -> dict[str, str]:
        options = {"AWS_REGION": self._region, "aws_conditional_put": "etag"}
        if self._endpoint:
            options |= {"AWS_ENDPOINT_URL": self._endpoint, "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false"}
            if self._endpoint.startswith("http://"):
                options["AWS_ALLOW_HTTP"] = "true"
        if self._user:
            options |= {
                "AWS_ACCESS_KEY_ID": self._user.access_key,
                "AWS_SECRET_ACCESS_KEY": self._user.secret_key,
            }
        return options

    def spark_url(self, key: str) -> str:
        return f"s3a://{self._bucket}/{self._object(key)}"

    @property
    def spark_commits_atomically(self) -> bool:
        return False  # S3A first checks whether the file exists, then writes it: of several writers, all succeed

    def _object(self, key: str) -> str:
        return self._prefix + key

    def _folder(self, prefix: str) -> str:
        return self._object(f"{prefix}/" if prefix else "")

    def _read_with_etag(self, key: str) -> tuple[bytes, str] | None:
        with self._reporting(key):
            try:
                response = self._client.get_object(self._bucket, self._object(key))
            except S3Error as error:
                if error.code == "NoSuchKey":
                    return None
                raise
            try:
                return response.read(), response.headers["ETag"]
            finally:
                response.close()
                response.release_conn()

    def _write_if(self, key: str, data: bytes, condition: dict[str, str]) -> bool:
        with self._reporting(key):
            try:
                # minio's public put_object takes no conditions (7.2.20); _put_object takes the request's headers.
                self._client._put_object(self._bucket, self._object(key), data, headers=dict(condition))
            except S3Error as error:
                # 409: another conditional write of the same key is running and will win.
                if error.code in ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"):
                    return False
                raise
            return True

    @contextmanager
    def _reporting(self, key: str) -> Iterator[None]:
        where = self._endpoint or "AWS"
        try:
            yield
        except S3Error as error:
            raise StoreError(
                f"The store at {where} refused {self._url}/{key}: {error.code}: {error.message}\n"
                "Check that the bucket exists and that LAKEHOUSE_S3_ACCESS_KEY may use it (`lakehouse doctor`)."
            ) from error
        except (MinioException, HTTPError, ValueError) as error:
            raise StoreError(
                f"The store at {where} cannot be reached for {self._url}/{key}: {error}\n"
                "Check LAKEHOUSE_S3_ENDPOINT and that the store is running (`lakehouse doctor`)."
            ) from error
        except OSError as error:
            raise StoreError(f"{self._url}/{key} was not written: {error.strerror or error}.") from error


class _Body(io.RawIOBase):
    """A response's body as a raw stream. Closing the stream returns the connection to the pool."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        data = self._response.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            with suppress(HTTPError):
                self._response.close()
                self._response.release_conn()
        super().close()
