"""Every tracked text file -> the words in it that this project avoids. Exits with 1 if there is one.

    python3 tools/lint/words.py               every word, as FILE:LINE: WORD -> what to write
    python3 tools/lint/words.py README.md     the words in some files
    python3 tools/lint/words.py --count       the number of words per file

words.toml lists the words, and the files that are not read. words_allowed.toml lists the lines where a word is right.
An entry there that allows nothing is an error, too: its line was rewritten. Needs only the standard library.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
# A phrase may go on in the next line, after that line's sign of a comment.
GAP = r"(?:[ \t]+|[ \t]*\n[ \t]*(?:#+|--|//|\*|>)?[ \t]*)"


@dataclass(frozen=True)
class Word:
    """A pattern of whole words, and what to write for it."""

    pattern: re.Pattern[str]
    write: str


@dataclass(frozen=True)
class Allowed:
    """A file, a part of the line in which the words are right, and why they are."""

    file: str
    line: str
    reason: str


@dataclass(frozen=True)
class Hit:
    """A word to avoid; `text` is the line that it begins in."""

    file: str
    number: int
    text: str
    word: str
    write: str

    def __str__(self) -> str:
        return f"{self.file}:{self.number}: {self.word} -> {self.write}"


def main(arguments: list[str]) -> int:
    """Print what is found; the exit code."""
    parser = argparse.ArgumentParser(description="Find the words that this project avoids.")
    parser.add_argument("files", nargs="*", help="only these; unset: every tracked file")
    parser.add_argument("--count", action="store_true", help="how many each file has")
    options = parser.parse_args(arguments)

    listed = tomllib.loads((HERE / "words.toml").read_text(encoding="utf-8"))
    words = read_words(listed)
    allowed = read_allowed(tomllib.loads((HERE / "words_allowed.toml").read_text(encoding="utf-8")))
    files = [Path(name).resolve().relative_to(PROJECT).as_posix() for name in options.files] or tracked(PROJECT)
    hits: list[Hit] = []
    for file in files:
        text = None if any(fnmatch(file, skipped) for skipped in listed["skip"]) else read_text(PROJECT / file)
        if text is not None:
            hits += find(file, text, words)
    kept, stale = judge(hits, [entry for entry in allowed if entry.file in files or not options.files])

    if options.count:
        lines = [f"{count:5} {file}" for file, count in Counter(hit.file for hit in kept).most_common()]
    else:
        lines = [str(hit) for hit in kept]
    lines += [f"tools/lint/words_allowed.toml: allows nothing any more: {entry.file}: {entry.line}" for entry in stale]
    if lines:
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stderr.write(f"{len(kept)} words to avoid, {len(stale)} stale entries\n")
    return 1 if lines else 0


def read_words(listed: dict[str, list[dict[str, str]]]) -> list[Word]:
    """The entries of words.toml; a space in a pattern also stands for a new line."""
    return [
        Word(re.compile(rf"(?<!\w)(?:{entry['avoid'].replace(' ', GAP)})(?!\w)", re.IGNORECASE), entry["write"])
        for entry in listed["word"]
    ]


def read_allowed(listed: dict[str, list[dict[str, str]]]) -> list[Allowed]:
    """The entries of words_allowed.toml. Raises TypeError for one without file, line or reason."""
    return [Allowed(**entry) for entry in listed.get("allowed", [])]


def tracked(root: Path) -> list[str]:
    """Every file of the repository, with those that are not yet added, without those that Git ignores."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    return sorted(name for name in set(listed.split("\0")) if name and (root / name).is_file())


def read_text(path: Path) -> str | None:
    """The file's text; None if it is not text."""
    content = path.read_bytes()
    return None if b"\0" in content else content.decode("utf-8")


def find(file: str, text: str, words: Iterable[Word]) -> Iterator[Hit]:
    """Every word to avoid, in the order of the text."""
    found = [(match, word.write) for word in words for match in word.pattern.finditer(text)]
    lines = text.split("\n")
    for match, write in sorted(found, key=lambda item: (item[0].start(), item[0].end())):
        number = text.count("\n", 0, match.start())
        yield Hit(file, number + 1, lines[number], re.sub(GAP, " ", match.group()), write)


def judge(hits: Iterable[Hit], allowed: Iterable[Allowed]) -> tuple[list[Hit], list[Allowed]]:
    """The hits that no entry allows, and the entries that allow none."""
    unused = set(allowed)
    entries = tuple(unused)
    kept = []
    for hit in hits:
        allowing = {entry for entry in entries if entry.file == hit.file and entry.line in hit.text}
        unused -= allowing
        if not allowing:
            kept.append(hit)
    return kept, sorted(unused, key=lambda entry: (entry.file, entry.line))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
