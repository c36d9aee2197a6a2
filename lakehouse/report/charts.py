"""A visual of pages.yml -> the Vega-Lite specification of its chart, made with Altair, without data.

The page supplies the data under the name `rows` whenever the reader chooses something else. A row is one mark:

    member       what it stands for, as people read it; the month as 2018-01
    order        its place
    value        the figure; `before` that of the year before, or null
    text         what is written beside the mark, if there is room
    shown, was   figure and figure of the year before, formatted for the tooltip; `cases` what the figure rests on
    state        full, high (the worst one), rest, small (a small sample) or fragment (of a month)
    band         the figure of all members together, if the visual has a reference line; `bandText` in words
    series       lines: the measure; `textAt` where on the scale its name stands
    across       matrix: the member on the other axis
    strong       matrix: whether the shade is so dark that text on it must be light
    x, y, size   scatter, pareto

Colours are not said here: `state` takes its colours from the theme that the page hands to Vega, dark or light.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import altair as alt

from lakehouse.report.measures import FORMATS, Measure, Measures
from lakehouse.report.pages import Pages, Visual

STATES = ["full", "high", "rest", "small", "fragment"]
# The letters of the months, and under the first month and each January its year.
_MONTH_LABEL = (
    "[substring('JFMAMJJASOND', toNumber(substring(datum.value, 5)) - 1, toNumber(substring(datum.value, 5))), "
    "substring(datum.value, 5) == '01' || datum.index == 0 ? substring(datum.value, 0, 4) : '']"
)
# Above the marks: the year stands over the letter.
_MONTH_LABEL_ABOVE = (
    "[substring(datum.value, 5) == '01' || datum.index == 0 ? substring(datum.value, 0, 4) : '', "
    "substring('JFMAMJJASOND', toNumber(substring(datum.value, 5)) - 1, toNumber(substring(datum.value, 5)))]"
)
# A band of several words: a word per line.
_WORDS_LABEL = "split(datum.value, ' ')"
_ROWS = alt.NamedData(name="rows")

Layers = alt.LayerChart | alt.FacetChart


def specifications(pages: Pages, measures: Measures) -> dict[str, Any]:
    """`<page>/<visual>` -> the specification of its chart. Visuals that are no charts have none."""
    found = {
        f"{page.id}/{visual.id}": _CHARTS[visual.kind](visual, pages, measures).to_dict(validate=False)
        for page in pages.pages
        for visual in page.visuals
        if visual.kind in _CHARTS
    }
    for specification in found.values():
        del specification["$schema"]  # an address; the page says itself that these are of Vega-Lite
    return found


def _columns(visual: Visual, pages: Pages, measures: Measures) -> Layers:
    x = alt.X(
        "member:N",
        sort=None,
        axis=_member_axis(visual, pages),
        scale=alt.Scale(paddingInner=0.36 if visual.before else 0.25, paddingOuter=0.15),
    )
    base = alt.Chart(_ROWS).encode(x=x)
    figure = base.mark_bar(strokeWidth=1).encode(
        y=_hidden_axis(alt.Y, "value:Q"),
        color=_state(),
        stroke=_state(alt.Stroke),
        fillOpacity=alt.condition("datum.state == 'fragment'", alt.value(0.15), alt.value(1)),
        tooltip=_tooltip(visual, measures),
    )
    text = base.mark_text(dy=-7, style="label").encode(y=_hidden_axis(alt.Y, "value:Q"), text="text:N")
    layers: list[alt.Chart] = [figure, text]
    if visual.before:
        layers.insert(
            0,
            base.mark_bar(style="before", xOffset=-4).encode(
                y=_hidden_axis(alt.Y, "before:Q"), tooltip=_tooltip(visual, measures)
            ),
        )
    return alt.layer(*_band(visual, "y"), *layers)


def _line(visual: Visual, pages: Pages, measures: Measures) -> Layers:
    several = len(visual.measures) > 1
    series = {"detail": "series:N"}
    base = alt.Chart(_ROWS).encode(
        x=alt.X("member:N", sort=None, axis=_member_axis(visual, pages), scale=alt.Scale(type="point", padding=0.3)),
        y=alt.Y(
            "value:Q",
            scale=alt.Scale(zero=several, nice=True),
            axis=alt.Axis(title=None, tickCount=4, domain=False, ticks=False, format=_axis_format(visual, measures)),
        ),
    )
    dash = {"strokeDash": alt.StrokeDash("series:N", sort=list(visual.measures), legend=None)} if several else {}
    line = base.mark_line(style="course").encode(**series, **dash)
    points = base.mark_point(style="point", filled=True, size=26).encode(
        **series, color=_state(), tooltip=_tooltip(visual, measures)
    )
    text = base.mark_text(align="left", dx=7, style="label").encode(y="textAt:Q", text="text:N")
    return alt.layer(line, points, text)


def _bars(visual: Visual, pages: Pages, measures: Measures) -> Layers:
    y = alt.Y(
        "member:N",
        sort=None,
        axis=alt.Axis(title=None, ticks=False, domain=False, grid=False, labelLimit=150, labelPadding=6),
        scale=alt.Scale(paddingInner=0.25, paddingOuter=0.1),
    )
    base = alt.Chart(_ROWS).encode(y=y)
    figure = base.mark_bar().encode(
        x=_hidden_axis(alt.X, "value:Q"),
        color=_state(),
        tooltip=_tooltip(visual, measures),
    )
    text = base.mark_text(align="left", dx=5, style="label").encode(x=_hidden_axis(alt.X, "value:Q"), text="text:N")
    layers: list[alt.Chart] = [figure, text]
    if visual.before:
        layers.insert(
            0,
            base.mark_bar(style="before", yOffset=-3).encode(
                x=_hidden_axis(alt.X, "before:Q"), tooltip=_tooltip(visual, measures)
            ),
        )
    return alt.layer(*_band(visual, "x"), *layers)


def _matrix(visual: Visual, pages: Pages, measures: Measures) -> Layers:
    is_time = visual.columns == pages.calendar.dimension
    label: dict[str, Any] = (
        {"labelExpr": _MONTH_LABEL_ABOVE, "labelPadding": 16} if is_time else {"labelOverlap": "parity"}
    )
    axis: dict[str, Any] = {"title": None, "ticks": False, "domain": False, "grid": False}
    base = alt.Chart(_ROWS).encode(
        x=alt.X("across:N", sort=None, axis=alt.Axis(labelAngle=0, orient="top", **axis, **label)),
        y=alt.Y("member:N", sort=None, axis=alt.Axis(**axis)),
    )
    tips = _tooltip(visual, measures)
    few = base.transform_filter("datum.state == 'small'").mark_rect(style="few").encode(tooltip=tips)
    cells = base.transform_filter("datum.state != 'small'").mark_rect(style="cell")
    cells = cells.encode(
        color=alt.Color("value:Q", legend=None, scale=alt.Scale(zero=True, interpolate="rgb")), tooltip=tips
    )
    light = base.transform_filter("!datum.strong").mark_text(style="weak").encode(text="text:N")
    strong = base.transform_filter("datum.strong").mark_text(style="strong").encode(text="text:N")
    return alt.layer(few, cells, light, strong)


def _scatter(visual: Visual, pages: Pages, measures: Measures) -> Layers:
    across, up = (measures.measure(name) for name in visual.measures)
    base = alt.Chart(_ROWS).encode(
        x=alt.X(
            "x:Q",
            scale=alt.Scale(type="log", nice=False),
            axis=alt.Axis(title=across.name, grid=False, tickCount=5, format="~s"),
        ),
        y=alt.Y("y:Q", axis=alt.Axis(title=up.name, tickCount=5, format=_d3(up))),
    )
    tips = [_tip("member", "Member"), _tip("shownY", up.name), _tip("shownX", across.name)]
    tips += [_tip("shownSize", visual.size)] if visual.size else []
    size = {"size": alt.Size("size:Q", legend=None, scale=alt.Scale(range=[12, 400]))} if visual.size else {}
    points = base.mark_circle(style="dot").encode(color=_state(), tooltip=tips, **size)
    text = base.mark_text(align="left", dx=8, style="label").encode(text="text:N")
    return alt.layer(points, text)


def _pareto(visual: Visual, pages: Pages, measures: Measures) -> Layers:
    name = measures.dimension(visual.by or "").label
    percent = alt.Axis(tickCount=5, format=".0%", grid=False)
    base = alt.Chart(_ROWS).encode(
        x=alt.X("x:Q", axis=alt.Axis(title=f"Share of all, by {name.lower()}", tickCount=5, format=".0%", grid=False)),
        y=alt.Y("y:Q", axis=alt.Axis(**{**percent.to_dict(), "title": f"Share of {visual.measures[0].lower()}"})),
    )
    area = base.mark_area(style="area")
    line = base.mark_line(style="course")
    marked = base.transform_filter("datum.text != ''")
    points = marked.mark_point(style="point", filled=True, size=40).encode(tooltip=[_tip("text", "Concentration")])
    text = marked.mark_text(align="left", dx=8, dy=8, style="label").encode(text="text:N")
    return alt.layer(area, line, points, text)


_CHARTS: dict[str, Callable[[Visual, Pages, Measures], Layers]] = {
    "columns": _columns,
    "line": _line,
    "bars": _bars,
    "matrix": _matrix,
    "scatter": _scatter,
    "pareto": _pareto,
}


def _state(channel: Any = alt.Color) -> Any:
    return channel("state:N", legend=None, scale=alt.Scale(domain=STATES))


def _member_axis(visual: Visual, pages: Pages) -> alt.Axis:
    """Below columns and lines: months by their letters, other members a word per line."""
    label = _MONTH_LABEL if visual.by == pages.calendar.dimension else _WORDS_LABEL
    return alt.Axis(title=None, labelAngle=0, ticks=False, grid=False, labelOverlap=False, labelExpr=label)


def _hidden_axis(channel: Any, field: str) -> Any:
    """Every mark has its figure beside it, so an axis would only add ink. It begins at zero."""
    return channel(field, axis=None, scale=alt.Scale(zero=True))


def _band(visual: Visual, channel: str) -> list[alt.Chart]:
    if visual.band is None:
        return []
    base = alt.Chart(_ROWS).transform_aggregate(band="max(band)", bandText="max(bandText)")
    if channel == "x":
        x = _hidden_axis(alt.X, "band:Q")
        rule, text = (
            base.mark_rule(style="band").encode(x=x),
            base.mark_text(style="bandLabel", align="left", dx=4, dy=8),
        )
        return [rule, text.encode(x=x, y=alt.value("height"), text="bandText:N")]
    y = _hidden_axis(alt.Y, "band:Q")
    rule, text = base.mark_rule(style="band").encode(y=y), base.mark_text(style="bandLabel", align="left", dx=4)
    return [rule, text.encode(y=y, x=alt.value("width"), text="bandText:N")]


def _tooltip(visual: Visual, measures: Measures) -> list[alt.Tooltip]:
    dimension = measures.dimension(visual.by or visual.rows or "")
    tips = [_tip("named", dimension.label)]
    tips += [_tip("across", measures.dimension(visual.columns).label)] if visual.columns else []
    tips += [_tip("series", "Measure")] if len(visual.measures) > 1 else []
    tips.append(_tip("shown", visual.measures[0] if len(visual.measures) == 1 else "Figure"))
    tips += [_tip("was", "Year before")] if visual.before else []
    tips += [_tip("cases", visual.sample)] if visual.sample else []
    return tips


def _tip(field: str, title: str) -> alt.Tooltip:
    return alt.Tooltip(f"{field}:N", title=title)


def _axis_format(visual: Visual, measures: Measures) -> str:
    return _d3(measures.measure(visual.measures[0]))


def _d3(measure: Measure) -> str:
    """The format of an axis, in d3's words. An axis needs fewer digits than a figure."""
    if measure.format.endswith("%"):
        return ".0%"
    return "~s" if measure.format.startswith("#") else f".{min(1, FORMATS[measure.format])}f"
