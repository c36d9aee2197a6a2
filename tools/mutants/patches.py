"""A checkout -> its mutants; those with given names; those that concern what changed since a commit."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.mutants.checkout import MutantsError, git, untracked

FOLDER = Path("tests") / "mutants"


@dataclass(frozen=True)
class Mutant:
    """A patch. `files`: what it changes; `properties`: the numbers of the guarantees that it breaks."""

    patch: Path
    breaks: str
    killers: tuple[str, ...]
    properties: tuple[int, ...]
    files: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.patch.stem


def read_mutants(project: Path) -> list[Mutant]:
    """All mutants of a checkout by name. Raises MutantsError with everything that is wrong with their headers."""
    mutants, faults = [], []
    for patch in sorted((project / FOLDER).glob("*.patch")):
        text = patch.read_text(encoding="utf-8")
        header = text.partition("diff --git ")[0]
        killers = re.findall(r"^Killer: (\S.*?) *$", header, re.MULTILINE)
        properties = re.findall(r"^Property: (\d+)$", header, re.MULTILINE)
        breaks = " ".join(line for line in header.splitlines() if line and not re.match(r"(Killer|Property):", line))
        files = re.findall(r"^diff --git a/(\S+) b/", text, re.MULTILINE)
        missing = [what for what, found in (("Killer:", killers), ("sentence", breaks), ("diff", files)) if not found]
        faults += [f"{FOLDER / patch.name} has no {what}" for what in missing]
        mutants.append(Mutant(patch, breaks, tuple(killers), tuple(map(int, properties)), tuple(files)))
    if faults:
        raise MutantsError("\n".join([*faults, "tests/mutants/README.md shows the form of a mutant."]))
    return mutants


def named(mutants: list[Mutant], names: Sequence[str]) -> list[Mutant]:
    """The mutants with these names, all if there are none. Raises MutantsError with the names that nothing has."""
    known = [mutant.name for mutant in mutants]
    wanted = [Path(name).name.removesuffix(".patch") for name in names]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        close = sorted({match for name in unknown for match in difflib.get_close_matches(name, known)})
        hint = f"Did you mean {', '.join(close)}?" if close else "--list names them all."
        raise MutantsError(f"No such mutant: {', '.join(unknown)}. {hint}")
    return [mutant for mutant in mutants if not names or mutant.name in wanted]


def base_of(project: Path, ref: str) -> str | None:
    """The commit to compare with: where HEAD branched off from `ref`. Raises MutantsError if there is no such commit.

    `auto` compares with origin/main, and on origin/main itself with the commit before. None if neither is there, as in
    a shallow clone.
    """
    head, wanted = _commit(project, "HEAD"), _commit(project, "origin/main" if ref == "auto" else ref)
    if wanted is None and ref != "auto":
        raise MutantsError(f"{ref} is no commit of this repository. Fetch it, or name another one.")
    try:
        base = git(project, "merge-base", "HEAD", wanted).strip() if wanted else None
    except MutantsError:
        base = wanted  # the two have no commit in common, or a shallow clone lacks it
    return _commit(project, "HEAD~1") if ref == "auto" and base in (None, head) else base


def changed_since(project: Path, mutants: list[Mutant], base: str) -> list[Mutant]:
    """The mutants whose patch, patched files or killers' files are not as they were in this commit."""
    changed = {*git(project, "diff", "--name-only", "--no-renames", "-z", base).split("\0"), *untracked(project)}

    def files_of(mutant: Mutant) -> set[str]:
        own = (FOLDER / mutant.patch.name).as_posix()
        return {own, *mutant.files, *(file_of(killer) for killer in mutant.killers)}

    return [mutant for mutant in mutants if files_of(mutant) & changed]


def file_of(killer: str) -> str:
    """The file of a test, below the checkout."""
    return killer.partition("::")[0]


def _commit(project: Path, ref: str) -> str | None:
    try:
        return git(project, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}").strip()
    except MutantsError:
        return None
