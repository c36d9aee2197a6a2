"""secrets_init/secrets-init: generates missing secrets, gives each consumer its own, prints who has new files."""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.settings import PROJECT_DIR

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("flock"), reason="runs in a Debian container, with its tools"
)

SCRIPT = PROJECT_DIR / "secrets_init" / "secrets-init"
ROLES = {"loader_password", "transformer_password", "bi_reader_password"}
STORE_USERS = {
    f"store_{layer}_{part}_key" for layer in ("landing", "bronze", "silver") for part in ("access", "secret")
}
AIRFLOW = {"airflow_sql_alchemy_conn", "airflow_fernet_key", "airflow_jwt_secret", "airflow_api_secret_key"}
# Repeated here on purpose: a change of who gets a secret must be made in two places.
CONSUMERS: dict[str, tuple[int, set[str]]] = {
    "postgres": (999, {"postgres_password", "owner_password", *ROLES, "airflow_db_password"}),
    "minio": (1000, {"store_root_user", "store_root_password"}),
    "minio-init": (1000, {"store_root_user", "store_root_password", *STORE_USERS}),
    "spark-master": (1001, {"spark_rpc_secret"}),
    "spark-worker": (1001, {"spark_rpc_secret", "loader_password"}),
    "spark-connect": (
        1001,
        {"spark_rpc_secret", "connect_token", "store_silver_access_key", "store_silver_secret_key"},
    ),
    "airflow": (50000, AIRFLOW),
    "airflow-init": (50000, {*AIRFLOW, "airflow_admin_password"}),
    "airflow-scheduler": (50000, {*AIRFLOW, *ROLES, "connect_token", *STORE_USERS}),
    "airflow-triggerer": (50000, {*AIRFLOW, "store_landing_access_key", "store_landing_secret_key"}),
    "cli": (50000, {"owner_password", *ROLES, "connect_token", *STORE_USERS}),
}
ALL_CONSUMERS = sorted(CONSUMERS)


class Stack:
    """The folders that are volumes in the stack."""

    def __init__(self, folder: Path) -> None:
        self.master, self.consumers, self.own = folder / "master", folder / "consumers", folder / "own"
        for path in (self.master, self.own, *(self.consumers / name for name in CONSUMERS)):
            path.mkdir(parents=True, exist_ok=True)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        places = {"MASTER": self.master, "CONSUMERS": self.consumers, "OWN": self.own}
        given = {f"SECRETS_{name}": str(path) for name, path in places.items()}
        return subprocess.Popen(
            ["bash", str(SCRIPT), *arguments],
            env={"PATH": os.environ["PATH"], **given, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, **environment: str) -> list[str]:
        """Run it and return the consumers that it names as changed."""
        process = self.start(*arguments, **environment)
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
        assert all(re.fullmatch(r"changed [a-z-]+", line) for line in output.splitlines())
        return [line.removeprefix("changed ") for line in output.splitlines()]

    def refusal(self, *arguments: str, **environment: str) -> str:
        process = self.start(*arguments, **environment)
        output, errors = process.communicate(timeout=60)
        assert process.returncode != 0
        assert output == ""
        return errors

    def show(self, name: str) -> str:
        output, _ = self.start("show", name).communicate(timeout=60)
        return output.removesuffix("\n")

    def given(self) -> dict[str, dict[str, str]]:
        return {
            name: {file.name: file.read_text() for file in sorted((self.consumers / name).iterdir())}
            for name in CONSUMERS
        }


@pytest.fixture
def empty(tmp_path: Path) -> Stack:
    return Stack(tmp_path)


@pytest.fixture(scope="module")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first_start")
    assert Stack(folder).run() == ALL_CONSUMERS
    return folder


@pytest.fixture
def stack(first_start: Path, tmp_path: Path) -> Stack:
    """A stack after its first start, in folders of this test."""
    subprocess.run(["cp", "-a", f"{first_start}/.", str(tmp_path)], check=True)
    return Stack(tmp_path)


def who_has(*names: str) -> list[str]:
    return sorted(consumer for consumer, (_, files) in CONSUMERS.items() if files & set(names))


def test_each_consumer_gets_its_own_secrets_and_no_others(stack: Stack) -> None:
    assert {name: set(files) for name, files in stack.given().items()} == {
        name: files for name, (_, files) in CONSUMERS.items()
    }
    for consumer, (uid, _) in CONSUMERS.items():
        for file in (stack.consumers / consumer).iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o400
            assert file.stat().st_uid == (uid if os.getuid() == 0 else os.getuid())


def test_a_secret_is_the_same_for_all_its_consumers_and_no_two_secrets_are_equal(stack: Stack) -> None:
    values: dict[str, set[str]] = {}
    for files in stack.given().values():
        for name, value in files.items():
            values.setdefault(name, set()).add(value)
    assert {name for name, several in values.items() if len(several) != 1} == set()
    assert len({value for several in values.values() for value in several}) == len(values)


def test_secrets_are_long_and_of_the_form_that_their_consumers_need(stack: Stack) -> None:
    made = {name: value for files in stack.given().values() for name, value in files.items()}
    assert len(base64.urlsafe_b64decode(made.pop("airflow_fernet_key"))) == 32
    assert len(made["airflow_jwt_secret"]) >= 64
    assert made.pop("airflow_admin_password") == "airflow"
    conn = f"postgresql+psycopg2://airflow:{made['airflow_db_password']}@postgres:5432/airflow"
    assert made.pop("airflow_sql_alchemy_conn") == conn
    for name, value in made.items():
        access_key = name.endswith("access_key") or name == "store_root_user"
        assert re.fullmatch(r"[A-Z0-9]{20}" if access_key else r"[A-Za-z0-9_-]{43,}", value), name


def test_a_second_run_changes_nothing_and_says_nothing(stack: Stack) -> None:
    before = {path: path.stat().st_mtime_ns for path in stack.consumers.rglob("*")}

    assert stack.run() == []

    assert {path: path.stat().st_mtime_ns for path in stack.consumers.rglob("*")} == before


@pytest.mark.parametrize("end", ["", "\n", "\r\n"], ids=["without", "with a newline", "with Windows' newline"])
def test_a_users_own_file_replaces_a_generated_secret(stack: Stack, end: str) -> None:
    (stack.own / "loader_password").write_bytes(f"of-my-own{end}".encode())

    assert stack.run() == who_has("loader_password")

    assert stack.given()["spark-worker"]["loader_password"] == "of-my-own"
    assert stack.run() == []


def test_removing_an_own_file_generates_a_new_secret(stack: Stack) -> None:
    made = stack.show("loader_password")
    (stack.own / "loader_password").write_text("of-my-own")
    stack.run()
    (stack.own / "loader_password").unlink()

    assert stack.run() == who_has("loader_password")

    assert stack.show("loader_password") not in ("of-my-own", made)


def test_an_own_password_is_in_the_address_derived_from_it(stack: Stack) -> None:
    (stack.own / "airflow_db_password").write_text("p@ss:/%w")

    stack.run()

    address = stack.given()["airflow"]["airflow_sql_alchemy_conn"]
    assert address == "postgresql+psycopg2://airflow:p%40ss%3A%2F%25w@postgres:5432/airflow"


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("loader_password", b"", "is empty"),
        ("loader_password", b"\n", "must be one line"),
        ("loader_password", b"two words", "must be one line"),
        ("loader_password", b"two\nlines\n", "must be one line"),
        ("loader_password", b"w\0i\0d\0e\0", "NUL"),
        ("airflow_fernet_key", b"no-fernet-key", "Fernet"),
        ("airflow_jwt_secret", b"x" * 63, "at least 64"),
        ("store_bronze_secret_key", b"1234567", "at least 8"),
        ("store_bronze_access_key", b"ab", "3 to 64"),
        ("connect_token", b"16 letters & more", "at least 16"),
        ("slack_webhook", b"hooks.slack.com/services/T/B/x", "begins with https://"),
        ("slack_webhook", b"https://hooks.slack.com/services/T/B/x and more", "begins with https://"),
        ("slack_webhook", b"", "is empty. Remove it to have none"),
        ("lodaer_password", b"a-slip-of-the-pen", "no such secret. Known are: postgres_password"),
    ],
)
def test_an_unusable_own_file_is_refused_and_named(stack: Stack, name: str, content: bytes, complaint: str) -> None:
    before = stack.given()
    (stack.own / name).write_bytes(content)
    (stack.own / "owner_password").write_text("this-one-is-good")

    message = stack.refusal()

    assert f"secrets/{name}: " in message
    assert complaint in message
    assert (stack.given(), stack.show("owner_password")) == (before, before["cli"]["owner_password"])


def test_the_webhook_is_never_generated(stack: Stack) -> None:
    assert "slack_webhook" not in {name for files in stack.given().values() for name in files}
    assert "Put your own into secrets/slack_webhook" in stack.refusal("show", "slack_webhook")


def test_only_the_scheduler_gets_the_users_webhook_and_loses_it_with_its_file(stack: Stack) -> None:
    before = stack.given()
    webhook = "https://hooks.slack.com/services/T000/B000/of-my-own"
    (stack.own / "slack_webhook").write_text(f"{webhook}\n")

    assert stack.run() == ["airflow-scheduler"]

    assert stack.given()["airflow-scheduler"] == {**before["airflow-scheduler"], "slack_webhook": webhook}
    assert {name for name, files in stack.given().items() if "slack_webhook" in files} == {"airflow-scheduler"}
    assert stack.run() == []

    (stack.own / "slack_webhook").write_text(f"{webhook}-changed")
    assert stack.run() == ["airflow-scheduler"]
    assert stack.show("slack_webhook") == f"{webhook}-changed"

    (stack.own / "slack_webhook").unlink()
    assert stack.run() == ["airflow-scheduler"]
    assert stack.given() == before
    assert stack.run() == []


def test_one_message_names_all_faults(stack: Stack) -> None:
    (stack.own / "owner_password").write_text("")
    (stack.own / "connect_token").write_text("short")

    message = stack.refusal()

    assert "secrets/owner_password" in message
    assert "secrets/connect_token" in message


def test_two_users_of_the_store_cannot_have_one_key(stack: Stack) -> None:
    for layer in ("landing", "bronze"):
        (stack.own / f"store_{layer}_access_key").write_text("THESAMEKEY")

    assert "secrets/store_bronze_access_key" in stack.refusal()


def test_a_readme_in_the_users_folder_is_no_secret(stack: Stack) -> None:
    (stack.own / "README.md").write_text("Put your own secrets here.")
    (stack.own / ".gitignore").write_text("*")

    assert stack.run() == []


@pytest.mark.parametrize("name", ["store_silver_access_key", "store_silver_secret_key", "postgres_password"])
def test_a_forgotten_secret_is_replaced_for_all_its_consumers(stack: Stack, name: str) -> None:
    before = stack.show(name)

    stack.run("forget", name)

    assert stack.run() == who_has(name)
    assert stack.show(name) != before


def test_a_forgotten_password_is_replaced_in_the_address_derived_from_it(stack: Stack) -> None:
    stack.run("forget", "airflow_db_password")

    assert stack.run() == who_has("airflow_db_password", "airflow_sql_alchemy_conn")

    assert stack.show("airflow_db_password") in stack.show("airflow_sql_alchemy_conn")


def test_only_known_secrets_can_be_forgotten_or_shown(stack: Stack) -> None:
    for command in ("forget", "show"):
        assert "There is no secret nonsense. Known are: postgres_password" in stack.refusal(command, "nonsense")


def test_an_own_file_cannot_be_forgotten(stack: Stack) -> None:
    (stack.own / "owner_password").write_text("of-my-own")
    stack.run()

    assert "from secrets/owner_password" in stack.refusal("forget", "owner_password")


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.2", "::"])
def test_with_the_known_password_the_stack_does_not_listen_beyond_this_machine(empty: Stack, address: str) -> None:
    message = empty.refusal(BIND_ADDRESS=address)

    assert address in message
    assert "secrets/airflow_admin_password" in message
    assert empty.given()["airflow-init"] == {}

    (empty.own / "airflow_admin_password").write_text("airflow\n")
    empty.refusal(BIND_ADDRESS=address)

    (empty.own / "airflow_admin_password").write_text("another\n")
    assert empty.run(BIND_ADDRESS=address) == ALL_CONSUMERS


def test_a_generated_password_replaces_the_known_one_and_stays(stack: Stack) -> None:
    known = stack.given()["airflow-init"]["airflow_admin_password"]

    stack.run(AIRFLOW_PASSWORD="generate")
    generated = stack.given()["airflow-init"]["airflow_admin_password"]
    stack.run()
    stack.run(AIRFLOW_PASSWORD="generate", BIND_ADDRESS="0.0.0.0")

    assert known == "airflow"
    assert re.fullmatch("[0-9a-f]{32}", generated)
    assert stack.given()["airflow-init"]["airflow_admin_password"] == generated
    stack.run("forget", "airflow_admin_password")
    stack.run()
    assert stack.given()["airflow-init"]["airflow_admin_password"] not in ("airflow", generated)
    assert "AIRFLOW_PASSWORD can only be: generate" in stack.refusal(AIRFLOW_PASSWORD="secret")


@pytest.mark.parametrize("address", ["", "127.0.0.1", "127.0.0.2"])
def test_the_known_password_is_accepted_on_this_machine(stack: Stack, address: str) -> None:
    assert stack.run(BIND_ADDRESS=address) == []


def test_files_that_a_consumer_must_not_have_are_removed_and_missing_or_changed_ones_restored(stack: Stack) -> None:
    before = stack.given()
    (stack.consumers / "spark-master" / "owner_password").write_text("left by an older version")
    (stack.consumers / "minio" / ".new").write_text("left by a killed run")
    (stack.consumers / "postgres" / "owner_password").unlink()
    (stack.consumers / "airflow" / "airflow_jwt_secret").chmod(0o444)

    assert stack.run() == ["airflow", "minio", "postgres", "spark-master"]

    assert stack.given() == before


def test_no_secret_is_printed(empty: Stack) -> None:
    (empty.own / "owner_password").write_text("of-my-own")
    outputs = [empty.start(), empty.start("forget", "connect_token"), empty.start(BIND_ADDRESS="0.0.0.0")]
    printed = "".join("".join(process.communicate(timeout=60)) for process in outputs)
    (empty.own / "connect_token").write_text("too-short")
    printed += empty.refusal()

    values = {value for files in empty.given().values() for value in files.values()} - {"airflow"}
    assert len(values) > 15
    assert [value for value in (*values, "too-short") if value in printed] == []


def test_of_several_runs_at_the_same_time_one_does_the_work(empty: Stack) -> None:
    processes = [empty.start() for _ in range(3)]
    outputs = sorted(process.communicate(timeout=60)[0] for process in processes)

    assert [process.returncode for process in processes] == [0, 0, 0]
    assert outputs == ["", "", "".join(f"changed {consumer}\n" for consumer in ALL_CONSUMERS)]


def test_changes_are_reported_until_they_are_settled_even_after_other_runs(stack: Stack) -> None:
    stack.run("settled")
    assert stack.run("changed") == []
    stack.run("forget", "loader_password")
    stack.run()  # a bare `docker compose up`, which restarts no service

    assert stack.run("changed") == stack.run("changed") == ["airflow-scheduler", "cli", "postgres", "spark-worker"]
    stack.run("settled")
    assert stack.run("changed") == []


# Counts the commands of the script, and kills it before the one with the number in $KILLED_BEFORE.
COUNTING = """
trap 'if ((++commands == ${KILLED_BEFORE:-0})); then kill -KILL $$; fi' DEBUG
trap 'echo "$commands" >"$COMMANDS"' EXIT
set -o functrace
"""
KILLS = 12


def test_the_run_after_a_killed_one_completes_it_and_names_all_changed_consumers(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "counting").write_text(COUNTING)
    traps = {"BASH_ENV": str(tmp_path / "counting"), "COMMANDS": str(tmp_path / "commands")}
    stack.run("forget", "loader_password", "store_root_user")
    stack.run(**traps)
    commands = int((tmp_path / "commands").read_text())
    assert commands > 10 * KILLS

    for before in range(1, commands, commands // KILLS):
        stack.run("forget", "loader_password", "store_root_user")
        killed = stack.start(**traps, KILLED_BEFORE=str(before))
        printed = killed.communicate(timeout=60)[0].splitlines()
        assert killed.returncode == -signal.SIGKILL

        named = {*stack.run(), *(line.removeprefix("changed ") for line in printed)}

        assert named == set(who_has("loader_password", "store_root_user"))
        current = {name: stack.show(name) for name in ("loader_password", "store_root_user")}
        for files in stack.given().values():
            assert files.items() >= {name: value for name, value in current.items() if name in files}.items()
        assert stack.run() == []
