"""Our images take the place of the official ones: testcontainers starts them as it starts those."""

from __future__ import annotations

import io
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from testcontainers.community.minio import MinioContainer
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.container import DockerContainer

from tests.support.servers import image_of, labels

SCRIPT = b"create table from_script as select current_user::text as who"
NOT_SYNCED = "postgres -c fsync=off -c full_page_writes=off -c synchronous_commit=off"


def test_postgres_has_the_user_the_database_and_the_scripts_it_was_given(engine: None, tmp_path: Path) -> None:
    (tmp_path / "1.sql").write_bytes(SCRIPT)
    container = PostgresContainer(
        image=image_of("postgres"),
        username="shopkeeper",
        password='it\'s a "secret"',
        dbname="shop",
        driver=None,
        labels=labels(),
    )
    container.with_command(NOT_SYNCED)
    container.with_copy_into_container(tmp_path / "1.sql", "/docker-entrypoint-initdb.d/1.sql")

    with container as postgres, closing(psycopg2.connect(postgres.get_connection_url())) as connection:
        cursor = connection.cursor()
        cursor.execute("select current_database(), who, current_setting('fsync') from from_script")
        found = cursor.fetchall()
        cursor.execute("select rolname::text from pg_roles where rolname !~ '^pg_'")
        roles = cursor.fetchall()

    assert found == [("shop", "shopkeeper", "off")]
    assert roles == [("shopkeeper",)]  # nothing of ours, where nobody asked for it


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
def test_without_a_password_neither_starts(engine: None, service: str, says: str) -> None:
    with DockerContainer(image_of(service), labels=labels()) as container:
        status = container.wait()
        said = b"".join(container.get_logs()).decode()

    assert status != 0
    assert says in said
