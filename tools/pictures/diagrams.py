"""Contract, dbt's yml, Power BI's model -> the diagrams, in Graphviz's language.

The text of a diagram depends on nothing else, so that a test can tell whether a picture is current without drawing it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from lakehouse.contract.odcs import read_contract
from lakehouse.settings import PROJECT_DIR
from tools.generate.diagrams import Entity, Reference, source_model, star_schema
from tools.generate.markdown import dbt_models
from tools.pictures.drawn import FONT, LIGHT
from tools.pictures.power_bi import read_model


@dataclass(frozen=True)
class Diagram:
    """`name`: the picture's file without its suffix. `dot`: what Graphviz draws."""

    name: str
    title: str
    dot: str


def diagrams() -> list[Diagram]:
    """All of them, from the current contract and models."""
    return [
        Diagram("source-model", "The relational model of the source: nine tables and their keys", _source()),
        Diagram("star-schema", "The star schema: six dimensions and four fact tables", _star()),
        Diagram("power-bi-model", "The model of the Power BI project", _power_bi()),
    ]


def _source() -> str:
    contract = read_contract(PROJECT_DIR / "contracts", "olist")
    entities, references = source_model(contract)
    nodes = [_entity(entity, references, "dimension") for entity in entities]
    return _graph([*nodes, _legend()], map(_edge, references), spread=0.9)


def _star() -> str:
    """Dimensions to the left of the facts; below the keys, how many further columns a table has."""
    models = dbt_models(PROJECT_DIR / "dbt", "marts")
    described, references = star_schema(models)
    joined = {r.table for r in references} | {r.to for r in references}
    entities = [entity for entity in described if entity.name in joined]
    columns = {str(model["name"]): len(model["columns"]) for model in models}
    facts = [entity.name for entity in entities if entity.name.startswith("fct_")]
    nodes = [
        _entity(
            entity,
            references,
            "fact" if entity.name in facts else "dimension",
            _counted(columns[entity.name] - len(entity.columns), 0),
        )
        for entity in entities
    ]
    ranks = [f"{{rank=same; {'; '.join(map(_id, facts))}}}"]
    to_dimensions = [_edge(reference) for reference in references if reference.to not in facts]
    # The facts stand in one column, so an edge between two of them leaves and enters on their far side.
    between = [
        f"{_id(r.to)}:{_id(r.field)}_end:e -> {_id(r.table)}:{_id(r.column)}_end:e [style=dashed, constraint=false]"
        for r in references
        if r.to in facts
    ]
    return _graph([*nodes, *ranks], [*to_dimensions, *between], spread=1.5)


def _power_bi() -> str:
    """The tables with the columns of relationships, and how many measures each is the home of."""
    model = read_model(PROJECT_DIR / "powerbi")
    facts = {reference.table for reference in model.references}
    nodes = [
        _entity(
            entity,
            model.references,
            "fact" if entity.name in facts else "dimension",
            _counted(model.columns[entity.name] - len(entity.columns), model.measures[entity.name]),
        )
        for entity in model.entities
    ]
    ranks = [f"{{rank=same; {'; '.join(map(_id, sorted(facts)))}}}"]
    return _graph([*nodes, *ranks], map(_edge, model.references), spread=1.5)


def _counted(columns: int, measures: int) -> str:
    """What the table has beside the columns shown."""
    counts = {"column": columns, "measure": measures}
    text = ", ".join(f"{count} {what}{'s' * (count > 1)}" for what, count in counts.items() if count)
    return f"+ {text}" if text else ""


def _graph(nodes: Iterable[str], edges: Iterable[str], spread: float) -> str:
    lines = [
        "digraph {",
        f'graph [rankdir=LR, bgcolor="{LIGHT["paper"]}", pad=0.25, nodesep=0.28, ranksep={spread}, splines=spline]',
        f'node [shape=plain, fontname="{FONT}", fontsize=12, fontcolor="{LIGHT["ink"]}"]',
        f'edge [color="{LIGHT["edge"]}", penwidth=1.2, arrowsize=0.7, dir=both, arrowhead=crow, arrowtail=none]',
        *nodes,
        *edges,
        "}",
    ]
    return "\n".join(lines) + "\n"


def _entity(entity: Entity, references: Sequence[Reference], colour: str, further: str = "") -> str:
    """A table: its name, then a row per column, where edges start and end."""
    pointing = {reference.column for reference in references if reference.table == entity.name}
    rows = [_row(name, kind, name in entity.key, name in pointing) for kind, name in entity.columns]
    if further:
        rows.append(f'<tr><td colspan="2" align="left" height="20">&#160;{_muted(further)}</td></tr>')
    return f"{_id(entity.name)} [label=<{_card(entity.name, colour, rows)}>]"


def _legend() -> str:
    rows = [
        f'<tr><td align="left"><b>bold</b></td><td align="left">{_muted("the key, or a part of it")}</td></tr>',
        f'<tr><td align="left"><font color="{LIGHT["key"]}">colour</font></td>'
        f'<td align="left">{_muted("refers to the column at the line")}</td></tr>',
        f'<tr><td align="left">dashed</td><td align="left">{_muted("the other row may be missing")}</td></tr>',
    ]
    table = f'<table border="0" cellborder="0" cellspacing="0" cellpadding="3">{"".join(rows)}</table>'
    return f"legend [label=<{table}>]"


def _card(name: str, colour: str, rows: Iterable[str]) -> str:
    return (
        f'<table border="1" cellborder="0" cellspacing="0" cellpadding="3" color="{LIGHT["line"]}" '
        f'bgcolor="{LIGHT["card"]}"><tr><td colspan="2" bgcolor="{LIGHT[colour]}" align="left" height="26">'
        f'<font color="{LIGHT["on_colour"]}"><b>&#160;{escape(name)}&#160;</b></font></td></tr>{"".join(rows)}</table>'
    )


def _row(name: str, kind: str, is_key: bool, is_reference: bool) -> str:
    """A column. An edge ends at the port `name` on the left, and starts at `name_end` on the right."""
    shown = f"<b>{escape(name)}</b>" if is_key else escape(name)
    if is_reference:
        shown = f'<font color="{LIGHT["key"]}">{shown}</font>'
    return (
        f'<tr><td port="{_id(name)}" align="left" height="20">&#160;{shown}&#160;&#160;</td>'
        f'<td port="{_id(name)}_end" align="right">{_muted(kind)}&#160;</td></tr>'
    )


def _muted(text: str) -> str:
    return f'<font color="{LIGHT["muted"]}" point-size="10">{escape(text)}</font>'


def _edge(reference: Reference) -> str:
    """From one row to the many that refer to it; dashed if the one may be missing."""
    style = "" if reference.certain else " [style=dashed]"
    return (
        f"{_id(reference.to)}:{_id(reference.field)}_end:e -> {_id(reference.table)}:{_id(reference.column)}:w{style}"
    )


def _id(name: str) -> str:
    """A name as Graphviz takes it without quotes."""
    return "_" + name.replace(" ", "_")
