"""A project against itself, report/ and the marts -> what Microsoft's checks do not look at.

Names across files, DAX, M, columns of the marts, paths between tables, overlapping visuals, alternative texts, secrets.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.powerbi.checks import dax, m
from tools.powerbi.layout import PHONE_WIDTH
from tools.powerbi.tmdl import QUERY_OF_A_MART

# Those in use: a new one is looked up once, then added.
FUNCTIONS = {
    "ALL", "ALLSELECTED", "CALCULATE", "COUNT", "COUNTROWS", "DISTINCTCOUNT", "DIVIDE", "EDATE", "FILTER", "IF",
    "ISBLANK", "KEEPFILTERS", "MIN", "PERCENTILE.INC", "SAMEPERIODLASTYEAR", "SUM", "SUMMARIZE", "SUMX", "TRUE",
}  # fmt: skip
# What a column of marts may be in the model.
TYPES = {
    "String": {"text"},
    "Int64": {"integer", "bigint", "smallint"},
    "Boolean": {"boolean"},
    "DateTime": {"date", "timestamp", "timestamp without time zone"},
    "Decimal": {"numeric"},
}
SOURCE = "PostgreSQL.Database(Server, Database,"
SECRET = re.compile(r"password|passwd|\bpwd\b|secret|api[-_ ]?key|\btoken\b", re.IGNORECASE)
CALL = re.compile(rf'{QUERY_OF_A_MART}\("(?P<relation>\w+)", \{{(?P<columns>[^}}]*)\}}\)')
# Desktop ignores a folder of any other name, without a word.
SEEN_BY_DESKTOP = re.compile(r"[A-Za-z0-9_-]+")

Tables = Mapping[str, Any]


@dataclass(frozen=True)
class Expected:
    """What the project must fit: measures.yml as name -> DAX, and the marts as relation -> column -> type."""

    measures: Mapping[str, str]
    derived: frozenset[str]
    marts: Mapping[str, Mapping[str, str]]


def findings(project: Path, model: Mapping[str, Any], expected: Expected) -> list[str]:
    """Everything that is wrong. `model` is what TOM read of the project."""
    tables = model["tables"]
    return [
        *_measures(tables, expected),
        *_columns(tables, model["relationships"]),
        *_paths(tables, model["relationships"]),
        *_queries(tables, model["expressions"], expected.marts),
        *_secrets(project),
        *_report(project, tables),
    ]


def _measures(tables: Tables, expected: Expected) -> Iterator[str]:
    found = {name: one for table in tables.values() for name, one in table["measures"].items()}
    for name in expected.measures.keys() - found.keys():
        yield f"[{name}] of measures.yml is not in the model"
    for name in found.keys() - expected.measures.keys() - expected.derived:
        yield f"[{name}] is in the model and not in measures.yml"
    for name, text in expected.measures.items():
        if name in found and found[name]["dax"] != text:
            yield f"[{name}] is not what measures.yml says"
    for table, content in tables.items():
        for name in content["measures"].keys() & content["columns"].keys():
            yield f"{table}: column and measure are both named {name}"
    for name, one in found.items():
        yield from (f"[{name}]: {problem}" for problem in _dax(one["dax"], tables, found.keys()))
        for part in ("format", "folder", "description"):
            if not one[part]:
                yield f"[{name}] has no {part}"


def _dax(expression: str, tables: Tables, measures: Any) -> Iterator[str]:
    try:
        names = dax.names(expression)
    except dax.DaxError as error:
        yield f"DAX does not parse: {error}"
        return
    for table in names.tables - tables.keys():
        yield f"no table {table}"
    for table, column in names.columns:
        if table not in tables or column not in tables[table]["columns"]:
            yield f"no column {table}[{column}]"
    for name in names.bare - measures:
        yield f"no measure [{name}]"
    for name in names.functions - FUNCTIONS:
        yield f"{name} is none of the functions in use"


def _columns(tables: Tables, relationships: Any) -> Iterator[str]:
    keys = {tuple(one[end]) for one in relationships for end in ("from", "to")}
    for table, content in tables.items():
        if not content["description"]:
            yield f"{table} has no description"
        for name, one in content["columns"].items():
            if one["is_summed"]:
                yield f"{table}[{name}] is summed by itself; measures do that"
            if not one["description"]:
                yield f"{table}[{name}] has no description"
            if (table, name) in keys and not one["is_hidden"]:
                yield f"{table}[{name}] is a key and not hidden"
    for one in relationships:
        types = {tables[table]["columns"][column]["type"] for table, column in (one["from"], one["to"])}
        if len(types) > 1:
            yield f"{one['from'][0]} and {one['to'][0]}: their keys have different types"
        if one["filters_both_ways"]:
            yield f"{one['from'][0]} and {one['to'][0]}: facts must not filter dimensions"


def _paths(tables: Tables, relationships: Any) -> Iterator[str]:
    """Two active paths between two tables are an ambiguity that Power BI refuses, or solves by a rule of its own."""
    active: dict[str, list[str]] = {name: [] for name in tables}
    for one in relationships:
        if one["is_active"]:
            active[one["from"][0]].append(one["to"][0])
    for start, end in itertools.permutations(tables, 2):
        count = _count_paths(active, start, end, frozenset())
        if count > 1:
            yield f"{count} active paths from {start} to {end}"


def _count_paths(active: Mapping[str, list[str]], at: str, end: str, passed: frozenset[str]) -> int:
    if at == end:
        return 1
    return sum(_count_paths(active, to, end, passed | {at}) for to in active[at] if to not in passed)


def _queries(tables: Tables, expressions: Mapping[str, str], marts: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    queries = {**expressions} | {table: "\n".join(content["queries"]) for table, content in tables.items()}
    for name, message in zip(queries, m.syntax_errors(tuple(queries.values())), strict=True):
        if message:
            yield f"{name}: M does not parse: {message}"
    for name in {"Server", "Database", QUERY_OF_A_MART} - expressions.keys():
        yield f"the model has no query {name}"
    if SOURCE not in expressions.get(QUERY_OF_A_MART, ""):
        yield f"{QUERY_OF_A_MART} does not take server and database from the parameters"
    for table, content in tables.items():
        yield from (f"{table}: {problem}" for problem in _query(queries[table], content["columns"], marts))


def _query(query: str, columns: Mapping[str, Any], marts: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    calls = list(CALL.finditer(query))
    if not calls or re.search(r"\b[A-Z]\w+\.(Database|Contents|Query|NativeQuery)\(", query):
        yield f"the query does not read the marts through {QUERY_OF_A_MART}"
        return
    for call in calls:
        relation, chosen = call["relation"], re.findall(r'"(\w+)"', call["columns"])
        for name in chosen:
            if name not in marts.get(relation, {}):
                yield f"marts has no {relation}.{name}"
    # The last one is the table's own; those before it limit its rows.
    known = marts.get(relation, {})
    sources = {one["source"]: (name, one) for name, one in columns.items()}
    for name in sources.keys() - set(chosen):
        yield f"column {name} is not in the query"
    for name in set(chosen) - sources.keys():
        yield f"{name} is queried and no column of the table"
    for source, (name, one) in sources.items():
        kind = re.sub(r"\(.*\)", "", known.get(source, ""))
        if source in known and kind not in TYPES.get(one["type"], set()):
            yield f"[{name}] is {one['type']}, in marts it is {kind}"


def _secrets(project: Path) -> Iterator[str]:
    for path in sorted(project.rglob("*")):
        if path.is_file() and path.suffix != ".md":
            hits = SECRET.findall(path.read_text(encoding="utf-8"))
            if hits:
                yield f"{path.relative_to(project).as_posix()} holds something like a credential: {hits[0]}"


def _report(project: Path, tables: Tables) -> Iterator[str]:
    report = next(project.glob("*.Report"))
    binding = json.loads((report / "definition.pbir").read_text(encoding="utf-8"))["datasetReference"]["byPath"]["path"]
    if not (report / binding / "definition.pbism").is_file():
        yield f"definition.pbir: no semantic model at {binding}"
    for path in sorted((report / "definition").rglob("*.json")):
        for kind, table, name in _fields(json.loads(path.read_text(encoding="utf-8"))):
            if name not in tables.get(table, {}).get(kind, {}):
                yield f"{path.parent.name}: no {table}[{name}] among the {kind}"
    for page in sorted(path.parent for path in report.glob("definition/pages/*/page.json")):
        yield from _page(page)


def _fields(content: Any) -> Iterator[tuple[str, str, str]]:
    """Each (kind, table, name) that an expression refers to, sources of queries resolved to their tables."""

    def walk(part: Any, sources: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
        if isinstance(part, list):
            for one in part:
                yield from walk(one, sources)
        if not isinstance(part, dict):
            return
        if isinstance(part.get("From"), list):
            sources = {one["Name"]: one["Entity"] for one in part["From"] if "Entity" in one}
        for kind in ("Column", "Measure"):
            if "Property" in part.get(kind, {}):
                source = part[kind]["Expression"]["SourceRef"]
                table = source.get("Entity") or sources.get(source.get("Source"), "")
                yield f"{kind.lower()}s", table, part[kind]["Property"]
        for one in part.values():
            yield from walk(one, sources)

    yield from walk(content, {})


def _page(page: Path) -> Iterator[str]:
    if not SEEN_BY_DESKTOP.fullmatch(page.name):
        yield f"{page.name}: Power BI ignores a page of this name"
    folders = sorted(path.parent for path in page.glob("visuals/*/visual.json"))
    orders = []
    for file in ("visual.json", "mobile.json"):
        places = [(one.name, json.loads((one / file).read_text(encoding="utf-8"))["position"]) for one in folders]
        yield from (f"{page.name}: {problem} ({file})" for problem in _overlaps(places))
        if file == "mobile.json":
            wide = [name for name, one in places if one["x"] + one["width"] > PHONE_WIDTH]
            yield from (f"{page.name}: {name} is wider than a phone" for name in wide)
        else:
            orders = [one["tabOrder"] for _, one in places]
    if len(set(orders)) < len(orders):
        yield f"{page.name}: two visuals have one place in the order of the tab key"
    for folder in folders:
        if not SEEN_BY_DESKTOP.fullmatch(folder.name):
            yield f"{page.name}: Power BI ignores a visual named {folder.name}"
        visual = json.loads((folder / "visual.json").read_text(encoding="utf-8"))["visual"]
        general = visual.get("visualContainerObjects", {}).get("general", [])
        if not any("altText" in one["properties"] for one in general):
            yield f"{page.name}: {folder.name} has no alternative text"


def _overlaps(places: list[tuple[str, Mapping[str, int]]]) -> Iterator[str]:
    for (first, a), (second, b) in itertools.combinations(places, 2):
        apart_across = a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
        apart_down = a["y"] + a["height"] <= b["y"] or b["y"] + b["height"] <= a["y"]
        if not apart_across and not apart_down:
            yield f"{first} and {second} overlap"
