"""Every benchmark -> figures on the screen; a full run writes them to results.md.

python -m benchmarks                 everything: twenty minutes on two cores
python -m benchmarks --quick         smaller sizes, takes minutes; printed, not written
python -m benchmarks --only load     one of them
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import bronze_against_spark, daily_batch, load_against_copy, nothing_new, whole_run
from benchmarks.figures import Bench, Outcome, Skipped
from benchmarks.results import as_markdown, sections_not_in, with_section
from benchmarks.sandbox import sandbox
from lakehouse.errors import LakehouseError
from lakehouse.settings import PROJECT_DIR

BENCHMARKS: dict[str, tuple[str, Callable[[Bench], Outcome]]] = {
    "bronze": ("Bronze against Spark", bronze_against_spark.measure),
    "load": ("Load against psql", load_against_copy.measure),
    "nothing-new": ("A run with nothing new", nothing_new.measure),
    "whole-run": ("The whole run on the real archive", whole_run.measure),
    "daily": ("A day costs a day", daily_batch.measure),
}
ARCHIVE = PROJECT_DIR.parent / "shared" / "data" / "olist" / "brazilian-ecommerce.zip"
RESULTS = PROJECT_DIR / "benchmarks" / "results.md"


def write_section(title: str, outcome: Outcome) -> None:
    """Put the section of one benchmark into results.md, and on the screen."""
    text = with_section(RESULTS.read_text(encoding="utf-8"), title, outcome)
    RESULTS.write_text(text, encoding="utf-8")
    sys.stdout.write(text[text.index(f"## {title}") :])


def main() -> int:
    """Run the benchmarks asked for; 1 if one could not be run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Ratios measured within one run.")
    parser.add_argument("--quick", action="store_true", help="smaller sizes; nothing is written")
    parser.add_argument(
        "--only", choices=BENCHMARKS, action="append", help="only this one (may be given several times)"
    )
    parser.add_argument("--archive", type=Path, default=ARCHIVE, help="the real Olist archive")
    options = parser.parse_args()
    wanted = options.only or list(BENCHMARKS)
    outcomes: dict[str, Outcome | str] = {}
    broken = False
    for name in wanted:
        title, measure = BENCHMARKS[name]
        begin = time.monotonic()
        say(f"{title} ...")
        archive = options.archive if options.archive.is_file() else None
        try:
            # A fresh place for each, so that none profits from what another left in this project's caches.
            with sandbox() as place:
                outcomes[title] = measure(Bench(place, options.quick, archive, lambda text: say(f"  {text}")))
        except Skipped as reason:
            outcomes[title] = f"skipped: {reason}"
        except LakehouseError as error:
            outcomes[title] = f"could not be run: {error}"
            broken = True
        say(f"  {time.monotonic() - begin:.0f} s")
    text = as_markdown(outcomes, quick=options.quick)
    sys.stdout.write(text)
    if not options.quick and not options.only:
        kept = sections_not_in(RESULTS.read_text(encoding="utf-8"), outcomes) if RESULTS.is_file() else ""
        RESULTS.write_text(f"{text}\n{kept}" if kept else text, encoding="utf-8")
    return 1 if broken else 0


def say(text: str) -> None:
    """Progress goes to stderr: stdout is for the results."""
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
