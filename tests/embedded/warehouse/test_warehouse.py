"""The warehouse is ready after prepare, whatever its state before."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from lakehouse import warehouse
from lakehouse.errors import ConfigurationError, WarehouseError
from lakehouse.settings import ROLES, Settings, Target
from lakehouse.warehouse.passwords import superuser_password_file


def rows(settings: Settings, statement: str, role: str = "loader") -> list[tuple]:
    with warehouse.connect(settings, role) as connection:
        cursor = connection.cursor()
        cursor.execute(statement)
        return cursor.fetchall()


def test_prepare_makes_schemas_with_their_owners(settings):
    owners = dict(
        rows(
            settings,
            "select nspname::text, nspowner::regrole::text from pg_namespace where nspname !~ '^(pg_|information)'",
        )
    )

    expected = {"ops": "loader", "staging": "transformer", "intermediate": "transformer", "marts": "transformer"}
    assert {name: owner for name, owner in owners.items() if name != "public"} == expected


def test_a_database_sorts_by_bytes_and_holds_utf8(settings):
    statement = (
        "select datcollate, datctype, pg_encoding_to_char(encoding) from pg_database where datname = current_database()"
    )

    assert rows(settings, statement) == [("C", "C", "UTF8")]


def test_prepare_on_a_ready_warehouse_writes_nothing(settings):
    before = rows(
        settings, "select xmin::text, oid from pg_class where relnamespace = 'ops'::regnamespace order by oid"
    )

    warehouse.prepare(settings)

    after = rows(settings, "select xmin::text, oid from pg_class where relnamespace = 'ops'::regnamespace order by oid")
    assert after == before


def test_prepare_applied_again_keeps_the_rows(settings):
    with warehouse.connect(settings) as connection:
        connection.cursor().execute("insert into ops.runs (source, status) values ('shop', 'done')")
    with warehouse.connect(settings, "owner") as connection:
        connection.cursor().execute(f"comment on database {settings.database_name} is 'postgres_init of last year'")

    warehouse.prepare(settings)

    assert rows(settings, "select source from ops.runs") == [("shop",)]
    mark = rows(
        settings, "select shobj_description(oid, 'pg_database') from pg_database where datname = current_database()"
    )
    assert mark != [("postgres_init of last year",)]


@pytest.mark.parametrize("role", ROLES)
def test_a_lost_password_is_made_again(settings, role):
    settings.password_file(role).unlink()

    warehouse.prepare(settings)

    assert rows(settings, "select current_user::text", role) == [(role,)]
    assert settings.password_file(role).stat().st_mode & 0o777 == 0o600


def test_a_changed_password_counts_after_prepare(settings):
    settings.password_file("loader").write_text("chosen'by the user\n")
    with pytest.raises(WarehouseError, match="lakehouse start"), warehouse.connect(settings):
        pass

    warehouse.prepare(settings)

    assert rows(settings, "select 1") == [(1,)]


def test_a_lost_superuser_password_is_set_again(settings):
    superuser_password_file(settings).unlink()
    settings.password_file("owner").unlink()

    warehouse.prepare(settings)

    assert rows(settings, "select current_user::text", "owner") == [("owner",)]


def test_a_password_in_the_environment_wins_over_its_file(settings, monkeypatch):
    monkeypatch.setenv("LAKEHOUSE_BI_READER_PASSWORD", "from-the-environment")
    given = Settings.load(**{name: getattr(settings, name) for name in settings.model_fields_set})

    warehouse.prepare(given)

    assert rows(given, "select 1", "bi_reader") == [(1,)]
    with pytest.raises(WarehouseError, match="bi_reader"), warehouse.connect(settings, "bi_reader"):
        pass
    warehouse.prepare(settings)


def test_connect_commits_at_the_end(settings):
    with warehouse.connect(settings) as connection:
        connection.cursor().execute("insert into ops.runs (source, status) values ('shop', 'done')")

    assert rows(settings, "select count(*) from ops.runs") == [(1,)]


def test_connect_rolls_back_on_an_error(settings):
    with pytest.raises(KeyError), warehouse.connect(settings) as connection:
        connection.cursor().execute("insert into ops.runs (source, status) values ('shop', 'done')")
        raise KeyError

    assert rows(settings, "select count(*) from ops.runs") == [(0,)]


def test_a_refused_statement_is_reported_with_its_first_line(settings):
    with pytest.raises(WarehouseError, match=r"(?s)absent.* does not exist.*begins: select \* from absent"):
        rows(settings, "\n  select * from absent\n where true")


def test_an_absent_server_is_reported_with_the_command_that_starts_it(settings):
    elsewhere = settings.model_copy(update={"postgres_port": 1})

    with pytest.raises(WarehouseError, match=r"(?s)127\.0\.0\.1:1 cannot be reached as loader.*lakehouse start"):
        rows(elsewhere, "select 1")


def test_a_server_without_a_free_connection_is_not_said_to_have_to_be_started(settings):
    with ExitStack() as held, pytest.raises(WarehouseError) as refused:
        while True:
            held.enter_context(warehouse.connect(settings))

    assert "All connections of the warehouse are in use" in str(refused.value)
    assert "lakehouse start" not in str(refused.value)


def test_a_workspace_without_database_is_reported_with_the_command_that_makes_it(server):
    absent = server.model_copy(update={"workspace": "absent"})

    with pytest.raises(
        WarehouseError, match=r"no database lakehouse_absent.\nRun `lakehouse start --workspace absent`"
    ):
        rows(absent, "select 1")


def test_drop_database_ends_sessions_and_may_be_repeated(new_workspace):
    settings = new_workspace()
    with pytest.raises(WarehouseError), warehouse.connect(settings, "transformer") as connection:
        warehouse.drop_database(settings)
        warehouse.drop_database(settings)
        connection.cursor().execute("select 1")

    warehouse.prepare(settings)
    assert rows(settings, "select count(*) from ops.load_log") == [(0,)]


def test_uri_holds_no_password(settings):
    address = warehouse.uri(settings, "bi_reader")

    assert address == f"postgresql://bi_reader@127.0.0.1:{settings.postgres_port}/{settings.database_name}"


def test_the_embedded_target_serves_no_other_host(settings):
    elsewhere = settings.model_copy(update={"postgres_host": "warehouse.example"})

    with pytest.raises(ConfigurationError, match="LAKEHOUSE_POSTGRES_HOST"):
        warehouse.prepare(elsewhere)


class TestAWarehouseOfOthers:
    """Target docker: the server exists, with its roles. The owner's password may be known here or not."""

    @pytest.fixture
    def docker(self, settings):
        return settings.model_copy(update={"target": Target.DOCKER})

    def test_a_ready_one_needs_the_loaders_password_only(self, docker, tmp_path):
        (tmp_path / "loader_password").write_text(docker.password("loader"))

        warehouse.prepare(docker.model_copy(update={"secrets_dir": tmp_path}))

    def test_the_owner_updates_the_schema(self, docker):
        warehouse.drop_database(docker)

        warehouse.prepare(docker)

        assert rows(docker, "select count(*) from ops.load_log") == [(0,)]

    def test_without_the_owners_password_an_old_schema_is_reported(self, docker, tmp_path):
        warehouse.drop_database(docker)
        (tmp_path / "loader_password").write_text(docker.password("loader"))

        with pytest.raises(WarehouseError, match=r"(?s)does not have the schema.*LAKEHOUSE_OWNER_PASSWORD"):
            warehouse.prepare(docker.model_copy(update={"secrets_dir": tmp_path}))

    def test_a_wrong_password_is_reported_not_replaced(self, docker, tmp_path):
        (tmp_path / "loader_password").write_text("wrong")

        with pytest.raises(WarehouseError, match="LAKEHOUSE_LOADER_PASSWORD"):
            warehouse.prepare(docker.model_copy(update={"secrets_dir": tmp_path}))
