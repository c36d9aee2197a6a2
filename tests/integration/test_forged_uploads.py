"""The store accepts no upload with an invalid signature, above all none that uses MinIO's two unfixed flaws.

In both, a client that knows only an access key can write, with an upload "with unsigned trailer":
  CVE-2026-41145  the address names the key; MinIO checks the signature only if it is in the header Authorization
  CVE-2026-40344  an archive to be unpacked (`snowball`); MinIO does not check the signature
The image is compiled without this kind of upload (minio_init/Dockerfile).
"""

from __future__ import annotations

import io
import tarfile
import zlib
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
import urllib3
from minio import Minio
from minio.commonconfig import SnowballObject
from minio.error import S3Error

from lakehouse.lake.store import open_store
from lakehouse.settings import Settings
from tests.support.servers import StoreServer

CONTENT = b"forged"
FORGED = "0" * 64
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
REFUSED = range(400, 500)


class Forger:
    """A client that knows only the access key of the layer landing."""

    def __init__(self, store: StoreServer, prefix: str) -> None:
        self.store = store
        self.prefix = prefix
        self.now = datetime.now(UTC)
        self.credential = f"{store.keys_of('landing')[0]}/{self.now:%Y%m%d}/us-east-1/s3/aws4_request"

    def put(
        self,
        name: str,
        body: bytes,
        in_address: bool = False,
        kind: str = UNSIGNED_TRAILER,
        query: dict[str, str] | None = None,
        **headers: str,
    ) -> int:
        """The status of an upload to `landing/<prefix>/<name>`; the access key in the address or in a header."""
        given = {
            "x-amz-content-sha256": kind,
            "x-amz-date": f"{self.now:%Y%m%dT%H%M%SZ}",
            **{header.replace("_", "-"): value for header, value in headers.items()},
        }
        signed = "host;x-amz-content-sha256;x-amz-date"
        address = dict(query or {})
        if in_address:
            address |= {
                "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
                "X-Amz-Credential": self.credential,
                "X-Amz-Date": given["x-amz-date"],
                "X-Amz-Expires": "600",
                "X-Amz-SignedHeaders": signed,
                "X-Amz-Signature": FORGED,
            }
        else:
            given["authorization"] = (
                f"AWS4-HMAC-SHA256 Credential={self.credential}, SignedHeaders={signed}, Signature={FORGED}"
            )
        url = f"{self.store.endpoint}/landing/{self.prefix}/{name}?{urlencode(address)}"
        return urllib3.request("PUT", url, body=body, headers=given, retries=False).status

    def put_chunks(self, name: str, in_address: bool, query: dict[str, str] | None = None) -> int:
        """CONTENT as one chunk, with its checksum as trailer."""
        checksum = b64encode(zlib.crc32(CONTENT).to_bytes(4, "big"))
        body = b"%x\r\n%s\r\n0\r\nx-amz-checksum-crc32:%s\r\n\r\n" % (len(CONTENT), CONTENT, checksum)
        return self.put(
            name,
            body,
            in_address,
            query=query,
            content_encoding="aws-chunked",
            x_amz_decoded_content_length=str(len(CONTENT)),
            x_amz_trailer="x-amz-checksum-crc32",
        )


@pytest.fixture
def forger(store: StoreServer, lake: Settings) -> Forger:
    return Forger(store, lake.workspace_name)


@pytest.fixture
def owner(store: StoreServer) -> Minio:
    """The client that also has the secret key."""
    return store.client(*store.keys_of("landing"))


def present(store: StoreServer, prefix: str) -> list[str]:
    return [str(found.object_name) for found in store.root().list_objects("landing", f"{prefix}/", recursive=True)]


BY_ADDRESS = pytest.mark.parametrize("in_address", [True, False], ids=["key in the address", "key in a header"])


@BY_ADDRESS
def test_a_forged_upload_with_unsigned_trailer_is_refused(forger: Forger, in_address: bool) -> None:
    status = forger.put_chunks("forged", in_address)

    assert status in REFUSED
    assert present(forger.store, forger.prefix) == []


@BY_ADDRESS
def test_a_forged_part_of_another_users_upload_is_refused(forger: Forger, owner: Minio, in_address: bool) -> None:
    name = f"{forger.prefix}/large"
    upload = owner._create_multipart_upload("landing", name, {})

    status = forger.put_chunks("large", in_address, query={"partNumber": "1", "uploadId": upload})

    assert status in REFUSED
    assert owner._list_parts("landing", name, upload).parts == []
    owner._abort_multipart_upload("landing", name, upload)


@BY_ADDRESS
def test_a_forged_archive_is_not_unpacked(forger: Forger, in_address: bool) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo(f"{forger.prefix}/unpacked")
        member.size = len(CONTENT)
        tar.addfile(member, io.BytesIO(CONTENT))

    status = forger.put(
        "archive.tar",
        archive.getvalue(),
        in_address,
        x_amz_meta_snowball_auto_extract="true",
        x_amz_decoded_content_length=str(len(archive.getvalue())),
    )

    assert status in REFUSED
    assert present(forger.store, forger.prefix) == []


@pytest.mark.parametrize(
    "kind",
    ["UNSIGNED-PAYLOAD", FORGED, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"],
)
@BY_ADDRESS
def test_a_forged_upload_of_any_other_kind_is_refused(forger: Forger, kind: str, in_address: bool) -> None:
    status = forger.put("forged", CONTENT, in_address, kind=kind, x_amz_decoded_content_length=str(len(CONTENT)))

    assert status in REFUSED
    assert present(forger.store, forger.prefix) == []


def test_the_same_uploads_with_a_valid_signature_are_accepted(lake: Settings, store: StoreServer, owner: Minio) -> None:
    prefix = lake.workspace_name
    address = owner.presigned_put_object("landing", f"{prefix}/by address", timedelta(minutes=5))

    owner.put_object("landing", f"{prefix}/whole", io.BytesIO(CONTENT), len(CONTENT))
    open_store(lake, "landing").copy_in("in parts", io.BytesIO(bytes(17 * 1024 * 1024)))
    owner.upload_snowball_objects(
        "landing", [SnowballObject(f"{prefix}/unpacked", data=io.BytesIO(CONTENT), length=len(CONTENT))]
    )
    by_address = urllib3.request("PUT", address, body=CONTENT, retries=False).status

    assert by_address == 200
    unpacked_and_others = [name for name in present(store, prefix) if "snowball" not in name]
    assert unpacked_and_others == [f"{prefix}/{name}" for name in ("by address", "in parts", "unpacked", "whole")]


def test_a_wrong_secret_key_is_refused(lake: Settings, store: StoreServer) -> None:
    access_key, _ = store.keys_of("landing")

    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        store.client(access_key, "wrong-secret-key").put_object(
            "landing", f"{lake.workspace_name}/x", io.BytesIO(CONTENT), len(CONTENT)
        )
