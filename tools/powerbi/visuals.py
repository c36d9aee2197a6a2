"""A visual of pages.yml -> what Power BI draws: its type, fields, sorting, filters and formatting.

By the habits of IBCS: time runs to the right in columns, structure downwards in bars; this year is dark, the year
before grey; figures stand at their columns instead of an axis; no second axis, no pie.
"""

from __future__ import annotations

from collections.abc import Callable

from lakehouse.errors import ReportError
from lakehouse.report.pages import Visual
from tools.powerbi import theme
from tools.powerbi.derived import covered_year_before, cumulated, shows_year_before, year_before
from tools.powerbi.expressions import (
    ASCENDING,
    DESCENDING,
    Json,
    at_least,
    colour,
    colour_below,
    column,
    each_point,
    largest,
    measure,
    properties,
    shade,
)
from tools.powerbi.model import Model
from tools.powerbi.sources import ColumnName, Sources
from tools.powerbi.tmdl import tag

Roles = dict[str, list[Json]]

WORDS = {
    "cards": "Figures",
    "columns": "Columns",
    "line": "Lines",
    "bars": "Bars",
    "matrix": "Matrix, darker where the figure is higher",
    "scatter": "Points",
    "pareto": "Line",
    "table": "Table",
    "insights": "Text",
}


class Drawing:
    """One visual of one page."""

    def __init__(self, model: Model, sources: Sources, page: str, visual: Visual) -> None:
        self.model, self.sources, self.page, self.visual = model, sources, page, visual
        self.measures = list(visual.measures)

    def visual_json(self) -> Json:
        """The property `visual` of visual.json."""
        kinds: dict[str, Callable[[], Json]] = {
            "cards": self._cards,
            "columns": lambda: self._chart("clusteredColumnChart"),
            "line": lambda: self._chart("lineChart"),
            "bars": lambda: self._chart("clusteredBarChart"),
            "matrix": self._matrix,
            "scatter": self._scatter,
            "pareto": self._pareto,
            "table": self._table,
            "insights": self._text,
        }
        kind = self.visual.kind
        drawn = kinds[kind]()
        container: Json = {"general": properties({"altText": self.alternative_text()})}
        if kind == "cards":
            container["title"] = properties({"show": False})
        elif kind != "insights":
            container["title"] = properties({"show": True, "text": self.visual.title})
        if self.visual.note:
            container["subTitle"] = properties({"show": True, "text": self.visual.note})
        return {**drawn, "visualContainerObjects": container, "drillFilterOtherVisuals": True}

    def alternative_text(self) -> str:
        """What is shown, in fixed words: those of pages.yml hold figures, which Power BI cannot fill in."""
        words = f"{WORDS[self.visual.kind]}: {self.visual.title}"
        if self.visual.kind == "cards":
            words = f"{WORDS['cards']}: {', '.join(self.measures)}"
        if self._with_year_before():
            words += ", each beside the year before" if len(self.measures) > 1 else ", beside the year before"
        return f"{words}."

    def filters(self) -> list[Json]:
        """Filters of this visual alone: the largest members, members with a large enough sample."""
        place = (self.page, self.visual.id)
        found = []
        if self.visual.limit:
            by = self._by()
            key = self._sort_key()
            order = column(*by, source="c")
            entity = by[0]
            if key in self.measures:
                entity = self.model.home(key)
                order = measure(self.model, key, "c" if entity == by[0] else "o")
            found.append(largest(self.model, by, order, entity, self.visual.limit, place))
        wanted: dict[str, float] = dict(self.visual.where)
        if self.visual.minimum and self.visual.sample:
            wanted[self.visual.sample] = self.visual.minimum
        return [*found, *(at_least(self.model, name, smallest, place) for name, smallest in wanted.items())]

    def _cards(self) -> Json:
        """Sized so that a figure, its name and the year before fit into three rows of the grid."""
        standard = {"id": "default"}
        objects = {
            "value": properties({"fontSize": 18.0}, standard),
            "label": properties({"fontSize": 9.0}, standard),
            "referenceLabel": properties({"backgroundShow": False, "paddingUniform": 2}, standard),
            "referenceLabelTitle": properties({"titleFontSize": 9.0}, standard),
            "referenceLabelValue": properties({"valueFontSize": 9.0, "valueFontColor": colour(theme.LINE)}, standard),
        }
        for name in self._with_year_before():
            place = f"{self.model.home(name)}.{name}"
            label = f"field-{tag('label', self.page, name)}"
            value = {"value": {"expr": measure(self.model, covered_year_before(name))}}
            where = {**each_point(0), "metadata": place, "id": label, "order": 0}
            objects["referenceLabel"] += properties(value, where)
            text = {"titleContentType": "custom", "titleText": "Year before"}
            objects["referenceLabelTitle"] += properties(text, {"metadata": place, "id": label})
        return self._drawn("cardVisual", {"Data": self._fields(self.measures)}, objects=objects)

    def _chart(self, kind: str) -> Json:
        before = [year_before(name) for name in self._with_year_before()]
        roles = {"Category": [self._member(self.visual.by)], "Y": self._fields([*before, *self.measures])}
        objects: Json = {}
        if before:
            objects["dataPoint"] = [
                entry
                for names, code in ((before, theme.BEFORE), (self.measures, theme.NOW))
                for name in names
                for entry in properties({"fill": colour(code)}, {"metadata": f"{self.model.home(name)}.{name}"})
            ]
        sample = self.visual.sample
        if sample and kind != "lineChart":
            grey = colour_below(self.model, sample, self.sources.pages.small_sample, theme.SMALL_SAMPLE)
            objects["dataPoint"] = [*objects.get("dataPoint", []), *properties({"fill": grey}, each_point())]
        if self.visual.band:
            objects["y1AxisReferenceLine"] = self._band(self.visual.band)
        if sample and sample not in self.measures:
            roles["Tooltips"] = self._fields([sample])
        if len(self.measures) > 1 or before:
            objects["legend"] = properties({"show": True})
        return self._drawn(kind, roles, self._sort(in_order=kind != "clusteredBarChart"), objects)

    def _band(self, name: str) -> list[Json]:
        """A line at the figure of all members together."""
        line = {
            "show": True,
            "displayName": f"{name}, all",
            "value": {"expr": measure(self.model, name)},
            "lineColor": colour(theme.LINE),
            "style": "dashed",
            "dataLabelShow": True,
            "dataLabelText": "ValueAndName",
        }
        return properties(line, {"id": tag("band", self.page, self.visual.id).replace("-", "")[:20]})

    def _matrix(self) -> Json:
        (name,) = self.measures
        roles = {
            "Rows": [self._member(self.visual.rows)],
            "Columns": [self._member(self.visual.columns)],
            "Values": self._fields([name]),
        }
        cell = {"backColor": shade(self.model, name, theme.LIGHTEST, theme.DARKEST)}
        if self.visual.sample:
            limit = self.sources.pages.small_sample
            cell["fontColor"] = colour_below(self.model, self.visual.sample, limit, theme.BEFORE)
        selector = {**each_point(), "metadata": f"{self.model.home(name)}.{name}"}
        objects = {
            "values": properties(cell, selector),
            "subTotals": properties({"rowSubtotals": False, "columnSubtotals": False}),
        }
        return self._drawn("pivotTable", roles, objects=objects)

    def _scatter(self) -> Json:
        across, upwards = self.measures
        roles = {"Category": [self._member(self.visual.by)], "X": self._fields([across]), "Y": self._fields([upwards])}
        if self.visual.size:
            roles["Size"] = self._fields([self.visual.size])
        return self._drawn("scatterChart", roles)

    def _pareto(self) -> Json:
        (name,) = self.measures
        _, member = self._by()
        roles = {
            "Category": [self._member(self.visual.by)],
            "Y": self._fields([cumulated(name, member)]),
            "Tooltips": self._fields([name]),
        }
        return self._drawn("lineChart", roles, (measure(self.model, name), DESCENDING))

    def _table(self) -> Json:
        sample = self.visual.sample
        names = [*self.measures, *([sample] if sample and sample not in self.measures else [])]
        return self._drawn(
            "tableEx", {"Values": [self._member(self.visual.by), *self._fields(names)]}, self._sort(in_order=False)
        )

    def _text(self) -> Json:
        """The findings' texts hold figures, which a text box cannot: their questions, and where the answers are."""
        lines = ["`make report` writes this page with the answers, and docs/insights.md has them too:"]
        lines += [f"\u2022 {question}" for question in self.sources.questions]
        bold = {"value": self.visual.title, "textStyle": {"fontWeight": "bold"}}
        paragraphs = [{"textRuns": [bold]}, *({"textRuns": [{"value": line}]} for line in lines)]
        return {"visualType": "textbox", "objects": {"general": [{"properties": {"paragraphs": paragraphs}}]}}

    def _drawn(
        self, kind: str, roles: Roles, sort: tuple[Json, str] | None = None, objects: Json | None = None
    ) -> Json:
        query: Json = {"queryState": {role: {"projections": fields} for role, fields in roles.items()}}
        if sort:
            query["sortDefinition"] = {"sort": [{"field": sort[0], "direction": sort[1]}], "isDefaultSort": False}
        return {"visualType": kind, "query": query} | ({"objects": objects} if objects else {})

    def _fields(self, names: list[str]) -> list[Json]:
        return [_field(measure(self.model, name), self.model.home(name), name) for name in names]

    def _by(self) -> ColumnName:
        return self._column(self.visual.by)

    def _column(self, dimension: str | None) -> ColumnName:
        """The column of a dimension, which a visual of this kind must have."""
        if dimension is None:
            raise ReportError(f"pages.yml: {self.page}.{self.visual.id} is drawn by a dimension: name one.")
        return self.model.dimensions[dimension]

    def _member(self, dimension: str | None) -> Json:
        table, name = self._column(dimension)
        return _field(column(table, name), table, name) | {"active": True}

    def _with_year_before(self) -> list[str]:
        shown = shows_year_before(self.visual)
        return [name for name in self.measures if shown and self.model.has(year_before(name))]

    def _sort_key(self) -> str:
        return self.visual.sort.by if self.visual.sort else self.measures[0]

    def _sort(self, in_order: bool) -> tuple[Json, str]:
        """What to sort by, and in which direction; `in_order`: always by the members themselves."""
        if in_order:
            return column(*self._by()), ASCENDING
        key = self._sort_key()
        direction = ASCENDING if self.visual.sort and self.visual.sort.order == "ascending" else DESCENDING
        is_measure = key in self.visual.all_measures
        return (measure(self.model, key) if is_measure else column(*self._column(key))), direction


def _field(expression: Json, table: str, name: str) -> Json:
    return {"field": expression, "queryRef": f"{table}.{name}", "nativeQueryRef": name}
