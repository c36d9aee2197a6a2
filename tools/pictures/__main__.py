"""What `make pictures` runs: write the pictures of the named kinds, or of all."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lakehouse.errors import LakehouseError
from tools.pictures.album import FOLDER
from tools.pictures.architecture import architecture_svg
from tools.pictures.diagrams import diagrams
from tools.pictures.drawn import draw

KINDS = ("diagrams", "archive", "stack")


def main() -> int:
    """Write the pictures; without --data the diagrams only, since all others show a run on data."""
    parser = argparse.ArgumentParser(description="Write the pictures in docs/pictures again.")
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], help="which pictures (default: all)")
    parser.add_argument("--data", type=Path, help="the Olist archive, a zip; needed for all pictures but diagrams")
    arguments = parser.parse_args()
    kinds = arguments.kinds or (KINDS if arguments.data else ("diagrams",))
    if arguments.data is None and set(kinds) != {"diagrams"}:
        sys.stderr.write("These pictures show a run on the archive: make pictures DATA=brazilian-ecommerce.zip\n")
        return 1
    try:
        for kind in kinds:
            _write(kind, arguments.data)
    except LakehouseError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _write(kind: str, data: Path) -> None:
    """What only some pictures need is imported for these only."""
    if kind == "diagrams":
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / "architecture.svg").write_text(architecture_svg(), encoding="utf-8")
        for diagram in diagrams():
            (FOLDER / f"{diagram.name}.svg").write_text(draw(diagram.dot, diagram.title), encoding="utf-8")
    elif kind == "archive":
        from tools.pictures.archive import picture_archive

        picture_archive(data)
    else:
        from tools.pictures.stack import picture_stack

        picture_stack(data)


if __name__ == "__main__":
    sys.exit(main())
