#!/opt/minio-init/bin/python
"""An empty store -> a bucket per layer, and per layer one user that writes to it and reads the layer before.

Idempotent: it runs at every start of the stack and changes only what is missing or different. The keys are files in
/run/secrets: store_root_user, store_root_password, store_<layer>_access_key, store_<layer>_secret_key. STORE_ENDPOINT
is the address. Names of buckets begin with STORE_BUCKET_PREFIX, which is LAKEHOUSE_S3_BUCKET_PREFIX in
lakehouse/settings.py.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
from minio import Minio, MinioAdmin
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException, S3Error

SECRETS = Path(os.environ.get("STORE_SECRETS_DIR", "/run/secrets"))
ENDPOINT = os.environ.get("STORE_ENDPOINT") or "http://minio:9000"
PREFIX = os.environ.get("STORE_BUCKET_PREFIX", "")
PATIENCE_SECONDS = 60
REFUSALS = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied")
HTTP = urllib3.PoolManager(timeout=urllib3.Timeout(connect=2, read=20), retries=False)

# Layer -> the other layers that its user reads.
READS: dict[str, list[str]] = {"landing": [], "bronze": ["landing"], "silver": ["bronze"]}

BUCKET_READ = ["s3:GetBucketLocation", "s3:ListBucket"]
OBJECT_READ = ["s3:GetObject"]
# Large files are uploaded in parts.
BUCKET_WRITE = ["s3:ListBucketMultipartUploads"]
OBJECT_WRITE = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]

log = logging.getLogger("minio-init")


class InitError(Exception):
    """Says what failed, and what to do."""


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        check_prefix()
        keys = {layer: (read(f"store_{layer}_access_key"), read(f"store_{layer}_secret_key")) for layer in READS}
        root, admin = connect(read("store_root_user"), read("store_root_password"))
        for layer in READS:
            make_bucket(root, bucket_of(layer))
        make_policies(admin)
        make_users(admin, keys)
    except InitError as error:
        sys.exit(str(error))
    except (S3Error, MinioAdminException, urllib3.exceptions.HTTPError) as error:
        sys.exit(f"A request to the store at {ENDPOINT} failed: {error}")


def check_prefix() -> None:
    # As in lakehouse/settings.py, which this image does not have.
    if PREFIX and not re.fullmatch(r"(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9][a-z0-9-]{0,55}", PREFIX):
        raise InitError(
            f"STORE_BUCKET_PREFIX is {PREFIX!r}, which cannot begin the name of a bucket: use up to 56 lower-case "
            "letters, digits and hyphens, starting with a letter or digit, not with xn--, sthree- or amzn-s3-demo-."
        )


def read(name: str) -> str:
    try:
        value = (SECRETS / name).read_text().strip()
    except OSError as error:
        raise InitError(f"{SECRETS / name} cannot be read: {error.strerror}. secrets-init creates it.") from error
    if not value:
        raise InitError(f"{SECRETS / name} is empty. secrets-init creates it.")
    return value


def connect(root_user: str, root_password: str) -> tuple[Minio, MinioAdmin]:
    """Wait until the store answers; return both clients of root. Raises InitError if this takes too long or fails."""
    root = client(root_user, root_password)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            root.list_buckets()
            break
        except S3Error as error:
            if error.code in REFUSALS:
                raise InitError(
                    f"The store at {ENDPOINT} refuses its root user ({error.code}): the running server was started "
                    f"with another store_root_user or store_root_password than those in {SECRETS}.\n"
                    "Restart it, it reads them when it starts: docker compose restart minio"
                ) from error
            answer = f"{error.code}: {error.message}"  # the store is starting up
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            answer = str(error)
        if time.monotonic() > deadline:
            raise InitError(
                f"The store at {ENDPOINT} is not ready after {PATIENCE_SECONDS} s; its last answer: {answer}\n"
                "See its log (docker compose logs minio), or correct STORE_ENDPOINT."
            )
        time.sleep(0.2)
    endpoint, secure = address()
    return root, MinioAdmin(
        endpoint=endpoint, credentials=StaticProvider(root_user, root_password), secure=secure, http_client=HTTP
    )


def client(access_key: str, secret_key: str) -> Minio:
    endpoint, secure = address()
    return Minio(endpoint=endpoint, access_key=access_key, secret_key=secret_key, secure=secure, http_client=HTTP)


def address() -> tuple[str, bool]:
    """The store's host with port, and whether the connection uses TLS."""
    url = urlsplit(ENDPOINT)
    if url.scheme not in ("http", "https") or not url.netloc:
        raise InitError(f"STORE_ENDPOINT is {ENDPOINT}: write http://host:port or https://host:port.")
    return url.netloc, url.scheme == "https"


def bucket_of(layer: str) -> str:
    return f"{PREFIX}{layer}"


def make_bucket(root: Minio, bucket: str) -> None:
    if not root.bucket_exists(bucket_name=bucket):
        root.make_bucket(bucket_name=bucket)
        log.info("Made bucket %s", bucket)
    try:
        root.get_bucket_policy(bucket_name=bucket)
    except S3Error as error:
        if error.code != "NoSuchBucketPolicy":
            raise
    else:
        # A bucket's own policy can grant access without a key.
        root.delete_bucket_policy(bucket_name=bucket)
        log.info("Removed the policy of bucket %s: reading it needs a key", bucket)


def make_policies(admin: MinioAdmin) -> None:
    present = json.loads(admin.policy_list())
    for layer in READS:
        name = policy_name(layer)
        if name not in present or in_order(present[name]) != in_order(policy(layer)):
            admin.policy_add(name, policy=policy(layer))
            log.info("Made policy %s", name)


def make_users(admin: MinioAdmin, keys: dict[str, tuple[str, str]]) -> None:
    """Create the user of each layer, with its policy and no other; remove the users of replaced keys."""
    present: dict[str, Any] = json.loads(admin.user_list())
    for layer, (access_key, secret_key) in keys.items():
        has_policy = present.get(access_key, {}).get("policyName") == policy_name(layer)
        if not has_policy or not may_enter(layer, access_key, secret_key):
            admin.user_add(access_key, secret_key)
            admin.policy_set(policy_name(layer), user=access_key)
            log.info("Made the user of %s", layer)
    current = {access_key for access_key, _ in keys.values()}
    policies = {policy_name(layer) for layer in READS}
    for access_key, user in present.items():
        if access_key not in current and policies & set(user.get("policyName", "").split(",")):
            admin.user_remove(access_key)
            log.info("Removed a former user of %s", user["policyName"])


def may_enter(layer: str, access_key: str, secret_key: str) -> bool:
    try:
        next(iter(client(access_key, secret_key).list_objects(bucket_name=bucket_of(layer))), None)
    except S3Error as error:
        if error.code in REFUSALS:
            return False
        raise
    return True


def policy_name(layer: str) -> str:
    return f"lakehouse-{bucket_of(layer)}"


def policy(layer: str) -> dict[str, Any]:
    """Everything that the user of a layer may do."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            *allow(layer, BUCKET_READ + BUCKET_WRITE, OBJECT_READ + OBJECT_WRITE),
            *(statement for other in READS[layer] for statement in allow(other, BUCKET_READ, OBJECT_READ)),
            # By default a user may create further keys, which would outlive a changed secret key.
            {"Effect": "Deny", "Action": ["admin:*"]},
        ],
    }


def allow(layer: str, on_bucket: list[str], on_objects: list[str]) -> list[dict[str, Any]]:
    bucket = f"arn:aws:s3:::{bucket_of(layer)}"
    return [
        {"Effect": "Allow", "Action": on_bucket, "Resource": [bucket]},
        {"Effect": "Allow", "Action": on_objects, "Resource": [f"{bucket}/*"]},
    ]


def in_order(document: Any) -> Any:
    """Sort the lists: policies treat them as sets, and the store returns them in another order."""
    if isinstance(document, dict):
        return {name: in_order(value) for name, value in document.items()}
    if isinstance(document, list):
        return sorted((in_order(value) for value in document), key=repr)
    return document


if __name__ == "__main__":
    main()
