"""The embedded server starts whatever an earlier one left, outlives its parent, and admits authorized users only."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import psutil
import pytest

from benchmarks.sandbox import free_port
from lakehouse import warehouse
from lakehouse.errors import SetupError
from lakehouse.settings import PROJECT_DIR, Settings
from lakehouse.warehouse.embedded import cluster as embedded_cluster
from lakehouse.warehouse.embedded import programs as embedded_programs
from lakehouse.warehouse.embedded import server as embedded_postgres
from lakehouse.warehouse.passwords import superuser_password_file

NOT_SYNCED = {"fsync": "off"}


@pytest.fixture(scope="module")
def own(test_home):
    """A home with a separate server, which these tests stop, kill and start again."""
    home = test_home / "a home's server"  # with a space and a quote, since pg_ctl passes paths to a shell
    settings = Settings.load(
        home=home, embedded_postgres_dir=home / "postgres", postgres_port=free_port(), workspace="own"
    )
    yield settings
    embedded_postgres.remove(settings)


@pytest.fixture
def running(own):
    embedded_postgres.start(own, NOT_SYNCED)
    return own


@pytest.fixture
def stopped(running):
    embedded_postgres.stop(running)
    return running


def lives(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def starter(settings):
    """A process that starts the server, as a command of this project does."""
    places = f"home={str(settings.home)!r}, embedded_postgres_dir={str(settings.embedded_postgres_dir)!r}"
    program = (
        "from lakehouse.settings import Settings\n"
        "from lakehouse.warehouse.embedded import server as embedded_postgres\n"
        f"settings = Settings.load({places}, postgres_port={settings.postgres_port}, workspace='own')\n"
        "print(embedded_postgres.start(settings, {'fsync': 'off'}).pid)"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program], cwd=PROJECT_DIR, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_it_outlives_its_starter_and_holds_none_of_its_descriptors(stopped):
    output, errors = starter(stopped).communicate(timeout=60)  # returns when no process holds the pipes

    assert errors == ""
    assert embedded_postgres.status(stopped) == embedded_postgres.RunningServer(
        int(output), stopped.postgres_port, True
    )
    assert os.getsid(int(output)) != os.getsid(0)


def test_started_twice_it_is_one_server(running):
    before = embedded_postgres.status(running)

    assert embedded_postgres.start(running) == before


def test_of_several_first_starts_at_the_same_time_one_starts_it_and_all_get_it(stopped):
    shutil.rmtree(embedded_postgres.server_dir(stopped))
    starters = [starter(stopped) for _ in range(4)]

    answers = [process.communicate(timeout=120) for process in starters]

    assert [errors for _, errors in answers] == [""] * 4
    assert {int(output) for output, _ in answers} == {embedded_postgres.status(stopped).pid}


def test_stop_ends_it_and_says_whether_it_ran(running):
    pid = embedded_postgres.status(running).pid

    assert embedded_postgres.stop(running) is True
    assert embedded_postgres.status(running) is None
    assert not lives(pid)
    assert embedded_postgres.stop(running) is False


def test_a_killed_server_starts_again_with_its_data(running):
    warehouse.prepare(running)
    with warehouse.connect(running) as connection:
        connection.cursor().execute("insert into ops.runs (source, status) values ('shop', 'done')")
    pid = embedded_postgres.status(running).pid
    os.kill(pid, signal.SIGKILL)
    while lives(pid):
        pass

    warehouse.prepare(running)

    with warehouse.connect(running) as connection:
        cursor = connection.cursor()
        cursor.execute("delete from ops.runs returning source")
        assert cursor.fetchall() == [("shop",)]


@pytest.mark.parametrize("state", ["ready   ", "starting"])
def test_a_pid_file_from_before_a_reboot_may_name_a_living_stranger(stopped, state):
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    data = embedded_postgres.server_dir(stopped) / "data"
    lines = [str(stranger.pid), str(data), "1700000000", str(stopped.postgres_port), "", "127.0.0.1", "", state]
    (data / "postmaster.pid").write_text("\n".join(lines) + "\n")

    try:
        assert embedded_postgres.status(stopped) is None
        assert embedded_postgres.start(stopped, NOT_SYNCED).ready
        assert stranger.poll() is None
    finally:
        stranger.communicate(b"\n")


def test_data_deleted_under_the_server_is_made_again(running):
    old = embedded_postgres.status(running).pid
    shutil.rmtree(embedded_postgres.server_dir(running))  # what `rm -rf .lakehouse` does

    new = embedded_postgres.start(running, NOT_SYNCED)

    assert new.ready
    assert new.pid != old
    warehouse.prepare(running)


def test_an_initdb_that_was_killed_leaves_nothing(stopped):
    directory = embedded_postgres.server_dir(stopped)
    half_done = directory / "initdb-killed" / "data"
    half_done.mkdir(parents=True)
    (half_done / "PG_VERSION").write_text("18\n")
    shutil.rmtree(directory / "data")

    embedded_postgres.start(stopped, NOT_SYNCED)

    assert list(directory.glob("initdb-*")) == []


def test_an_initdb_that_fails_leaves_no_cluster_and_says_why(stopped, monkeypatch):
    shutil.rmtree(embedded_postgres.server_dir(stopped) / "data")
    original = embedded_programs.Programs.run

    def no_space(self, program, *arguments, stdin=""):
        done = original(self, program, *arguments, stdin=stdin)
        return subprocess.CompletedProcess([], 1, "", "No space left on device") if program == "initdb" else done

    with monkeypatch.context() as patch, pytest.raises(SetupError, match="No space left on device"):
        patch.setattr(embedded_programs.Programs, "run", no_space)
        embedded_postgres.start(stopped)

    assert not embedded_postgres.has_data(stopped)
    assert list(embedded_postgres.server_dir(stopped).glob("initdb-*")) == []


def test_data_of_another_major_version_is_reported_with_both_ways_out(stopped):
    version = embedded_postgres.server_dir(stopped) / "data" / "PG_VERSION"
    installed = version.read_text()
    version.write_text("15\n")

    with pytest.raises(SetupError, match=r"(?s)made by Postgres 15, .*embedded-postgres==15.*lakehouse clean"):
        embedded_postgres.start(stopped)

    version.write_text(installed)


def test_a_taken_port_is_reported_with_its_holder_and_the_setting(stopped):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # old connections hold the port for a while
        taken.bind(("127.0.0.1", stopped.postgres_port))
        taken.listen()

        with pytest.raises(
            SetupError, match=rf"(?s)Port {stopped.postgres_port} .*pid {os.getpid()}.*LAKEHOUSE_POSTGRES_PORT="
        ):
            embedded_postgres.start(stopped)


def test_a_port_changed_while_it_runs_is_reported(running):
    moved = running.model_copy(update={"postgres_port": free_port()})

    with pytest.raises(SetupError, match=rf"runs on port {running.postgres_port}.\nRun `lakehouse stop` first"):
        embedded_postgres.start(moved)


def test_a_port_changed_while_it_is_stopped_is_used(stopped):
    moved = stopped.model_copy(update={"postgres_port": free_port()})

    assert embedded_postgres.start(moved, NOT_SYNCED).port == moved.postgres_port

    embedded_postgres.stop(moved)


def test_a_full_disk_is_reported_before_anything_is_written(test_home, monkeypatch):
    settings = Settings.load(
        home=test_home / "full", embedded_postgres_dir=test_home / "full/pg", postgres_port=free_port()
    )
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(embedded_cluster.shutil, "disk_usage", lambda path: usage(10**12, 10**12, 10 * 2**20))

    with pytest.raises(SetupError, match=r"(?s)needs 500 MB in .*10 MB are free.*LAKEHOUSE_EMBEDDED_POSTGRES_DIR"):
        embedded_postgres.start(settings)

    assert not embedded_postgres.has_data(settings)


def test_a_missing_package_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded_programs.importlib.util, "find_spec", lambda name: None)

    with pytest.raises(SetupError, match="uv sync"):
        embedded_programs.find_programs(tmp_path)


def test_programs_that_do_not_run_are_reported_with_the_systems_message(stopped, monkeypatch):
    message = "postgres: error while loading shared libraries: libz.so.1: cannot open shared object file"
    failed = subprocess.CompletedProcess([], 127, "", message)
    monkeypatch.setattr(embedded_programs.Programs, "run", lambda self, *arguments, stdin="": failed)

    with pytest.raises(SetupError, match=r"(?s)libz.so.1.*Install the library"):
        embedded_postgres.start(stopped)


def test_a_server_that_does_not_start_is_reported_with_its_log(stopped):
    with pytest.raises(SetupError, match=r"(?s)did not start.*no_such_setting.*lakehouse start"):
        embedded_postgres.start(stopped, {"no_such_setting": "1"})


def test_it_listens_on_one_address_only_and_runs_without_root(running):
    process = psutil.Process(embedded_postgres.status(running).pid)

    listening = [socket_.laddr for socket_ in process.net_connections("all") if socket_.status == psutil.CONN_LISTEN]

    assert [(address.ip, address.port) for address in listening] == [("127.0.0.1", running.postgres_port)]
    assert process.uids().real != 0
    assert process.uids().effective != 0
    assert process.gids().real != 0


def test_only_scram_is_accepted_and_only_from_this_machine(running):
    rules = (embedded_postgres.server_dir(running) / "pg_hba.conf").read_text().splitlines()

    assert rules == ["host all all 127.0.0.1/32 scram-sha-256"]


def test_passwords_are_random_and_for_this_user_only(running):
    files = [superuser_password_file(running), *(running.password_file(role) for role in ("owner", "loader"))]

    assert running.secrets_path.stat().st_mode & 0o777 == 0o700
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600] * 3
    assert len({file.read_text() for file in files}) == 3
    assert all(len(file.read_text().strip()) >= 40 for file in files)


def test_no_parent_folder_changes_its_mode_and_no_password_stays_beside_the_data(test_home):
    parent = test_home / "parent"
    parent.mkdir(mode=0o751)
    parent.chmod(0o751)
    settings = Settings.load(home=parent / "home", embedded_postgres_dir=parent / "postgres", postgres_port=free_port())
    umask = os.umask(0o077)
    try:
        embedded_postgres.start(settings, NOT_SYNCED)

        password = superuser_password_file(settings).read_bytes().strip()
        files = [file for file in (parent / "postgres").rglob("*") if file.is_file() and file.stat().st_size < 10**6]
        assert parent.stat().st_mode & 0o777 == 0o751
        assert [file for file in files if password in file.read_bytes()] == []
    finally:
        os.umask(umask)
        embedded_postgres.remove(settings)


def test_homes_do_not_share_a_server(tmp_path):
    homes = [Settings.load(home=tmp_path / name / ".lakehouse") for name in ("one", "two")]

    assert len({embedded_postgres.server_dir(settings) for settings in homes}) == 2


def test_remove_leaves_nothing(running):
    pid = embedded_postgres.status(running).pid

    embedded_postgres.remove(running)
    embedded_postgres.remove(running)

    assert not lives(pid)
    assert not embedded_postgres.server_dir(running).exists()
    assert embedded_postgres.port_holder(running.postgres_port) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs an account for the server")
def test_for_root_data_and_programs_are_outside_its_home(tmp_path):
    directory = embedded_postgres.server_dir(Settings.load(home=Path("/root/clone/.lakehouse")))

    assert directory.parent == Path("/var/lib/ecommerce-data-pipeline")
    assert directory.name.startswith("clone-")
