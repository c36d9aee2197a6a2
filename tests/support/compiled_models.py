"""The dbt project -> the same statements as in a full refresh and a daily build, run without dbt, in milliseconds.

This file repeats what the custom strategies of macros/changed_rows.sql do around a model's query. test_marts_builds.py
checks that dbt itself does the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg2.extensions import cursor as Cursor

from lakehouse import warehouse
from lakehouse.marts.dbt import run_dbt
from lakehouse.settings import Settings

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Model:
    """A view or table of dbt. `full` and `incremental`: its query on a full refresh and in a daily build."""

    name: str
    relation: str
    materialized: str
    replaces: dict[str, str] | None
    predicates: tuple[str, ...]
    full: str
    incremental: str


def compile_project(settings: Settings, folder: Path) -> list[Model]:
    """Every model, parents first. The queries name no database, so they run in every workspace."""
    full, manifest = _compile(settings, folder / "full", "full")
    incremental, _ = _compile(settings, folder / "incremental", "incremental")
    nodes = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    ordered: list[str] = []

    def visit(key: str) -> None:
        for parent in nodes[key]["depends_on"]["nodes"]:
            if parent in nodes:
                visit(parent)
        if key not in ordered:
            ordered.append(key)

    for key in sorted(nodes):
        visit(key)
    return [
        Model(
            name=node["name"],
            relation=f"{node['schema']}.{node['name']}",
            materialized=node["config"]["materialized"],
            replaces=node["config"]["meta"].get("replaces"),
            predicates=tuple(node["config"].get("incremental_predicates") or ()),
            full=full[node["name"]],
            incremental=incremental[node["name"]],
        )
        for node in map(nodes.__getitem__, ordered)
    ]


@contextmanager
def rolled_back(settings: Settings) -> Iterator[Cursor]:
    """A transaction that is rolled back, as the owner, who may take the roles loader and transformer."""
    with warehouse.cursor(settings, "owner") as cursor:
        yield cursor
        cursor.connection.rollback()


def create(cursor: Cursor, project: list[Model]) -> None:
    """Make every view and table from what the raw tables hold, as the first build in a workspace does."""
    cursor.execute("set local role transformer")
    for model in project:
        kind = "view" if model.materialized == "view" else "table"
        cursor.execute(f"create {kind} {model.relation} as {model.full}")
    cursor.execute("reset role")


def build(cursor: Cursor, models: list[Model], *, killed_after: int | None = None) -> None:
    """Run a daily build; it dies after `killed_after` incremental models. A complete one uses up the changed keys.

    The cursor's session may take the roles transformer and loader.
    """
    cursor.execute("set local role transformer")
    for model in [model for model in models if model.materialized == "incremental"][:killed_after]:
        cursor.execute(f"create temporary table new_rows on commit drop as {model.incremental}")
        if model.replaces is None:
            cursor.execute(f"insert into {model.relation} table new_rows except table {model.relation}")
        else:
            kept = "".join(f" and {predicate}" for predicate in model.predicates)
            cursor.execute(
                f"delete from {model.relation} where {model.replaces['column']} in "
                f"(select changed_key from intermediate.int_changed_keys where entity = %s){kept}",
                (model.replaces["entity"],),
            )
            cursor.execute(f"insert into {model.relation} table new_rows")
        cursor.execute("drop table new_rows")
    if killed_after is None:
        # Compiled without a database, the watermark stays 0. Instead of moving it, delete the keys below it.
        cursor.execute("truncate intermediate.int_changed_keys")
        cursor.execute("set local role loader")
        cursor.execute("truncate ops.changed_keys")
    cursor.execute("reset role")


def differences_from_full_refresh(cursor: Cursor, models: list[Model]) -> dict[str, tuple[Rows, Rows]]:
    """Per model that differs: the rows a full refresh would not make, and the rows it would. All columns.

    Each model is compared on its current parents. Parents are compared before their children, so equality carries on.
    """
    cursor.execute("set local role transformer")
    found: dict[str, tuple[Rows, Rows]] = {}
    for model in models:
        if model.replaces is None:
            continue
        cursor.execute(f"(table {model.relation}) except all ({model.full})")
        surplus = cursor.fetchall()
        cursor.execute(f"({model.full}) except all (table {model.relation})")
        missing = cursor.fetchall()
        if surplus or missing:
            found[model.name] = (surplus, missing)
    return found


def _compile(settings: Settings, folder: Path, form: str) -> tuple[dict[str, str], dict[str, Any]]:
    arguments = ["compile", "--no-introspect", "--no-populate-cache"]
    arguments += ["--select", "resource_type:model", "--vars", f"{{compile_as: {form}}}"]
    run_dbt(settings, folder, arguments, log=lambda _: None)
    files = (folder / "compiled" / "lakehouse" / "models").rglob("*.sql")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    named = f'"{settings.database_name}".'
    return {path.stem: path.read_text(encoding="utf-8").replace(named, "") for path in files}, manifest
