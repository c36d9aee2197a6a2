"""Pages of pages.yml -> the files of the report in PBIR: pages, visuals, their places on screen and phone.

Schema versions of January 2026: every Power BI Desktop since then reads them; an older one refuses newer versions.
"""

from __future__ import annotations

from collections.abc import Sequence

from lakehouse.report.pages import Filter, Page
from tools.powerbi import theme
from tools.powerbi.expressions import Json, column, properties, setting
from tools.powerbi.layout import FIRST_ROW_AT, MARGIN, WIDTH, Box, box_at, phone_boxes, slicer_box, title_box
from tools.powerbi.model import Model
from tools.powerbi.sources import Sources
from tools.powerbi.visuals import Drawing

SCHEMAS = "https://developer.microsoft.com/json-schemas/fabric/"
DEFINITION = f"{SCHEMAS}item/report/definition/"
VERSIONS = {"visual": "2.5.0", "report": "3.1.0", "page": "2.0.0"}
PAGES_VERSION, PHONE_VERSION, FILE_VERSION = "1.0.0", "2.2.0", "1.0.0"


def definition(model: Model, sources: Sources) -> dict[str, Json]:
    """Path below `definition` -> content."""
    pages = sources.pages
    files: dict[str, Json] = {
        "version.json": {"$schema": _schema("versionMetadata", FILE_VERSION), "version": "2.0.0"},
        "report.json": _report(),
        "pages/pages.json": {
            "$schema": _schema("pagesMetadata", PAGES_VERSION),
            "pageOrder": [page.id for page in pages.pages],
            "activePageName": pages.pages[0].id,
        },
    }
    for page in pages.pages:
        files |= _page(model, sources, page)
    return files


def _report() -> Json:
    custom = {"name": theme.NAME, "reportVersionAtImport": VERSIONS, "type": "RegisteredResources"}
    item = {"name": theme.NAME, "path": theme.NAME, "type": "CustomTheme"}
    return {
        "$schema": _schema("report", VERSIONS["report"]),
        "themeCollection": {"customTheme": custom},
        "resourcePackages": [{"name": "RegisteredResources", "type": "RegisteredResources", "items": [item]}],
        "settings": {
            "useStylableVisualContainerHeader": True,
            "exportDataMode": "AllowSummarized",
            "defaultDrillFilterOtherVisuals": True,
            "useEnhancedTooltips": True,
            "useDefaultAggregateDisplayName": True,
        },
    }


def _page(model: Model, sources: Sources, page: Page) -> dict[str, Json]:
    filters = [sources.pages.filter(identity) for identity in page.filters]
    drawings = [Drawing(model, sources, page.id, visual) for visual in page.visuals]
    kinds = ["title", *("slicer" for _ in filters), *(visual.kind for visual in page.visuals)]
    names = ["title", *(f"filter_{one.id}" for one in filters), *(visual.id for visual in page.visuals)]
    contents: list[Json] = [{"visual": _title(page)}]
    contents += [{"visual": _slicer(model, one)} for one in filters]
    for drawing in drawings:
        limits = drawing.filters()
        contents.append({"visual": drawing.visual_json()} | ({"filterConfig": {"filters": limits}} if limits else {}))
    boxes = [title_box(len(filters)), *(slicer_box(i, len(filters)) for i in range(len(filters)))]
    boxes += [box_at(visual.at) for visual in page.visuals]
    folder = f"pages/{page.id}"
    files = {f"{folder}/page.json": _page_json(page, boxes)}
    for order, (name, content, box, phone) in enumerate(zip(names, contents, boxes, phone_boxes(kinds), strict=True)):
        visual = {
            "$schema": _schema("visualContainer", VERSIONS["visual"]),
            "name": name,
            "position": _position(box, order),
        }
        mobile = {"$schema": _schema("visualContainerMobileState", PHONE_VERSION), "position": _position(phone, order)}
        files[f"{folder}/visuals/{name}/visual.json"] = visual | content
        files[f"{folder}/visuals/{name}/mobile.json"] = mobile
    return files


def _page_json(page: Page, boxes: Sequence[Box]) -> Json:
    return {
        "$schema": _schema("page", VERSIONS["page"]),
        "name": page.id,
        "displayName": page.name,
        "displayOption": "FitToWidth",
        "height": max(FIRST_ROW_AT, *(box.y + box.height for box in boxes)) + MARGIN,
        "width": WIDTH,
    }


def _title(page: Page) -> Json:
    run = {"value": page.question, "textStyle": {"fontSize": "18pt", "fontWeight": "bold"}}
    return {
        "visualType": "textbox",
        "objects": {"general": [{"properties": {"paragraphs": [{"textRuns": [run]}]}}]},
        "visualContainerObjects": {"general": properties({"altText": f"Headline: {page.question}"})},
        "drillFilterOtherVisuals": True,
    }


def _slicer(model: Model, chosen: Filter) -> Json:
    """A choice of members. An item's category filters no order: the header says so where pages.yml has a substitute."""
    table, name = model.dimensions[chosen.dimension]
    header = f"{chosen.name}: figures of items only" if chosen.instead else chosen.name
    field = {"field": column(table, name), "queryRef": f"{table}.{name}", "nativeQueryRef": name, "active": True}
    return {
        "visualType": "slicer",
        "query": {"queryState": {"Values": {"projections": [field]}}},
        "objects": {
            "data": [{"properties": {"mode": setting("Dropdown")}}],
            "header": properties({"show": True, "text": header}),
        },
        "visualContainerObjects": {
            "title": properties({"show": False}),
            "general": properties({"altText": f"Choice of {header}"}),
        },
        "drillFilterOtherVisuals": True,
    }


def _position(box: Box, order: int) -> Json:
    return {"x": box.x, "y": box.y, "z": order, "height": box.height, "width": box.width, "tabOrder": order}


def _schema(part: str, version: str) -> str:
    return f"{DEFINITION}{part}/{version}/schema.json"
