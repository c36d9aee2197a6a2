"""The architecture as an SVG: the stages of the data, what moves it on, and the files that say how.

Laid out in pixels, since its reader should see two rows and not a graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from tools.pictures.drawn import DARK_STYLE, FONT, LIGHT

WIDTH, HEIGHT = 1064, 440
BOX = 100  # width of a box


@dataclass(frozen=True)
class Box:
    """A place where data is, or a file that says how: a name, and in small print what is in it."""

    x: int
    y: int
    name: str
    note: str
    width: int = BOX
    fill: str = "card"

    @property
    def centre(self) -> float:
        return self.x + self.width / 2


@dataclass(frozen=True)
class Panel:
    """A service or product that holds boxes."""

    x: int
    y: int
    width: int
    height: int
    name: str


@dataclass(frozen=True)
class Arrow:
    """From point to point; its label stands above, a line per entry."""

    start: tuple[float, float]
    end: tuple[float, float]
    label: tuple[str, ...] = ()
    stroke: str = "edge"
    dashed: bool = False


TOP, ROW, LOWER, FILES = 18, 160, 256, 370
MIDDLE = ROW + 26  # of the boxes of the row, where arrows run

PANELS = (
    Panel(150, 128, 432, 206, "Data lake: MinIO, or a local folder"),
    Panel(636, 128, 276, 206, "Warehouse: Postgres"),
    Panel(950, 128, 106, 206, "People"),
)
BOXES = (
    Box(
        150,
        TOP,
        "Airflow, or one command",
        "arrivals → lake → marts, and maintenance: a task per table and step",
        640,
        "dimension",
    ),
    Box(836, TOP, "Slack, or the log", "one message about each run", 220),
    Box(8, ROW, "Deliveries", "CSV, zip, folders"),
    Box(162, ROW, "landing", "files as sent"),
    Box(316, ROW, "bronze", "Delta, as text"),
    Box(470, ROW, "silver", "Delta, typed"),
    Box(316, LOWER, "rejected", "unreadable", fill="paper"),
    Box(470, LOWER, "quarantine", "invalid, why", fill="paper"),
    Box(648, ROW, "raw_olist", "all versions"),
    Box(800, ROW, "marts", "star schema", fill="fact"),
    Box(958, ROW, "Report", "one HTML file", 90),
    Box(958, ROW + 57, "Power BI", "as code", 90),
    Box(958, ROW + 114, "SQL", "any BI tool", 90),
    Box(150, FILES, "contracts/", "types, keys and rules of each source table", 432),
    Box(636, FILES, "dbt/", "models, tests, history (SCD2)", 276),
    Box(950, FILES, "report/", "measures", 106),
)
ARROWS = (
    Arrow((790, TOP + 26), (834, TOP + 26)),
    Arrow((366, TOP + 54), (366, 126), dashed=True),
    Arrow((774, TOP + 54), (774, 126), dashed=True),
    Arrow((108, MIDDLE), (160, MIDDLE), ("check",)),
    Arrow((262, MIDDLE), (314, MIDDLE), ("delta-rs",)),
    Arrow((416, MIDDLE), (468, MIDDLE), ("Spark",)),
    Arrow((570, MIDDLE), (646, MIDDLE), ("Spark,", "COPY")),
    Arrow((748, MIDDLE), (798, MIDDLE), ("dbt",)),
    Arrow((900, MIDDLE), (948, MIDDLE)),
    Arrow((240, ROW + 54), (314, LOWER + 26), stroke="aside", dashed=True),
    Arrow((394, ROW + 54), (468, LOWER + 26), stroke="aside", dashed=True),
    Arrow((366, FILES - 2), (366, 336), dashed=True),
    Arrow((774, FILES - 2), (774, 336), dashed=True),
    Arrow((1003, FILES - 2), (1003, 336), dashed=True),
)
DESCRIPTION = (
    "Deliveries are checked and landed; delta-rs writes bronze, Spark silver; Spark copies silver into Postgres, where "
    "dbt builds the marts for the report, Power BI and SQL. What is unreadable or invalid goes aside, with its reason."
)


def architecture_svg() -> str:
    """The picture. The same text every time."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" font-family="{FONT}" font-size="14">',
        f"<title>Architecture</title><desc>{DESCRIPTION}</desc>",
        f"<style>\n{DARK_STYLE}\n</style>",
        "<defs>",
        *(_arrow_head(stroke) for stroke in ("edge", "aside")),
        "</defs>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="10" fill="{LIGHT["paper"]}"/>',
        *(line for panel in PANELS for line in _panel(panel)),
        *(line for arrow in ARROWS for line in _arrow(arrow)),
        *(line for box in BOXES for line in _box(box)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _arrow_head(stroke: str) -> str:
    return (
        f'<marker id="{stroke}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 1 L10 5 L0 9 z" fill="{LIGHT[stroke]}"/></marker>'
    )


def _panel(panel: Panel) -> Iterator[str]:
    yield (
        f'<rect x="{panel.x}" y="{panel.y}" width="{panel.width}" height="{panel.height}" rx="10" '
        f'fill="{LIGHT["band"]}" stroke="{LIGHT["line"]}"/>'
    )
    yield (
        f'<text x="{panel.x + 12}" y="{panel.y + 21}" font-size="12" fill="{LIGHT["muted"]}">'
        f"{escape(panel.name)}</text>"
    )


def _box(box: Box) -> Iterator[str]:
    name, note, stroke = "ink", "muted", "line"
    if box.fill in ("fact", "dimension"):
        name = note = "on_colour"
        stroke = box.fill
    if box.fill == "paper":
        name = stroke = "aside"
    yield (
        f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="52" rx="8" fill="{LIGHT[box.fill]}" '
        f'stroke="{LIGHT[stroke]}"/>'
    )
    yield (
        f'<text x="{box.centre:g}" y="{box.y + 22}" text-anchor="middle" font-weight="bold" fill="{LIGHT[name]}">'
        f"{escape(box.name)}</text>"
    )
    yield (
        f'<text x="{box.centre:g}" y="{box.y + 40}" text-anchor="middle" font-size="11.5" fill="{LIGHT[note]}">'
        f"{escape(box.note)}</text>"
    )


def _arrow(arrow: Arrow) -> Iterator[str]:
    (x, y), (to_x, to_y) = arrow.start, arrow.end
    dashes = ' stroke-dasharray="4 4"' if arrow.dashed else ""
    yield (
        f'<line x1="{x:g}" y1="{y:g}" x2="{to_x:g}" y2="{to_y:g}" stroke="{LIGHT[arrow.stroke]}" stroke-width="1.6"'
        f'{dashes} marker-end="url(#{arrow.stroke})"/>'
    )
    for number, line in enumerate(reversed(arrow.label)):
        yield (
            f'<text x="{(x + to_x) / 2 - 3:g}" y="{y - 7 - 13 * number:g}" text-anchor="middle" font-size="11.5" '
            f'fill="{LIGHT["muted"]}">{escape(line)}</text>'
        )
