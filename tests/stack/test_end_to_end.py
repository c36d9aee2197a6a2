"""The stack makes the same marts of a source as `embedded`, and a second run changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lakehouse.settings import Settings
from tests.stack.conftest import run_embedded
from tests.stack.support.compose import Stack
from tests.support.archive import ARCHIVE, ARCHIVE_MARTS, ARCHIVE_QUALITY
from tests.support.lake import all_rows, data_quality, differences, digests, query

EVERY_OBJECT = """
import json
from lakehouse.lake.s3 import S3Store
from lakehouse.settings import LAYERS, Settings
from lakehouse.lake.store import open_store

settings = Settings.load(workspace="main")
found = {}
for layer in LAYERS:
    store = open_store(settings, layer)
    for item in store._client.list_objects(layer, prefix="main/", recursive=True):
        found[f"{layer}/{item.object_name}"] = item.etag
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def source(shop: Path) -> Path:
    """The real archive if it is there, else the generated shop."""
    return ARCHIVE if ARCHIVE.is_file() else shop


@pytest.fixture(scope="module")
def said(stack: Stack, source: Path) -> str:
    """What `make run TARGET=docker DATA=…` printed."""
    return stack.make("run", "TARGET=docker", f"DATA={source}").stdout


def objects(stack: Stack) -> dict[str, str]:
    """Every object of the store in the workspace `main`, with its ETag."""
    found: dict[str, str] = json.loads(stack.python("cli", EVERY_OBJECT).stdout)
    return found


def loads(settings: Settings) -> list[tuple]:
    return query(settings, "select load_id, table_name, rows, loaded_at from ops.load_log order by 1", "loader")


@pytest.mark.usefixtures("said")
def test_the_marts_are_those_of_embedded_in_every_column(stack: Stack, embedded: Settings, source: Path) -> None:
    there = all_rows(stack.settings())

    assert sum(map(len, there.values())) > 1000
    if source == ARCHIVE:  # what embedded makes of it, tests/embedded/pipeline/test_olist.py shows
        assert digests(there) == ARCHIVE_MARTS
        assert data_quality(stack.settings(), "table_name, ") == ARCHIVE_QUALITY
    else:
        reference = run_embedded(embedded, "reference", source)
        assert differences(all_rows(reference), there) == {}
        assert data_quality(stack.settings()) == data_quality(reference)


@pytest.mark.usefixtures("said")
def test_the_same_again_writes_no_row_and_no_object(stack: Stack, source: Path) -> None:
    before = loads(stack.settings()), objects(stack)

    again = stack.make("run", "TARGET=docker", f"DATA={source}")

    assert "Nothing new" in again.stdout
    assert (loads(stack.settings()), objects(stack)) == before


@pytest.mark.usefixtures("said")
def test_status_sql_and_doctor_report_on_the_stack(stack: Stack) -> None:
    asked = stack.make("sql", "TARGET=docker", "QUERY=select count(*) as orders from marts.fct_orders")
    (count,) = query(stack.settings(), "select count(*) from marts.fct_orders")[0]

    assert f"{count:,}" in asked.stdout
    assert stack.make("status", "TARGET=docker").returncode == 0
    assert "fix " not in stack.make("doctor", "TARGET=docker").stdout


@pytest.mark.usefixtures("said")
def test_spark_maintains_the_lake_where_it_must(stack: Stack) -> None:
    before = all_rows(stack.settings(), schema="raw_olist")

    done = stack.cli("maintain", "--workspace", "main")

    assert "tests passed" in done.stdout
    assert all_rows(stack.settings(), schema="raw_olist") == before
