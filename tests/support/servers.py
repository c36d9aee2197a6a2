"""Containers of this project's images, run as docker-compose.yml runs them, and what clients need to reach them."""

from __future__ import annotations

import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import urllib3
import yaml
from docker.errors import NotFound
from docker.types import Mount
from minio import Minio, MinioAdmin
from minio.credentials import StaticProvider
from psycopg2.extensions import connection as Connection
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

import docker
from lakehouse.settings import LAYERS, PROJECT_DIR, ROLES, Layer

LABEL = "lakehouse.integration-tests"
STACK = yaml.safe_load((PROJECT_DIR / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
READY_SECONDS = 60

WAREHOUSE_SECRETS = ["postgres_password", *(f"{role}_password" for role in ROLES), "airflow_db_password"]
ROOT_SECRETS = ["store_root_user", "store_root_password"]
STORE_SECRETS = [*ROOT_SECRETS, *(f"store_{layer}_{half}_key" for layer in LAYERS for half in ("access", "secret"))]

# Its image would have to be pulled. Without it, the next session removes the left-overs of a killed one.
testcontainers_config.ryuk_disabled = True


VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")


def image_of(service: str) -> str:
    """The image as docker-compose.yml names it: `${VARIABLE:-default}`."""
    return VARIABLE.sub(lambda found: os.environ.get(found[1]) or found[2], STACK[service]["image"])


def like_the_stack(service: str, folder: Path, **more: Any) -> DockerContainer:
    """A container of a service, not started, with its image, environment and limits; `folder` holds its secrets."""
    wanted = STACK[service]
    options = {name: wanted[name] for name in ("init", "read_only", "cap_drop", "security_opt", "mem_limit")}
    if "shm_size" in wanted:
        options["shm_size"] = wanted["shm_size"]
    environment = {name: VARIABLE.sub(r"\2", value) for name, value in wanted.get("environment", {}).items()}
    container = DockerContainer(image_of(service), env=environment, labels=labels(), **options, **more)
    if "command" in wanted:
        container.with_command(wanted["command"])
    for mount in wanted["tmpfs"]:
        path, _, flags = mount.partition(":")
        container.with_tmpfs_mount(path, flags)
    return container.with_volume_mapping(folder, "/run/secrets")


def write_secrets(folder: Path, names: list[str]) -> Path:
    """Write a random value for each missing secret, readable by the containers' users."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    for file in (folder / name for name in names):
        if not file.exists():
            file.write_text(secrets.token_hex(16) + "\n")
            file.chmod(0o644)
    return folder


def secrets_of(source: Path, folder: Path, *names: str) -> Path:
    """A folder with only some of the secrets."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes((source / name).read_bytes())
    return folder


def labels() -> dict[str, str]:
    """Labels that name a container's process; its number alone may belong to another process by now."""
    process = psutil.Process()
    return {LABEL: f"{socket.gethostname()} {process.pid} {process.create_time()}"}


def remove_left_overs() -> list[str]:
    """Remove the containers of killed sessions on this machine; return their names."""
    client = docker.from_env()
    removed = []
    for container in client.containers.list(all=True, filters={"label": LABEL}):
        host, pid, created = container.labels[LABEL].split()
        with suppress(psutil.NoSuchProcess):
            if host != socket.gethostname() or str(psutil.Process(int(pid)).create_time()) == created:
                continue
        with suppress(NotFound):  # another session was faster
            container.remove(force=True, v=True)
            removed.append(container.name)
    client.close()
    return removed


def until(holds: Callable[[], object], otherwise: str, seconds: float = READY_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.1)


@dataclass(frozen=True)
class Server:
    """A running container; `folder` holds the secrets that it and its clients know."""

    container: DockerContainer
    folder: Path
    inside_port: int

    @property
    def host(self) -> str:
        return self.container.get_container_host_ip()

    @property
    def port(self) -> int:
        """The port, which changes with each restart."""
        return self.container.get_exposed_port(self.inside_port)

    def secret(self, name: str) -> str:
        return (self.folder / name).read_text().strip()

    def replace_secret(self, name: str) -> str:
        """Write a new value; return the old one."""
        old = self.secret(name)
        (self.folder / name).unlink()
        write_secrets(self.folder, [name])
        return old

    def says(self) -> str:
        """Everything that the container has printed."""
        return b"".join(self.container.get_logs()).decode()


@dataclass(frozen=True)
class StoreServer(Server):
    """MinIO."""

    @property
    def endpoint(self) -> str:
        return f"http://{self.host}:{self.port}"

    def client(self, access_key: str | None = None, secret_key: str | None = None) -> Minio:
        """A client with these keys; without keys, an anonymous one."""
        # No retries: a refusal is an answer.
        pool = urllib3.PoolManager(maxsize=32, timeout=30, retries=False)
        return Minio(f"{self.host}:{self.port}", access_key, secret_key, secure=False, http_client=pool)

    def root(self) -> Minio:
        return self.client(self.secret("store_root_user"), self.secret("store_root_password"))

    def admin(self, access_key: str, secret_key: str) -> MinioAdmin:
        provider = StaticProvider(access_key, secret_key)
        return MinioAdmin(endpoint=f"{self.host}:{self.port}", credentials=provider, secure=False)

    def root_admin(self) -> MinioAdmin:
        return self.admin(self.secret("store_root_user"), self.secret("store_root_password"))

    def keys_of(self, layer: Layer) -> tuple[str, str]:
        return self.secret(f"store_{layer}_access_key"), self.secret(f"store_{layer}_secret_key")

    def init(self) -> str:
        """Run the service minio-init; return what it prints."""
        there = f"container:{self.container.get_container_id()}"
        with like_the_stack("minio-init", self.folder, network_mode=there).with_env(
            "STORE_ENDPOINT", "http://127.0.0.1:9000"
        ) as init:
            status = init.wait()
            said = b"".join(init.get_logs()).decode()
        assert status == 0, said
        return said


@dataclass(frozen=True)
class WarehouseServer(Server):
    """Postgres."""

    def connect(self, role: str, database: str, password: str | None = None) -> Connection:
        """Connect as a role, with its password unless another is given."""
        if password is None:
            password = self.secret("airflow_db_password" if role == "airflow" else f"{role}_password")
        return psycopg2.connect(
            host=self.host, port=self.port, dbname=database, user=role, password=password, connect_timeout=10
        )

    def query(self, role: str, database: str, statement: str) -> list[tuple[Any, ...]]:
        connection = self.connect(role, database)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def restart(self) -> None:
        self.container.get_wrapped_container().restart(timeout=20)
        self.wait()

    def wait(self) -> None:
        until(self._answers, f"Postgres did not start: {self.says()}")

    def _answers(self) -> bool:
        """Whether the server listens; before that, the engine's proxy accepts connections and hangs up."""
        wrapped = self.container.get_wrapped_container()
        wrapped.reload()
        assert wrapped.status == "running", self.says()
        try:
            self.connect("postgres", "postgres", "wrong").close()
        except psycopg2.OperationalError as error:
            return "password authentication failed" in str(error)
        return True


@contextmanager
def empty_store_server(folder: Path) -> Iterator[StoreServer]:
    """A store that knows only its root user; it may not serve yet."""
    write_secrets(folder, STORE_SECRETS)
    data = Mount("/data", None, type="volume")
    container = like_the_stack("minio", folder, mounts=[data]).with_exposed_ports(9000)
    with container:
        yield StoreServer(container, folder, 9000)


@contextmanager
def store_server(folder: Path) -> Iterator[StoreServer]:
    """A store with its buckets, policies and users."""
    with empty_store_server(folder) as server:
        # The server answers as soon as it listens; minio-init waits until it serves.
        server.init()
        yield server


@contextmanager
def warehouse_server(folder: Path, *settings: str) -> Iterator[WarehouseServer]:
    """A server with the stack's databases and roles. `settings`: further Postgres settings, as name=value."""
    write_secrets(folder, WAREHOUSE_SECRETS)
    arguments = [part for setting in settings for part in ("-c", setting)]
    container = like_the_stack("postgres", folder).with_exposed_ports(5432).with_command(["postgres", *arguments])
    with container:
        server = WarehouseServer(container, folder, 5432)
        server.wait()
        yield server
