"""tests/fixtures/made_by_0_1_0 -> a home, databases and a store's objects, as commit 30404c2 left them."""

from __future__ import annotations

import csv
import re
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Literal

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from lakehouse.settings import PROJECT_DIR

FOLDER = PROJECT_DIR / "tests" / "fixtures" / "made_by_0_1_0"
Fixture = Literal["embedded", "stack"]


def old_home(folder: Path, fixture: Fixture = "embedded") -> None:
    """Put what was in LAKEHOUSE_HOME into the folder, but secrets and jars: `last_state` and `states/`."""
    with _archive(fixture) as archive:
        for member in archive.getmembers():
            if member.name.startswith("home/"):
                member.name = member.name.removeprefix("home/")
                archive.extract(member, folder, filter="data")


def restore_database(connect: Callable[[str], Connection], name: str, fixture: Fixture = "embedded") -> None:
    """Make the database `name` of the fixture, again if it is there, with its owners, grants and comment.

    Its roles must be there.

    `connect`: a database's name -> a connection of a superuser, which is closed here.
    """
    script = _read(fixture, f"database/{name}.sql").decode()
    # pg_dump writes the database itself first, then what psql connects to it for. Lines with a backslash are psql's.
    _, in_database = re.split(r"^\\connect .*$", script, maxsplit=1, flags=re.MULTILINE)
    in_database = re.sub(r"^\\(un)?restrict .*$", "", in_database, flags=re.MULTILINE)
    with closing(connect("postgres")) as connection:
        connection.autocommit = True
        drop = sql.SQL("drop database if exists {} with (force)")
        connection.cursor().execute(drop.format(sql.Identifier(name)))
        create = sql.SQL("create database {} owner owner template template0 encoding 'UTF8' locale 'C'")
        connection.cursor().execute(create.format(sql.Identifier(name)))
    with closing(connect(name)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(in_database)


def stack_objects() -> Iterator[tuple[str, str, bytes]]:
    """(bucket, key, content) of everything in the stack's store."""
    with _archive("stack") as archive:
        for member in archive.getmembers():
            if member.isfile() and member.name.startswith("objects/"):
                _, bucket, key = member.name.split("/", 2)
                content = archive.extractfile(member)
                assert content is not None
                yield bucket, key, content.read()


def fingerprints(fixture: Fixture = "embedded") -> dict[tuple[str, date], dict[str, str]]:
    """(table, batch date) -> step -> the fingerprint that the old code left there."""
    with (FOLDER / f"{fixture}_fingerprints.csv").open(newline="") as file:
        return {(row.pop("table"), date.fromisoformat(row.pop("batch_date"))): row for row in csv.DictReader(file)}


def mart_rows(fixture: Fixture = "embedded") -> dict[str, str]:
    """Relation of the schema marts -> its rows as the old code built them, as `rows_as_csv` writes them."""
    with _archive(fixture) as archive:
        names = [name for name in archive.getnames() if re.fullmatch(r"marts/\w+\.csv", name)]
    return {Path(name).stem: _read(fixture, name).decode() for name in names}


def rows_as_csv(connection: Connection, schema: str = "marts") -> dict[str, str]:
    """Every relation of the schema as CSV: columns in the order of their names, rows sorted by all of them."""
    found = {}
    with connection.cursor() as cursor:
        cursor.execute("set timezone to 'UTC'")
        cursor.execute(
            'select table_name, array_agg(column_name::text order by column_name collate "C") '
            "from information_schema.columns where table_schema = %s group by 1 order by 1",
            (schema,),
        )
        for relation, columns in cursor.fetchall():
            names = sql.SQL(", ").join(map(sql.Identifier, columns))
            statement = sql.SQL("copy (select {0} from {1} order by {0}) to stdout with (format csv, header)")
            text = StringIO()
            cursor.copy_expert(statement.format(names, sql.Identifier(schema, relation)).as_string(cursor), text)
            found[relation] = text.getvalue()
    return found


def _archive(fixture: Fixture) -> tarfile.TarFile:
    return tarfile.open(FOLDER / f"{fixture}.tar.xz")


def _read(fixture: Fixture, name: str) -> bytes:
    with _archive(fixture) as archive:
        content = archive.extractfile(name)
        assert content is not None, f"{fixture}.tar.xz holds no {name}"
        return content.read()
