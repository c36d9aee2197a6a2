"""raw_<source> -> marts: decide whether dbt must run, run it once as the role transformer, move the watermark.

`ops.marts_state` records what the marts contain. Its state is `building` from the moment dbt may write until dbt has
succeeded, so the next run repeats a build that failed or was killed, from the same watermark. A full refresh removes
the watermark first, so a killed full refresh is repeated as a full refresh. If a user dropped a relation that the
last full refresh made, the next run is a full refresh.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import yaml
from psycopg2 import sql

from lakehouse import warehouse, yml
from lakehouse.errors import MartsError
from lakehouse.lakehouse import Lakehouse
from lakehouse.marts import raw_types
from lakehouse.marts.dbt import Log, Node, run_dbt
from lakehouse.marts.manifest import EVERY_SOURCE, read_models
from lakehouse.marts.readers import old_readers_ended
from lakehouse.settings import Settings
from lakehouse.warehouse.locks import HeldLock

APPLICATION_NAME = "lakehouse marts"  # as in dbt/profiles.yml
SESSION_END_TIMEOUT = 30.0  # seconds for the sessions of a killed dbt to end


@dataclass(frozen=True)
class MartsResult:
    """What a build did.

    `models`: (name, rows written, seconds) in building order; `warnings`: (name, failing rows) of tests that warn.
    """

    done: bool
    seconds: float = 0.0
    load_id: int = 0
    full_refresh: bool = False
    models: list[tuple[str, int | None, float]] = field(default_factory=list)
    tests: int = 0
    warnings: list[tuple[str, int]] = field(default_factory=list)


@dataclass(frozen=True)
class _State:
    """The row of ops.marts_state. `newest`: the last load of the source, 0 if there is none.

    `missing`: relations that the last full refresh made and that are no longer there.
    """

    newest: int
    load_id: int
    project_hash: str
    building: bool
    every_key: bool
    missing: tuple[str, ...] = ()


def run(lakehouse: Lakehouse, *, full_refresh: bool = False, log: Log = lambda *_: None) -> MartsResult:
    """Build the marts up to the last load; do not start dbt if the marts already contain it.

    Raises MartsError naming every model and test that failed; the marts then stay `building` until a run succeeds.
    """
    begin = time.monotonic()
    with lakehouse.lock("publish") as publishing:
        state, project = _read_state(lakehouse), project_hash(lakehouse.settings.dbt_dir)
        if not state.newest or not (full_refresh or _due(state, project)):
            return MartsResult(done=False, load_id=state.load_id)
        everything = full_refresh or _must_start_over(state, project)
        _end_leftover_sessions(lakehouse.settings)
        if everything:
            _analyse_new_tables(lakehouse)
        _mark_building(lakehouse, forget=everything)
        arguments = ["build", *_selected(lakehouse), "--exclude-resource-type", "unit_test"]
        arguments += ["--full-refresh"] if everything else ["--exclude", "tag:static", "--indirect-selection", "eager"]
        arguments += ["--vars", json.dumps(raw_types.variable(lakehouse))]
        with old_readers_ended(lakehouse):
            outcome = run_dbt(lakehouse.settings, lakehouse.settings.workspace_dir / "dbt", arguments, log)
        _mark_complete(lakehouse, publishing, state.newest, project, _relations(lakehouse) if everything else None)
    return MartsResult(
        done=True,
        seconds=time.monotonic() - begin,
        load_id=state.newest,
        full_refresh=everything,
        models=[(node.name, node.rows, node.seconds) for node in outcome if node.kind == "model"],
        tests=sum(node.kind == "test" for node in outcome),
        warnings=_warnings(outcome),
    )


def test(lakehouse: Lakehouse, *, log: Log = lambda *_: None) -> MartsResult:
    """Run every data test on all rows; a build tests only rows that it changed. Do nothing if a build is unfinished.

    Raises MartsError naming every test that failed.
    """
    begin = time.monotonic()
    with lakehouse.lock("publish"):
        state = _read_state(lakehouse)
        if not state.load_id or state.building:
            return MartsResult(done=False)
        arguments = ["test", *_selected(lakehouse), "--exclude-resource-type", "unit_test"]
        arguments += ["--vars", '{"full_tests": true}']
        # A separate folder: in the build's folder, other variables would make dbt parse the whole project again, here
        # and in the next build.
        outcome = run_dbt(lakehouse.settings, lakehouse.settings.workspace_dir / "dbt_full_tests", arguments, log)
    return MartsResult(
        done=True,
        seconds=time.monotonic() - begin,
        load_id=state.load_id,
        tests=len(outcome),
        warnings=_warnings(outcome),
    )


def last_built(lakehouse: Lakehouse) -> datetime | None:
    """When the last build ended; None if there was none, or if it is not complete."""
    moment: datetime | None
    (moment,) = lakehouse.one(
        "select finished_at from ops.marts_state where source = %s and status = 'complete'", lakehouse.contract.source
    ) or (None,)
    return moment


def pending(lakehouse: Lakehouse) -> str | None:
    """Why the marts are due; None if they contain everything that was loaded."""
    state, project = _read_state(lakehouse), project_hash(lakehouse.settings.dbt_dir)
    return _due(state, project) if state.newest else None


def project_hash(dbt_dir: Path) -> str:
    """Hash of everything that shapes a table: models, macros, and the yml files without unit tests and exposures.

    A new unit test, exposure or comment does not rebuild the marts. A description does: it becomes a comment in the
    database.
    Tests in dbt/tests and analyses are not in the hash.
    """
    files = [dbt_dir / "dbt_project.yml"]
    for folder in ("macros", "models"):
        files += sorted(path for path in (dbt_dir / folder).rglob("*") if path.suffix in (".sql", ".yml"))
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes() if path.suffix == ".sql" else _shaping(path.read_bytes())
        digest.update(path.relative_to(dbt_dir).as_posix().encode() + b"\0" + content + b"\0")
    return digest.hexdigest()[:16]


def _shaping(content: bytes) -> bytes:
    """A yml file's content without its `unit_tests` and `exposures`.

    Invalid YAML is returned unchanged, since dbt will refuse it.
    """
    try:
        document = yml.load(content)
    except yaml.YAMLError:
        return content
    if isinstance(document, dict):
        for key in ("unit_tests", "exposures"):
            document.pop(key, None)
    return repr(document).encode()


def _due(state: _State, project_hash: str) -> str | None:
    if not state.project_hash:
        return "they were not built yet"
    if state.project_hash != project_hash:
        return "the dbt project changed"
    if state.building:
        return "the last build was not completed"
    if state.missing:
        more = f" and {len(state.missing) - 1} more" if len(state.missing) > 1 else ""
        return f"{state.missing[0]}{more} no longer exist{'' if more else 's'}"
    if state.newest > state.load_id:
        return "something was loaded"
    return None


def _must_start_over(state: _State, project_hash: str) -> bool:
    return state.load_id == 0 or state.project_hash != project_hash or state.every_key or bool(state.missing)


def _read_state(lakehouse: Lakehouse) -> _State:
    with lakehouse.cursor("transformer") as cursor:
        cursor.execute(
            "select coalesce(max(load_id), 0) from ops.load_log where source = %s", (lakehouse.contract.source,)
        )
        (newest,) = cursor.fetchone() or (0,)
        cursor.execute(
            "select load_id, project_hash, status = 'building', "
            "array(select name from unnest(relations) as made (name) where to_regclass(name) is null) "
            "from ops.marts_state where source = %s",
            (lakehouse.contract.source,),
        )
        load_id, project_hash, building, missing = cursor.fetchone() or (0, "", False, [])
        cursor.execute(
            "select exists (select from ops.changed_keys where source = %s and load_id > %s and key is null)",
            (lakehouse.contract.source, load_id),
        )
        (every_key,) = cursor.fetchone() or (False,)
    return _State(newest, load_id, project_hash, building, every_key, tuple(missing))


def _mark_building(lakehouse: Lakehouse, *, forget: bool) -> None:
    """Set the state `building`. `forget`: also remove watermark and project hash, since the marts will be dropped."""
    with lakehouse.cursor("transformer") as cursor:
        if forget:
            cursor.execute("delete from ops.marts_state where source = %s", (lakehouse.contract.source,))
            cursor.execute(
                "insert into ops.marts_state (source, load_id, project_hash, status, started_at) "
                "values (%s, 0, '', 'building', now())",
                (lakehouse.contract.source,),
            )
        else:
            cursor.execute(
                "update ops.marts_state set status = 'building', started_at = now(), finished_at = null "
                "where source = %s",
                (lakehouse.contract.source,),
            )


def _selected(lakehouse: Lakehouse) -> list[str]:
    """What tells dbt to take the models of the source."""
    return ["--select", f"tag:{lakehouse.contract.source}", f"tag:{EVERY_SOURCE}"]


def _relations(lakehouse: Lakehouse) -> list[str]:
    """What the build that has just ended made."""
    models = read_models(lakehouse.settings.workspace_dir / "dbt" / "manifest.json").values()
    return [model.relation for model in models if model.is_of(lakehouse.contract.source)]


def _mark_complete(
    lakehouse: Lakehouse, publishing: HeldLock, load_id: int, project_hash: str, relations: list[str] | None
) -> None:
    """Set the state `complete`. Check the lock first: if it is lost, another build may have changed the marts.

    `relations`: None leaves those of the last full refresh.
    """
    with lakehouse.cursor("transformer") as cursor:
        publishing.fence(cursor)
        cursor.execute(
            "update ops.marts_state set load_id = %s, project_hash = %s, status = 'complete', finished_at = now(), "
            "relations = coalesce(%s, relations) where source = %s",
            (load_id, project_hash, relations, lakehouse.contract.source),
        )


def _end_leftover_sessions(settings: Settings) -> None:
    """End the sessions of a killed dbt: the server itself ends a session only when its statement has finished.

    The caller holds the lock `publish`, so none of these sessions belongs to another run.
    """
    named = "datname = current_database() and usename = current_user and application_name = %s"
    deadline = time.monotonic() + SESSION_END_TIMEOUT
    with warehouse.cursor(settings, "transformer", autocommit=True) as cursor:
        while True:
            cursor.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where {named}", (APPLICATION_NAME,))  # noqa: S608
            if not cursor.fetchall():
                return
            if time.monotonic() > deadline:
                raise MartsError(
                    f"Sessions named '{APPLICATION_NAME}' of a build that died do not end. "
                    "Restart the warehouse (`lakehouse stop`, then the same command again)."
                )
            cursor.execute("select pg_sleep(0.05)")


def _analyse_new_tables(lakehouse: Lakehouse) -> None:
    """Analyse raw tables that have no statistics: without them, the planner mistakes a million rows for a thousand."""
    with lakehouse.cursor(autocommit=True) as cursor:
        cursor.execute(
            "select relname from pg_stat_user_tables "
            "where schemaname = %s and last_analyze is null and last_autoanalyze is null",
            (lakehouse.contract.raw_schema,),
        )
        for (table,) in cursor.fetchall():
            cursor.execute(sql.SQL("analyze {}").format(sql.Identifier(lakehouse.contract.raw_schema, table)))


def _warnings(nodes: Sequence[Node]) -> list[tuple[str, int]]:
    return sorted((node.name, node.rows or 0) for node in nodes if node.status == "warn")
