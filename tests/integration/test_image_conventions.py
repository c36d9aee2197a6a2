"""This project's MinIO can replace the official one; neither server starts without a password."""

from __future__ import annotations

import io

import pytest
from testcontainers.community.minio import MinioContainer
from testcontainers.core.container import DockerContainer

from tests.support.servers import image_of, labels


def test_minio_has_the_root_user_it_was_given(engine: None) -> None:
    container = MinioContainer(
        image=image_of("minio"), access_key="shopkeeper", secret_key="long-enough", labels=labels()
    )

    with container as minio:
        client = minio.get_client()
        client.make_bucket("shop")
        client.put_object("shop", "key", io.BytesIO(b"content"), 7)
        with client.get_object("shop", "key") as response:
            assert response.read() == b"content"


@pytest.mark.parametrize(
    ("service", "says"),
    [("minio", "The root user needs a name and a password"), ("postgres", "The superuser needs a password")],
)
def test_neither_server_starts_without_a_password(engine: None, service: str, says: str) -> None:
    with DockerContainer(image_of(service), labels=labels()) as container:
        status = container.wait()
        said = b"".join(container.get_logs()).decode()

    assert status != 0
    assert says in said
