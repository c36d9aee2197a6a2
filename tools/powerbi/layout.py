"""Grid places of pages.yml -> boxes in pixels on the page, and one column of boxes for the phone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 1280
MARGIN, GUTTER, COLUMNS, ROW = 24, 16, 12, 40
SLICER_WIDTH, HEADER_HEIGHT = 208, 80
FIRST_ROW_AT = MARGIN + HEADER_HEIGHT + GUTTER
PHONE_WIDTH, PHONE_GAP = 324, 8
PHONE_HEIGHTS = {"title": 96, "slicer": 80, "cards": 400, "table": 400, "matrix": 400, "insights": 360}
PHONE_CHART_HEIGHT = 280


@dataclass(frozen=True)
class Box:
    """A place in pixels, from the upper left corner."""

    x: int
    y: int
    width: int
    height: int


def box_at(at: Sequence[int]) -> Box:
    """[column, row, width, height] on the grid below the header -> pixels."""
    column, row, width, height = at
    unit = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GUTTER) // COLUMNS + GUTTER
    return Box(
        MARGIN + (column - 1) * unit, FIRST_ROW_AT + (row - 1) * ROW, width * unit - GUTTER, height * ROW - GUTTER
    )


def title_box(slicers: int) -> Box:
    """The page's headline, left of the slicers."""
    return Box(MARGIN, MARGIN, WIDTH - 2 * MARGIN - slicers * (SLICER_WIDTH + GUTTER), HEADER_HEIGHT)


def slicer_box(number: int, slicers: int) -> Box:
    """A slicer in the header, the last one at the right margin."""
    right = WIDTH - MARGIN - (slicers - 1 - number) * (SLICER_WIDTH + GUTTER)
    return Box(right - SLICER_WIDTH, MARGIN, SLICER_WIDTH, HEADER_HEIGHT)


def phone_boxes(kinds: Sequence[str]) -> list[Box]:
    """Boxes of the phone, one below the other in the order of the page."""
    boxes, y = [], 0
    for kind in kinds:
        height = PHONE_HEIGHTS.get(kind, PHONE_CHART_HEIGHT)
        boxes.append(Box(0, y, PHONE_WIDTH, height))
        y += height + PHONE_GAP
    return boxes
