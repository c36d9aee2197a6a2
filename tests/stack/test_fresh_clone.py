"""A new user's first minutes: an empty folder, `git clone`, no file to copy and no password to invent."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator

import pytest

from benchmarks.sandbox import environment_of_stack, free_port
from lakehouse.settings import PROJECT_DIR
from tests.stack.conftest import removed_afterwards
from tests.stack.support.command_lines import command_lines
from tests.stack.support.compose import ONE_SHOTS, SERVICES, Stack, docker, names_in

PROJECT = "lakehouse-clone-test"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A clone of what is committed; no service runs yet. It uses the images of the other tests."""
    checkout = tmp_path_factory.mktemp("fresh") / "ecommerce-data-pipeline"
    subprocess.run(["git", "clone", "--quiet", str(PROJECT_DIR), str(checkout)], check=True)
    ports = {name: str(free_port()) for name in ("POSTGRES_PORT", "AIRFLOW_PORT")}
    with removed_afterwards(
        Stack(PROJECT, environment_of_stack(PROJECT, **ports), tmp_path_factory.mktemp("clients"), checkout)
    ) as stack:
        yield stack


@pytest.fixture(scope="module")
def seen(clone: Stack) -> set[str]:
    """Start the stack from nothing; all command lines of this machine meanwhile."""
    with command_lines() as lines:
        clone.compose("exec", "--env", "SHOWN=looked-for", "postgres", "true", check=False)
        clone.compose("up", "airflow-init")
        assert left(clone, "container") == {
            f"{PROJECT}-{name}-1" for name in ("secrets-init", "postgres", "airflow-init")
        }
        assert "Exited (0)" in clone.compose("ps", "--all", "--format", "{{.Status}}", "airflow-init").stdout
        clone.make("down")
        assert left(clone, "container") == left(clone, "network") == set()
        assert f"{PROJECT}_postgres" in left(clone, "volume")
        clone.compose("up", "--detach", "--wait")
    return lines


def left(stack: Stack, kind: str) -> set[str]:
    """The names of a project's containers, networks or volumes."""
    every = ["--all"] if kind == "container" else []
    label = f"label=com.docker.compose.project={stack.project}"
    name = "{{.Names}}" if kind == "container" else "{{.Name}}"
    return set(docker(kind, "ls", *every, "--filter", label, "--format", name).split())


def test_airflow_init_starts_alone_then_everything(clone: Stack, seen: set[str]) -> None:
    shown = {line.split("  ")[0]: line for line in clone.make("ps").stdout.splitlines()[1:]}

    assert set(shown) == {*SERVICES, *ONE_SHOTS}
    assert {name for name, line in shown.items() if "(healthy)" in line} == set(SERVICES)
    assert {name for name, line in shown.items() if "Exited (0)" in line} == set(ONE_SHOTS)


def test_no_secret_is_on_a_command_line_while_everything_starts(clone: Stack, seen: set[str]) -> None:
    values = clone.secrets_made()

    assert len(values) == 20
    assert names_in("\n".join(seen), {**values, "looked for": "SHOWN=looked-for"}) == {"looked for"}


@pytest.mark.usefixtures("seen")
def test_another_clone_does_not_take_over_the_running_stack(clone: Stack) -> None:
    started = clone.started_at("postgres")

    refused = Stack(PROJECT, clone.environment, clone.secrets).make("up", check=False)

    assert refused.returncode != 0
    assert f"was started from {clone.checkout}" in refused.stderr
    assert clone.started_at("postgres") == started


@pytest.mark.usefixtures("seen")
def test_make_prints_the_passwords_and_opens_the_warehouse(clone: Stack) -> None:
    printed = clone.make("credentials").stdout
    asked = clone.make("psql", typed="select current_user, current_database();").stdout

    assert clone.secret("bi_reader_password") in printed
    assert f"127.0.0.1:{clone.environment['POSTGRES_PORT']}" in printed
    assert f"127.0.0.1:{clone.environment['AIRFLOW_PORT']}" in printed
    assert "bi_reader" in asked
    assert "lakehouse_main" in asked


@pytest.mark.usefixtures("seen")
def test_neither_git_nor_the_builds_see_a_users_secrets(clone: Stack) -> None:
    own = secrets.token_hex(16)
    for file in (".env", "secrets/bi_reader_password"):
        (clone.checkout / file).write_text(f"# {own}")
    (clone.checkout / "a-file").touch()
    everything_sent = subprocess.run(
        ["docker", "build", "--quiet", "--output", "type=tar,dest=-", "--file", "-", "."],
        input=b"FROM scratch\nCOPY . /\n",
        cwd=clone.checkout,
        capture_output=True,
        check=True,
    ).stdout

    status = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all"],
        cwd=clone.checkout,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert status == "?? a-file\n"
    assert (PROJECT_DIR / "secrets_init" / "secrets-init").read_bytes() in everything_sent
    assert own.encode() not in everything_sent


@pytest.mark.usefixtures("seen")
def test_down_leaves_nothing(clone: Stack) -> None:
    assert left(clone, "container") and left(clone, "network") and left(clone, "volume")

    clone.compose("down", "--volumes", "--remove-orphans")

    assert left(clone, "container") == left(clone, "network") == left(clone, "volume") == set()
