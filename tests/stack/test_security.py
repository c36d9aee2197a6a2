"""What nobody may do on the running stack, tried; what the file alone shows is in tests/integration."""

from __future__ import annotations

import json
import socket
import subprocess

import pytest
from compose import Stack

SERVICES = [
    "postgres",
    "minio",
    "spark-master",
    "spark-worker",
    "spark-connect",
    "airflow-api-server",
    "airflow-scheduler",
    "airflow-dag-processor",
    "airflow-triggerer",
]
SECRETS = [
    "postgres_password",
    "owner_password",
    "loader_password",
    "transformer_password",
    "bi_reader_password",
    "airflow_db_password",
    "airflow_fernet_key",
    "airflow_jwt_secret",
    "airflow_api_secret_key",
    "store_root_password",
    "store_landing_secret_key",
    "store_bronze_secret_key",
    "store_silver_secret_key",
    "spark_rpc_secret",
    "connect_token",
]
REACH = """
import socket, sys
for place in sys.argv[1:]:
    host, port = place.split(":")
    try:
        socket.create_connection((host, int(port)), 3).close()
        print(place, "reached")
    except OSError:
        print(place, "out of reach")
"""
CONNECT = """
from lakehouse.errors import SetupError
from lakehouse.session import spark_session
from lakehouse.settings import Settings
try:
    with spark_session(Settings.load(spark_token={token!r})) as spark:
        print(spark.range(3).count())
except SetupError as error:
    print(error)
"""


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def containers(stack: Stack) -> dict[str, str]:
    """Of each service that stays."""
    return {name: stack.compose("ps", "--quiet", name).stdout.strip() for name in SERVICES}


@pytest.fixture(scope="module")
def values(stack: Stack) -> dict[str, str]:
    return {name: stack.secret(name) for name in SECRETS}


def test_every_secret_is_long_and_no_two_are_the_same(values: dict[str, str]) -> None:
    assert min(map(len, values.values())) >= 32
    assert len(set(values.values())) == len(values)


def test_no_secret_is_in_logs_settings_or_processes(
    stack: Stack, containers: dict[str, str], values: dict[str, str]
) -> None:
    shown = {
        "logs": stack.compose("logs", "--no-color").stdout,
        "docker inspect": docker("inspect", *containers.values()),
        "images": "".join(docker("history", "--no-trunc", image) for image in images(stack)),
        "process lists": "".join(docker("top", container, "-eo", "pid,args") for container in containers.values()),
    }

    found = {(where, name) for where, text in shown.items() for name, value in values.items() if value in text}

    assert all(len(text) > 500 for text in shown.values())
    assert found == set()


def images(stack: Stack) -> list[str]:
    return sorted(set(stack.compose("--profile", "*", "config", "--images").stdout.split()))


def test_nobody_is_root_where_data_is(containers: dict[str, str]) -> None:
    for name, container in containers.items():
        users = {line.split()[1] for line in docker("top", container, "-eo", "pid,uid").splitlines()[1:]}
        assert users, name
        assert "0" not in users, name


def test_each_service_sees_its_own_secrets_only(stack: Stack) -> None:
    seen = {
        name: set(stack.compose("exec", "--no-TTY", name, "ls", "/run/secrets").stdout.split()) for name in SERVICES
    }

    assert seen["minio"] == {"store_root_user", "store_root_password"}
    assert seen["spark-master"] == {"spark_rpc_secret"}
    assert seen["spark-worker"] == {"spark_rpc_secret", "loader_password"}
    assert seen["airflow-api-server"] == seen["airflow-triggerer"] == seen["airflow-dag-processor"]
    for name, files in seen.items():
        if name != "postgres":
            assert not {"owner_password", "postgres_password"} & files, name


def test_published_ports_answer_on_the_loopback_address_only(stack: Stack, containers: dict[str, str]) -> None:
    bound = {
        binding["HostIp"]
        for container in containers.values()
        for bindings in json.loads(docker("inspect", "--format", "{{json .NetworkSettings.Ports}}", container)).values()
        for binding in bindings or []
    }

    assert bound == {"127.0.0.1"}


def test_a_bi_tool_on_the_warehouses_network_cannot_reach_store_cluster_or_airflow(stack: Stack) -> None:
    places = ["postgres:5432", "minio:9000", "spark-connect:15002", "spark-master:7077", "airflow-api-server:8080"]
    addresses = {place: place for place in places}
    for place in places[1:]:
        service, _, port = place.partition(":")
        container = stack.compose("ps", "--quiet", service).stdout.strip()
        networks = json.loads(docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", container))
        addresses[place] = f"{next(iter(networks.values()))['IPAddress']}:{port}"

    said = docker(
        "run",
        "--rm",
        "--network",
        f"{stack.project}_bi",
        "--entrypoint",
        "python3",
        images(stack)[0],
        "-c",
        REACH,
        *addresses.values(),
        *places[1:],
    )

    assert "postgres:5432 reached" in said
    assert said.count(" reached") == 1, said
    assert said.count(" out of reach") == 2 * len(places) - 2, said


@pytest.mark.parametrize("token", ["", "wrong"], ids=["without the token", "with a wrong one"])
def test_spark_connect_refuses_a_client(stack: Stack, token: str) -> None:
    said = stack.python("cli", CONNECT.format(token=token)).stdout

    assert "it refused the token" in said


def test_a_worker_without_the_secret_never_registers(stack: Stack) -> None:
    before = stack.compose("logs", "--no-color", "spark-master").stdout.count("Registering worker")
    command = (
        "umask 077; mkdir -p /tmp/spark; cp /etc/spark/* /tmp/spark; "
        "echo 'spark.authenticate.secret another' >> /tmp/spark/spark-defaults.conf; "
        "timeout 40 /opt/spark/bin/spark-class org.apache.spark.deploy.worker.Worker spark://spark-master:7077"
    )

    done = stack.compose(
        "run", "--rm", "--no-TTY", "--no-deps", "--entrypoint", "bash", "spark-worker", "-c", command, check=False
    )

    assert "Exception" in done.stdout + done.stderr
    assert stack.compose("logs", "--no-color", "spark-master").stdout.count("Registering worker") == before


def test_what_passes_between_the_nodes_is_encrypted(stack: Stack) -> None:
    said = stack.python(
        "cli",
        "from lakehouse.session import spark_session\n"
        "from lakehouse.settings import Settings\n"
        "with spark_session(Settings.load()) as spark:\n"
        "    for name in ('spark.authenticate', 'spark.network.crypto.enabled'):\n"
        "        print(name, spark.conf.get(name))",
    ).stdout

    assert "spark.authenticate true" in said
    assert "spark.network.crypto.enabled true" in said


def test_store_and_cluster_have_no_way_out(stack: Stack, containers: dict[str, str]) -> None:
    """A network with a way out stands for the rest of the world: what leads there leads everywhere."""
    networks = docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", containers["airflow-api-server"])
    address = json.loads(networks)[f"{stack.project}_web"]["IPAddress"]
    reach = f"exec 3<>/dev/tcp/{address}/8080 && echo reached"
    said = {
        name: stack.compose("exec", "--no-TTY", name, "timeout", "3", "bash", "-c", reach, check=False).stdout.strip()
        for name in ("airflow-scheduler", "minio", "spark-master", "spark-worker", "spark-connect")
    }

    assert said.pop("airflow-scheduler") == "reached"
    assert set(said.values()) == {""}, said


def test_the_known_login_does_not_go_beyond_this_machine(stack: Stack) -> None:
    elsewhere = Stack(stack.project, {**stack.environment, "BIND_ADDRESS": "0.0.0.0"}, stack.secrets)

    done = elsewhere.compose("run", "--rm", "--no-TTY", "--no-deps", "secrets-init", check=False)

    assert done.returncode == 1
    assert "airflow_admin_password" in done.stderr


def test_a_forgotten_secret_is_new_everywhere_after_make_up(stack: Stack) -> None:
    old = stack.secret("loader_password")
    stack.make("new-secret", "NAME=loader_password")

    stack.make("up")

    new = stack.secret("loader_password")
    assert new != old
    (stack.secrets / "loader_password").unlink(missing_ok=True)
    assert stack.cli("status", "--state", "main").returncode == 0
    worker = stack.compose("exec", "--no-TTY", "spark-worker", "cat", "/run/secrets/loader_password").stdout
    assert worker.strip() == new


def test_three_workers_register_where_three_are_asked_for(stack: Stack) -> None:
    try:
        stack.compose("up", "--detach", "--wait", "--no-recreate", "--scale", "spark-worker=3")
        names = stack.compose("ps", "--format", "{{.Name}} {{.Status}}", "spark-worker").stdout
        assert names.count("(healthy)") == 3
    finally:
        stack.compose("up", "--detach", "--wait", "--no-recreate", "--scale", "spark-worker=1")


def test_the_profile_ui_shows_the_pages_of_spark_and_minio(stack: Stack) -> None:
    try:
        stack.compose("--profile", "ui", "up", "--detach", "--wait", "--no-recreate")
        for service, port, expected in (("ui-spark", "8080", b"Spark Master"), ("ui-minio", "9001", b"MinIO Console")):
            host, _, published = stack.compose("port", service, port).stdout.strip().partition(":")
            assert expected in page(host, int(published)), service
    finally:
        stack.compose("--profile", "ui", "rm", "--stop", "--force", "ui-spark", "ui-minio")


def page(host: str, port: int) -> bytes:
    with socket.create_connection((host, port), 10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: Mozilla\r\n\r\n")
        return b"".join(iter(lambda: connection.recv(65536), b""))
