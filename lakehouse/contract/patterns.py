"""A pattern of a contract -> what in it Java cannot use, or reads otherwise than Python.

Spark matches patterns with Java. Reading a contract starts no Java, so Python's `re` checks the pattern, and this
module looks for the forms that Python accepts and Java refuses. Each was tried with Java 17.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_FORMS = re.compile(
    r"""(?xs)
      \\ (?P<escape> U | 0[0-7] | [1-7][0-7]{2} | . )
    | \[\^? (?P<members> \]? (?: \\. | [^\\\]] )* ) \]
    | (?P<group> \( \? (?: P[<=>] | \# | \( | [a-zA-Z-]*[aL][a-zA-Z-]*[:)] ) )
    | (?P<brace> \{ (?! \d+ (?: ,\d* )? \} ) )
    """
)
_OF_A_GROUP = {
    "(?P": "a named group: write (...) instead",
    "(?#": "a comment",
    "(?(": "a choice by an earlier group",
}


def not_for_java(pattern: str) -> list[str]:
    """What of a pattern that is valid in Python Java does not take, each with its reason."""
    return list(_found(pattern))


def _found(pattern: str) -> Iterator[str]:
    for form in _FORMS.finditer(pattern):
        if form["group"]:
            yield f"{form['group']} is {_OF_A_GROUP.get(form['group'][:3], 'a flag of Python only')}"
        elif form["brace"]:
            yield r"{ is neither escaped (\{) nor {n}, {n,} or {n,m}"
        elif form["escape"] in ("U", "0") or len(form["escape"] or "") == 3:
            yield f"\\{form['escape']} is an escape of Python only"
        elif form["members"] is not None:
            members = re.sub(r"\\[^b]", "", form["members"])
            if r"\b" in members:
                yield r"\b inside [...] is an escape of Python only"
            if "[" in members:
                yield r"[ inside [...] is not escaped (\[)"
            if "&&" in members:
                yield r"&& inside [...] is not escaped (\&&)"
