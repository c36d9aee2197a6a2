"""`make test-mutants`: judge the mutants, print a line for each killer, exit with the verdict."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tools.mutants.checkout import MutantsError
from tools.mutants.judge import DOES_NOT_APPLY, LEFT_OUT, NO_VERDICT, SURVIVED, Result, judged
from tools.mutants.patches import Mutant, base_of, changed_since, named, read_mutants

PROJECT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge the mutants, print a line for each killer, return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        chosen = named(mutants := read_mutants(PROJECT), options.name)
        if options.changed_since:
            if (base := base_of(PROJECT, options.changed_since)) is None:
                _say("This clone has no earlier commit to compare with: no mutant is judged.")
                return 0
            chosen = changed_since(PROJECT, chosen, base)
            _say(f"{len(chosen)} of {len(mutants)} mutants concern what changed since {base[:12]}.")
        if options.list:
            _say("\n".join(_listed(chosen)))
            return 0
        return report(judged(PROJECT, chosen, options.seconds, log=_say), options.seconds)
    except MutantsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.mutants", description="Apply each mutant of tests/mutants; its killers must fail."
    )
    parser.add_argument("name", nargs="*", help="only these mutants: the names of their patches, without .patch")
    parser.add_argument("--list", action="store_true", help="print the mutants and their killers; run nothing")
    parser.add_argument(
        "--changed-since",
        metavar="REF",
        help="only mutants whose patch, patched files or killers changed since HEAD branched off from this commit; "
        "auto: from origin/main, and on origin/main itself since the commit before",
    )
    parser.add_argument("--seconds", type=float, help="stop after this time and name the mutants that were left out")
    return parser


def report(results: Iterator[Result], seconds: float | None) -> int:
    """Print each result as it comes, then what to do; return the exit code."""
    found = []
    for result in results:
        _say(f"{result.verdict:<14}  {result.seconds:6.1f} s  {result.mutant.name}  <-  {result.killer}")
        found.append(result)
    for result in found:
        if result.detail:
            _say(f"\n{result.mutant.name}: {result.verdict}, {result.killer}\n{_indented(result.detail)}")
    verdicts = [result.verdict for result in found]
    counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in dict.fromkeys(verdicts))
    _say(f"\nMutants: {counts or 'none was judged'}.")
    left_out = sorted({result.mutant.name for result in found if result.verdict == LEFT_OUT})
    if left_out:
        _say(f'{seconds:.0f} s were over. To judge the rest: make test-mutants ARGS="{" ".join(left_out)}"')
    if {DOES_NOT_APPLY, NO_VERDICT} & set(verdicts):
        return 2
    return 1 if SURVIVED in verdicts else 0


def _listed(mutants: Iterable[Mutant]) -> Iterator[str]:
    for mutant in mutants:
        yield f"{mutant.name}: {mutant.breaks}"
        yield from (f"    Property {number}" for number in mutant.properties)
        yield from (f"    {killer}" for killer in mutant.killers)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _end(number: int, frame: object) -> None:
    """SIGTERM ends it as Ctrl-C does: pytest is stopped and the copy removed."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    sys.exit(main())
