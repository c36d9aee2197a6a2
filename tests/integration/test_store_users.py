"""Who may do what in the store after minio-init: each layer's user only its work, a client without a key nothing."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from minio import Minio
from minio.error import MinioAdminException, S3Error

from lakehouse.errors import StoreError
from lakehouse.lake.store import open_store
from lakehouse.settings import LAYERS, Layer, Settings
from tests.support.servers import StoreServer, store_server

# bucket -> who reads it, who writes it
READERS = {"landing": {"landing", "bronze"}, "bronze": {"bronze", "silver"}, "silver": {"silver"}}
WRITERS = {"landing": {"landing"}, "bronze": {"bronze"}, "silver": {"silver"}}
KEY = "shop/there.csv"


def lists(client: Minio, bucket: str, folder: str) -> None:
    assert [found.object_name for found in client.list_objects(bucket, f"{folder}/", recursive=True)]


def reads(client: Minio, bucket: str, folder: str) -> None:
    with client.get_object(bucket, f"{folder}/{KEY}") as response:
        assert response.read() == b"there"


def writes(client: Minio, bucket: str, folder: str) -> None:
    client.put_object(bucket, f"{folder}/new.csv", io.BytesIO(b"new"), 3)


def overwrites(client: Minio, bucket: str, folder: str) -> None:
    client.put_object(bucket, f"{folder}/{KEY}", io.BytesIO(b"new"), 3)


def deletes(client: Minio, bucket: str, folder: str) -> None:
    client.remove_object(bucket, f"{folder}/{KEY}")


ACTS = {
    act.__name__: (act, who)
    for act, who in ((lists, READERS), (reads, READERS), (writes, WRITERS), (overwrites, WRITERS), (deletes, WRITERS))
}


def client_of(store: StoreServer, user: str) -> Minio:
    return store.client() if user == "anonymous" else store.client(*store.keys_of(user))  # type: ignore[arg-type]


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("bucket", LAYERS)
@pytest.mark.parametrize("user", [*LAYERS, "anonymous"])
def test_a_user_does_its_layers_work_and_no_more(
    store: StoreServer, lake: Settings, user: str, bucket: Layer, act: str
) -> None:
    do, allowed = ACTS[act]
    folder = lake.workspace_name
    open_store(lake, bucket).write(KEY, b"there")

    try:
        do(client_of(store, user), bucket, folder)
        did = True
    except S3Error as error:
        assert error.code == "AccessDenied", error
        did = False

    assert did == (user in allowed[bucket])
    layer = open_store(lake, bucket)
    assert did or (layer.keys(""), layer.read(KEY)) == ([KEY], b"there")


@pytest.mark.parametrize("user", [*LAYERS, "anonymous"])
def test_only_root_makes_and_removes_buckets_and_opens_them_to_others(store: StoreServer, user: str) -> None:
    client = client_of(store, user)
    everyone = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::landing/*"]}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [everyone]})

    for attempt in (
        lambda: client.make_bucket("another"),
        lambda: client.remove_bucket("silver"),
        lambda: client.set_bucket_policy("landing", policy),
        lambda: client.delete_bucket_policy("landing"),
    ):
        with pytest.raises(S3Error, match="AccessDenied"):
            attempt()

    assert sorted(bucket.name for bucket in store.root().list_buckets()) == sorted(LAYERS)


@pytest.mark.parametrize("user", LAYERS)
def test_only_root_makes_users_and_keys(store: StoreServer, user: Layer) -> None:
    admin = store.admin(*store.keys_of(user))
    before = store.root_admin().user_list()

    for attempt in (
        lambda: admin.user_add("another", "another-secret"),
        lambda: admin.policy_set("readwrite", user=store.keys_of(user)[0]),
        lambda: admin.add_service_account(access_key="further", secret_key="further-secret"),
        lambda: admin.user_list(),
        lambda: admin.info(),
    ):
        with pytest.raises(MinioAdminException, match="AccessDenied"):
            attempt()

    assert json.loads(store.root_admin().user_list()) == json.loads(before)


def test_a_refused_write_names_the_layer(store: StoreServer, lake: Settings) -> None:
    silver = {"s3_access_key": store.keys_of("silver")[0], "s3_secret_key": store.keys_of("silver")[1]}
    as_silver = Settings.model_validate({**lake.model_dump(), **silver})

    with pytest.raises(StoreError, match=r"refused s3://bronze/.*/shop/x: AccessDenied(.|\n)*lakehouse doctor"):
        open_store(as_silver, "bronze").write("shop/x", b"")


@pytest.fixture(scope="module")
def own_store(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    """A store whose users and keys the tests below change."""
    with store_server(tmp_path_factory.mktemp("own-store") / "secrets") as server:
        yield server


def all_that_init_makes(store: StoreServer) -> dict[str, Any]:
    """Users and buckets with the time of their last change."""
    admin, root = store.root_admin(), store.root()
    return {
        "users": json.loads(admin.user_list()),
        "policies": in_order(json.loads(admin.policy_list())),
        "buckets": sorted((bucket.name, bucket.creation_date) for bucket in root.list_buckets()),
    }


def in_order(document: Any) -> Any:
    """Sort the lists: policies treat them as sets, and the store returns them in any order."""
    if isinstance(document, dict):
        return {name: in_order(value) for name, value in document.items()}
    if isinstance(document, list):
        return sorted((in_order(value) for value in document), key=repr)
    return document


def test_init_again_changes_nothing_but_what_a_user_has_changed(own_store: StoreServer) -> None:
    before = all_that_init_makes(own_store)
    assert own_store.init() == ""
    assert all_that_init_makes(own_store) == before
    everyone = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::landing/*"]}
    root, admin = own_store.root(), own_store.root_admin()
    root.set_bucket_policy("landing", json.dumps({"Version": "2012-10-17", "Statement": [everyone]}))
    root.put_object("landing", "x", io.BytesIO(b"open"), 4)
    with own_store.client().get_object("landing", "x") as opened:
        assert opened.read() == b"open"
    admin.policy_set("readwrite", user=own_store.keys_of("bronze")[0])

    said = own_store.init()

    assert "Removed the policy of bucket landing" in said
    assert "Made the user of bronze" in said
    with pytest.raises(S3Error, match="AccessDenied"):
        own_store.client().get_object("landing", "x")
    with pytest.raises(S3Error, match="AccessDenied"):
        own_store.client(*own_store.keys_of("bronze")).put_object("silver", "x", io.BytesIO(), 0)
    assert own_store.init() == ""


def test_changed_keys_replace_the_user(own_store: StoreServer) -> None:
    bronze, silver = own_store.keys_of("bronze"), own_store.keys_of("silver")
    own_store.root().put_object("silver", "kept", io.BytesIO(), 0)
    own_store.replace_secret("store_bronze_secret_key")
    own_store.replace_secret("store_silver_access_key")

    said = own_store.init()

    assert said.splitlines() == [
        "Made the user of bronze",
        "Made the user of silver",
        "Removed a former user of lakehouse-silver",
    ]
    for layer, old, refusal in (("bronze", bronze, "SignatureDoesNotMatch"), ("silver", silver, "InvalidAccessKeyId")):
        with pytest.raises(S3Error, match=refusal):
            own_store.client(*old).put_object(layer, "new", io.BytesIO(), 0)
        own_store.client(*own_store.keys_of(layer)).put_object(layer, "new", io.BytesIO(), 0)  # type: ignore[arg-type]
    assert [found.object_name for found in own_store.root().list_objects("silver")] == ["kept", "new"]


def test_init_with_another_root_password_says_what_to_do(own_store: StoreServer) -> None:
    right = own_store.replace_secret("store_root_password")

    with pytest.raises(AssertionError, match=r"refuses its root user(.|\n)*docker compose restart minio"):
        own_store.init()

    (own_store.folder / "store_root_password").write_text(right)


def test_no_key_is_in_the_logs_or_in_what_docker_inspect_shows(own_store: StoreServer) -> None:
    own_store.replace_secret("store_bronze_secret_key")
    shown = own_store.init() + own_store.says() + json.dumps(own_store.container.get_wrapped_container().attrs)

    assert "/run/secrets/store_root_user" in shown
    assert [file.name for file in own_store.folder.iterdir() if file.read_text().strip() in shown] == []
