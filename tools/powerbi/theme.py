"""The report's theme: colours and the formatting that all its visuals share, so that no visual repeats it."""

from __future__ import annotations

from typing import Any

NAME = "IBCS.json"

# This year dark, the year before grey, as IBCS has it. Text on white has a contrast of at least 4.5 to 1.
NOW = "#404040"
BEFORE = "#A6A6A6"
LINE = "#6B6B6B"
SMALL_SAMPLE = "#D9D9D9"
LIGHTEST = "#FFFFFF"
DARKEST = "#5B8DB8"
TEXT = "#252423"
QUIET_TEXT = "#605E5C"
FONT = "Segoe UI"


def theme() -> dict[str, Any]:
    """The content of the theme's file."""
    return {
        "name": NAME,
        "dataColors": [NOW, "#1F6FB2", "#8A5A00", "#5B5EA6", "#2B7A4B", "#9C3B34", "#6B6B6B", "#00707A"],
        "good": "#2B7A4B",
        "neutral": "#6B6B6B",
        "bad": "#B3261E",
        "foreground": TEXT,
        "foregroundNeutralSecondary": QUIET_TEXT,
        "background": "#FFFFFF",
        "backgroundLight": "#F3F2F1",
        "tableAccent": NOW,
        "textClasses": {
            "callout": {"fontSize": 20, "fontFace": f"{FONT} Semibold", "color": TEXT},
            "title": {"fontSize": 11, "fontFace": f"{FONT} Semibold", "color": TEXT},
            "header": {"fontSize": 11, "fontFace": f"{FONT} Semibold", "color": TEXT},
            "label": {"fontSize": 10, "fontFace": FONT, "color": TEXT},
        },
        "visualStyles": {
            "*": {"*": {"border": [{"show": False}], "title": [{"show": True, "titleWrap": True}]}},
            "clusteredColumnChart": {"*": _labelled("categoryAxis")},
            "clusteredBarChart": {"*": _labelled("categoryAxis")},
            "lineChart": {
                "*": {
                    "categoryAxis": [{"showAxisTitle": False}],
                    "valueAxis": [{"show": True, "showAxisTitle": False, "gridlineShow": True}],
                    "legend": [{"show": False}],
                    "lineStyles": [{"strokeWidth": 2}],
                }
            },
            "scatterChart": {
                "*": {"categoryAxis": [{"showAxisTitle": True}], "valueAxis": [{"showAxisTitle": True}]},
            },
            "tableEx": {"*": _rows()},
            "pivotTable": {"*": _rows()},
        },
    }


def _labelled(axis: str) -> dict[str, Any]:
    """Figures at the columns or bars; the axis of values, which then says nothing new, begins at 0 and is hidden."""
    return {
        axis: [{"showAxisTitle": False, "gridlineShow": False}],
        "valueAxis": [{"show": False, "start": 0, "gridlineShow": False}],
        "labels": [{"show": True}],
        "legend": [{"show": False, "position": "Top"}],
    }


def _rows() -> dict[str, Any]:
    return {
        "grid": [{"gridVertical": False, "gridHorizontal": True}],
        "columnHeaders": [{"wordWrap": True, "bold": True}],
    }
