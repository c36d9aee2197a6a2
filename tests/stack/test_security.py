"""Tries what must be impossible on the running stack; tests/integration checks what the compose file alone shows."""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from lakehouse.settings import PROJECT_DIR
from tests.stack.conftest import readable_by_all
from tests.stack.support.command_lines import command_lines
from tests.stack.support.compose import ONE_SHOTS, SERVICES, Stack, docker, names_in
from tests.stack.support.sniffer import listening
from tests.support.lake import query

# Each argument is name=address:port; prints the names of those that accept a connection.
REACH = r"""
for place; do
    { timeout 3 bash -c "exec 3<>/dev/tcp/${place#*=}" 2>/dev/null && echo "${place%%=*}"; } &
done
wait
"""
CONNECT = """
from lakehouse.errors import SetupError
from lakehouse.spark.session import spark_session
from lakehouse.settings import Settings
try:
    with spark_session(Settings.load(spark_token={token!r})) as spark:
        print(spark.range(3).count())
except SetupError as error:
    print(error)
"""
SHIP_ROWS = """
from lakehouse.spark.session import spark_session
from lakehouse.settings import Settings
with spark_session(Settings.load()) as spark:
    rows = spark.createDataFrame([(f"{marker}{{number}}",) for number in range({rows})], "marked string")
    print(len(rows.repartition(4, "marked").collect()))
"""
LIST_SILVER = """
from minio import Minio
from minio.error import S3Error
try:
    list(Minio("minio:9000", {user!r}, {key!r}, secure=False).list_objects("silver"))
    print("accepted")
except S3Error as error:
    print(error.code)
"""


@pytest.fixture(scope="module")
def containers(stack: Stack) -> dict[str, str]:
    """The container of each service that keeps running."""
    return {name: stack.container(name) for name in SERVICES}


@pytest.fixture
def values(stack: Stack) -> dict[str, str]:
    """Every current secret of the stack, except Airflow's default password."""
    return stack.secrets_made()


def test_every_secret_is_long_and_no_two_are_the_same(values: dict[str, str]) -> None:
    assert min(map(len, values.values())) >= 20  # letters and digits: a hundred bits
    assert len(set(values.values())) == len(values) == 20


# Searches for secrets. Each also searches for something that is there, to show that it would find them.


def test_no_secret_is_in_the_logs(stack: Stack, values: dict[str, str]) -> None:
    logs = stack.compose("logs", "--no-color").stdout

    said = {line.removeprefix("\x1b[2K").split("|")[0].strip().rpartition("-")[0] for line in logs.splitlines()}

    assert {"minio-init", "airflow-init", "postgres", "minio", "spark-master", "airflow-scheduler"} <= said
    assert names_in(logs, {**values, "looked for": "database system is ready"}) == {"looked for"}


def test_no_secret_is_in_docker_inspect(stack: Stack, values: dict[str, str]) -> None:
    everything = stack.compose("ps", "--all", "--quiet").stdout.split()
    volumes = docker("volume", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={stack.project}").split()

    inspected = docker("inspect", *everything, *images(stack)) + docker("volume", "inspect", *volumes)

    assert len(everything) == len(SERVICES) + len(ONE_SHOTS)
    assert names_in(inspected, {**values, "looked for": "/run/secrets/postgres_password"}) == {"looked for"}


def test_no_secret_is_in_the_process_list_of_a_container(containers: dict[str, str], values: dict[str, str]) -> None:
    processes = "".join(docker("top", container, "-eo", "pid,args") for container in containers.values())

    assert names_in(processes, {**values, "looked for": "org.apache.spark.deploy.master.Master"}) == {"looked for"}


def test_no_secret_is_on_a_command_line_while_commands_run(stack: Stack, values: dict[str, str]) -> None:
    shown_once = secrets.token_hex(16)
    with command_lines() as seen:
        stack.compose("exec", "--no-TTY", "--env", f"SHOWN={shown_once}", "postgres", "true")
        stack.make("credentials")
        reader = stack.make("psql", typed="select current_user;")

    assert "bi_reader" in reader.stdout
    assert names_in("\n".join(seen), {**values, "looked for": shown_once}) == {"looked for"}


def cli_container(stack: Stack) -> str:
    labels = [f"--filter=label=com.docker.compose.{name}" for name in (f"project={stack.project}", "service=cli")]
    return docker("ps", "--quiet", *labels).strip()


def test_no_secret_is_in_an_image(stack: Stack, values: dict[str, str], tmp_path: Path) -> None:
    """No file of an image contains a secret, nor does its history; `docker inspect` is tested above."""
    everywhere = 'PRETTY_NAME="Debian'  # in /etc/os-release
    # On standard input, since arguments are visible to all users.
    patterns = tmp_path / "patterns"
    patterns.write_text("\n".join([*values.values(), everywhere]))
    options = ["--network", "none", "--user", "0", "--read-only", "--cap-drop", "ALL", "--cap-add", "DAC_READ_SEARCH"]
    command = "LC_ALL=C grep -raohFf - --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev / 2>/dev/null | sort -u"
    searches = {}
    for image in images(stack):
        with patterns.open() as given:
            searches[image] = subprocess.Popen(
                ["docker", "run", "--rm", "--interactive", *options, "--entrypoint", "sh", image, "-c", command],
                stdin=given,
                stdout=subprocess.PIPE,
                text=True,
            )

    found = {image: search.communicate()[0].splitlines() for image, search in searches.items()}
    histories = "".join(docker("history", "--no-trunc", image) for image in images(stack))

    assert found == {image: [everywhere] for image in images(stack)}
    assert names_in(histories, {**values, "looked for": "secrets-init"}) == {"looked for"}


def test_no_secret_is_in_git(values: dict[str, str]) -> None:
    """No tracked or untracked file contains a secret, nor does one of the last commit."""
    known = "name: ecommerce-data-pipeline"
    for where in (["--untracked"], ["HEAD"]):
        found = subprocess.run(
            ["git", "grep", "--no-color", "-hoFf", "-", *where],
            cwd=PROJECT_DIR,
            input="\n".join([*values.values(), known]),
            capture_output=True,
            text=True,
            check=True,
        )

        assert set(found.stdout.splitlines()) == {known}


def images(stack: Stack) -> list[str]:
    return sorted(set(stack.compose("--profile", "*", "config", "--images").stdout.split()))


def test_no_service_with_data_runs_as_root(containers: dict[str, str]) -> None:
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
    assert seen["airflow-api-server"] == seen["airflow-dag-processor"]
    watching = {"store_landing_access_key", "store_landing_secret_key"}
    assert seen["airflow-triggerer"] == seen["airflow-api-server"] | watching
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


def table_of_reach() -> dict[str, set[str]]:
    """Who -> the places that it reaches, from docs/stack.md; `-` is a place in the same container."""
    page = (PROJECT_DIR / "docs" / "stack.md").read_text(encoding="utf-8")
    lines = page[page.index("| who reaches") :].split("\n\n")[0].splitlines()
    header, _, *rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]
    return {who: {place for place, cell in zip(header[1:], cells, strict=True) if cell == "x"} for who, *cells in rows}


def test_who_reaches_whom_is_what_the_docs_say(stack: Stack, containers: dict[str, str]) -> None:
    """Tried at every address of each container. A network with a way out represents the rest of the world."""

    def addresses(service: str) -> dict[str, str]:
        networks = json.loads(docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", containers[service]))
        return {name.removeprefix(f"{stack.project}_"): found["IPAddress"] for name, found in networks.items()}

    documented = table_of_reach()
    places = {place for reached in documented.values() for place in reached} - {"beyond"}
    tried = [
        f"{place}={ip}/{place.split(':')[1]}" for place in places for ip in addresses(place.split(":")[0]).values()
    ]
    tried.append(f"beyond={addresses('airflow-api-server')['web']}/8080")

    found: dict[str, set[str]] = {}
    for who in documented:
        if who in SERVICES:
            said = docker("exec", containers[who], "bash", "-c", REACH, "reach", *tried)
        elif who == "cli":
            said = stack.compose(
                "run", "--rm", "--no-TTY", "--no-deps", "--entrypoint", "bash", "cli", "-c", REACH, "reach", *tried
            ).stdout
        else:
            image = images(stack)[0]
            said = docker(
                "run",
                "--rm",
                "--network",
                f"{stack.project}_bi",
                "--entrypoint",
                "bash",
                image,
                "-c",
                REACH,
                "reach",
                *tried,
            )
        found[who] = {place for place in said.split() if not place.startswith(f"{who}:")}

    assert set(documented) == {*SERVICES, "cli", "a BI tool"}
    assert found == documented
    for who in documented:
        if "beyond" not in documented[who] and who in SERVICES:
            assert all(has_no_way_out(f"{stack.project}_{network}") for network in addresses(who)), who


def has_no_way_out(network: str) -> bool:
    """Only such a network has none: from any other bridge, Docker lets containers reach the internet."""
    (found,) = json.loads(docker("network", "inspect", network))
    return found["Internal"] or found["Options"].get("com.docker.network.bridge.enable_ip_masquerade") == "false"


@pytest.mark.parametrize("token", ["", "wrong"], ids=["without the token", "with a wrong one"])
def test_spark_connect_refuses_a_client(stack: Stack, token: str) -> None:
    said = stack.python("cli", CONNECT.format(token=token)).stdout

    assert "it refused the token" in said


def test_a_worker_registers_with_the_secret_and_never_without(stack: Stack) -> None:
    def registered() -> int:
        return stack.compose("logs", "--no-color", "spark-master").stdout.count("Registering worker")

    before = registered()
    with another_worker(stack, "echo another") as refused:
        said = refused.communicate(timeout=60)[0]
    after_the_refused = registered()
    with another_worker(stack, "cat /run/secrets/spark_rpc_secret"):
        stack.wait(lambda: registered() > before, "the worker that knows the secret did not register")

    assert "Authentication failed" in said
    assert after_the_refused == before


@contextlib.contextmanager
def another_worker(stack: Stack, secret: str) -> Iterator[subprocess.Popen[str]]:
    """A worker that uses the output of a command as its secret. It is too small for work, and ends when refused."""
    name = f"{stack.project}-another-worker"
    script = (
        "umask 077; mkdir -p /tmp/spark; cp /etc/spark/* /tmp/spark; "
        f'echo "spark.authenticate.secret $({secret})" >> /tmp/spark/spark-defaults.conf; '
        "grep --max-count 1 'Authentication failed' < "
        "<(exec /opt/spark/bin/spark-class org.apache.spark.deploy.worker.Worker "
        "--work-dir /tmp/work --memory 64m --cores 1 spark://spark-master:7077 2>&1)"
    )
    options = ["--rm", "--no-TTY", "--no-deps", "--name", name, "--entrypoint", "bash"]
    process = stack.start("docker", "compose", "run", *options, "spark-worker", "-c", script)
    try:
        yield process
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)
        process.communicate()


def test_traffic_between_the_nodes_is_encrypted(stack: Stack, values: dict[str, str]) -> None:
    """The same rows go unencrypted from a client to the driver, and encrypted from there to a worker and back."""
    marker, rows = secrets.token_hex(12), 20_000
    with (
        listening(f"{stack.project}_clients", images(stack)[0]) as from_the_client,
        listening(f"{stack.project}_spark", images(stack)[0]) as between_the_nodes,
    ):
        counted = stack.python("cli", SHIP_ROWS.format(marker=marker, rows=rows)).stdout

    assert counted.strip() == str(rows)
    assert from_the_client.content.count(marker.encode()) > rows / 2
    assert values["connect_token"].encode() in from_the_client.content
    assert len(between_the_nodes.content) > rows * len(marker)
    assert marker.encode() not in between_the_nodes.content
    # Every task gets the store's address and keys.
    assert names_in(between_the_nodes.content.decode("latin-1"), values) == set()


def test_the_known_login_does_not_go_beyond_this_machine(stack: Stack) -> None:
    elsewhere = Stack(stack.project, {**stack.environment, "BIND_ADDRESS": "0.0.0.0"}, stack.secrets)

    done = elsewhere.compose("run", "--rm", "--no-TTY", "--no-deps", "secrets-init", check=False)

    assert done.returncode == 1
    assert "airflow_admin_password" in done.stderr


def test_forgotten_secrets_are_new_everywhere_after_make_up_and_no_command_line_shows_them(
    stack: Stack, shop: Path
) -> None:
    names = ["bi_reader_password", "loader_password", "store_silver_secret_key", "connect_token"]
    old = stack.secrets_made()

    stack.make("new-secret", f"NAME={' '.join(names)}")
    stack.make("up")

    new = stack.secrets_made()
    assert {name for name in old if old[name] != new[name]} == set(names)
    assert accepted(stack, old) == set()
    assert accepted(stack, new) == set(names)
    for file in stack.secrets.iterdir():
        file.unlink()
    with command_lines() as seen:
        run = stack.start(*stack.cli_command("run", "/data", "--workspace", "renewed", mount=next(shop.iterdir())))
        stack.wait(lambda: cli_container(stack), "the run began no container", every=0.2)
        inspected = docker("inspect", cli_container(stack))
        output, _ = run.communicate(timeout=600)
    assert run.returncode == 0, output
    assert names_in("\n".join(seen), {**new, "looked for": "renewed"}) == {"looked for"}
    assert names_in(inspected, {**new, "looked for": "LAKEHOUSE_SECRETS_DIR=/run/secrets"}) == {"looked for"}
    assert names_in(output, {**new, "looked for": "marts"}) == {"looked for"}
    assert query(stack.settings("renewed"), "select count(*) from marts.fct_orders")[0] > (0,)


def accepted(stack: Stack, values: dict[str, str]) -> set[str]:
    """Of four secrets, those that their services accept."""
    user, key = values["store_silver_access_key"], values["store_silver_secret_key"]
    store = stack.python("cli", LIST_SILVER.format(user=user, key=key)).stdout.strip()
    connect = stack.python("cli", CONNECT.format(token=values["connect_token"])).stdout.strip()
    assert store in ("accepted", "SignatureDoesNotMatch")
    assert connect == "3" or "it refused the token" in connect
    opened = {
        "bi_reader_password": logs_in(stack, "bi_reader", values["bi_reader_password"]),
        "loader_password": logs_in(stack, "loader", values["loader_password"]),
        "store_silver_secret_key": store == "accepted",
        "connect_token": connect == "3",
    }
    return {name for name, is_open in opened.items() if is_open}


def logs_in(stack: Stack, role: str, password: str) -> bool:
    """Whether the published port of the warehouse accepts the password."""
    host, _, port = stack.compose("port", "postgres", "5432").stdout.strip().partition(":")
    try:
        psycopg2.connect(host=host, port=port, user=role, password=password, dbname="lakehouse_main").close()
    except psycopg2.OperationalError as error:
        assert "password authentication failed" in str(error)
        return False
    return True


def test_a_users_own_secrets_are_used_until_they_are_removed(stack: Stack) -> None:
    folder = Path(stack.environment["SECRETS_DIR"])
    made = stack.secret("bi_reader_password")
    own = {"bi_reader_password": "the-reader's-$own!", "airflow_admin_password": "the-admin's-%own"}

    for name, value in own.items():
        (folder / name).write_text(value + "\n")
    readable_by_all(folder)
    stack.make("up")

    try:
        assert own["bi_reader_password"] in stack.make("credentials").stdout
        assert logs_in(stack, "bi_reader", own["bi_reader_password"])
        assert not logs_in(stack, "bi_reader", made)
        assert stack.airflow().log_in("airflow", own["airflow_admin_password"]) == 201
        assert stack.airflow().log_in("airflow", "airflow") == 401
        stack.cli("sql", "select 1", "--workspace", "main")
    finally:
        for name in own:
            (folder / name).unlink()
        stack.make("up")

    made_anew = stack.secret("bi_reader_password")
    assert made_anew not in (made, own["bi_reader_password"])
    assert logs_in(stack, "bi_reader", made_anew)
    assert not logs_in(stack, "bi_reader", own["bi_reader_password"])
    assert stack.airflow().log_in("airflow", "airflow") == 201
    assert stack.airflow().log_in("airflow", own["airflow_admin_password"]) == 401


def test_three_workers_register_if_three_are_requested(stack: Stack) -> None:
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
