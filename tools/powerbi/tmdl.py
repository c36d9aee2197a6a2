"""A model -> the files of its folder `definition` in TMDL, byte for byte as Microsoft's Tabular Object Model has them.

So a save in Power BI Desktop changes nothing but what the person changed.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Sequence

from tools.powerbi.model import Column, Measure, Model, Relationship, Table

# Names of a place in the model -> the same identifier for each run: Desktop would otherwise make up new ones.
NAMESPACE = uuid.UUID("5d6f3c0e-5a0b-5f8e-9c55-2f1f2b6f6a10")
COMPATIBILITY_LEVEL = 1601
QUERY_OF_A_MART = "Mart"


def tag(*place: str) -> str:
    """The identifier of a place: the same for the same names, whatever else changes."""
    return str(uuid.uuid5(NAMESPACE, "/".join(place)))


def definition(model: Model) -> dict[str, str]:
    """Path below `definition` -> text."""
    files = {
        "database.tmdl": f"database\n\tcompatibilityLevel: {COMPATIBILITY_LEVEL}\n\n",
        "expressions.tmdl": _expressions(model),
        "model.tmdl": _model(model),
        "relationships.tmdl": "".join(_relationship(one) for one in model.relationships),
    }
    return files | {f"tables/{table.name}.tmdl": _table(table) for table in model.tables}


def _model(model: Model) -> str:
    queries = ["Server", "Database", QUERY_OF_A_MART, *(table.name for table in model.tables)]
    tables = "".join(f"ref table {_quoted(table.name)}\n" for table in model.tables)
    return (
        "model Model\n"
        "\tculture: en-US\n"
        "\tdefaultPowerBIDataSourceVersion: powerBI_V3\n"
        "\tdiscourageImplicitMeasures\n"
        "\tsourceQueryCulture: en-US\n"
        "\tdataAccessOptions\n"
        "\t\tlegacyRedirects\n"
        "\t\treturnErrorValuesAsNull\n\n"
        # Off: Power BI would add a hidden date table to each column with a date.
        "annotation __PBI_TimeIntelligenceEnabled = 0\n\n"
        f"annotation PBI_QueryOrder = {json.dumps(queries)}\n\n"
        'annotation PBI_ProTooling = ["DevMode"]\n\n'
        f"{tables}\n"
    )


def _expressions(model: Model) -> str:
    """The two parameters, and the one query that knows which kind of server the marts are on."""
    (schema,) = {table.schema for table in model.tables}
    query = (
        "// Each table is read here: another kind of server needs another connector in this place only.",
        "(relation as text, columns as list) as table =>",
        "let",
        "    Source = PostgreSQL.Database(Server, Database, [CreateNavigationProperties = false]),",
        f'    Relation = Source{{[Schema = "{schema}", Item = relation]}}[Data],',
        "    Chosen = Table.SelectColumns(Relation, columns)",
        "in",
        "    Chosen",
    )
    return (
        _parameter("Server", model.server, "Host and port of the warehouse, as 127.0.0.1:5433.")
        + _parameter("Database", model.database, "Name of the database: lakehouse_ and the name of the workspace.")
        + f"/// Columns of a relation of the schema {schema}, read with the two parameters.\n"
        + f"expression {QUERY_OF_A_MART} =\n{_block(query, 2)}\n"
        + f"\tlineageTag: {tag('expression', QUERY_OF_A_MART)}\n\n"
        + "\tannotation PBI_ResultType = Function\n\n"
    )


def _parameter(name: str, value: str, description: str) -> str:
    return (
        f"/// {description}\n"
        f'expression {name} = "{value}" meta [IsParameterQuery=true, Type="Text", IsParameterQueryRequired=true]\n'
        f"\tlineageTag: {tag('expression', name)}\n\n"
        "\tannotation PBI_ResultType = Text\n\n"
    )


def _relationship(one: Relationship) -> str:
    return (
        f"relationship {tag('relationship', *one.many, *one.one)}\n"
        f"\tfromColumn: {_reference(one.many)}\n"
        f"\ttoColumn: {_reference(one.one)}\n\n"
    )


def _table(table: Table) -> str:
    lines = [f"/// {table.description}", f"table {_quoted(table.name)}", f"\tlineageTag: {tag(table.name)}"]
    if table.is_calendar:
        lines.append("\tdataCategory: Time")
    lines.append("")
    for measure in table.measures:
        lines += _measure(table, measure)
    for column in table.columns:
        lines += _column(table, column)
    for name, columns in table.hierarchies.items():
        lines += _hierarchy(table, name, columns)
    lines += [
        f"\tpartition {_quoted(table.name)} = m",
        "\t\tmode: import",
        "\t\tsource =",
        _block(query(table), 4),
        "",
        "\tannotation PBI_ResultType = Table",
        "",
        "",
    ]
    return "\n".join(lines)


def _measure(table: Table, measure: Measure) -> list[str]:
    lines = [
        f"\t/// {measure.description}",
        f"\tmeasure {_quoted(measure.name)} = {measure.dax}",
        f"\t\tformatString: {measure.format}",
    ]
    if measure.is_hidden:
        lines.append("\t\tisHidden")
    return [
        *lines,
        f"\t\tdisplayFolder: {measure.folder}",
        f"\t\tlineageTag: {tag(table.name, 'measure', measure.name)}",
        "",
    ]


def _column(table: Table, column: Column) -> list[str]:
    lines = [
        f"\t/// {column.description}",
        f"\tcolumn {_quoted(column.name)}",
        f"\t\tdataType: {column.type}",
    ]
    if column.is_hidden:
        lines.append("\t\tisHidden")
    if column.is_key:
        lines.append("\t\tisKey")
    if column.format:
        lines.append(f"\t\tformatString: {column.format}")
    if column.is_hidden and not column.sorts:
        lines.append("\t\tisAvailableInMdx: false")
    lines.append(f"\t\tlineageTag: {tag(table.name, 'column', column.name)}")
    if column.category:
        lines.append(f"\t\tdataCategory: {column.category}")
    lines += ["\t\tsummarizeBy: none", f"\t\tsourceColumn: {column.source}"]
    if column.sorted_by:
        lines.append(f"\t\tsortByColumn: {_quoted(column.sorted_by)}")
    return [*lines, ""]


def _hierarchy(table: Table, name: str, columns: Sequence[str]) -> list[str]:
    lines = [f"\thierarchy {_quoted(name)}", f"\t\tlineageTag: {tag(table.name, 'hierarchy', name)}", ""]
    for column in columns:
        lines += [
            f"\t\tlevel {_quoted(column)}",
            f"\t\t\tlineageTag: {tag(table.name, 'hierarchy', name, column)}",
            f"\t\t\tcolumn: {_quoted(column)}",
            "",
        ]
    return lines


def query(table: Table) -> list[str]:
    """The lines of the table's query in M."""
    columns = ", ".join(f'"{column.source}"' for column in table.columns)
    chosen = f'{QUERY_OF_A_MART}("{table.relation}", {{{columns}}})'
    if table.years_of:
        fact, key, year = table.years_of.relation, table.years_of.key, table.years_of.year
        return [
            "let",
            f'    Keys = Table.SelectRows({QUERY_OF_A_MART}("{fact}", {{"{key}"}}), each [{key}] > 0)[{key}],',
            "    First = Number.IntegerDivide(List.Min(Keys, 0), 10000),",
            "    Last = Number.IntegerDivide(List.Max(Keys, 0), 10000),",
            f"    Chosen = {chosen},",
            f"    Kept = Table.SelectRows(Chosen, each [{year}] <> null and [{year}] >= First and [{year}] <= Last)",
            "in",
            "    Kept",
        ]
    if table.only:
        condition = " and ".join(f'[{column}] = "{value}"' for column, value in table.only.items())
        return [
            "let",
            f"    Chosen = {chosen},",
            f"    Kept = Table.SelectRows(Chosen, each {condition})",
            "in",
            "    Kept",
        ]
    return ["let", f"    Chosen = {chosen}", "in", "    Chosen"]


def _reference(column: tuple[str, str]) -> str:
    return ".".join(_quoted(name) for name in column)


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "''") + "'" if re.search(r"[\s.=:']", name) else name


def _block(lines: Iterable[str], tabs: int) -> str:
    return "\n".join("\t" * tabs + line for line in lines)
