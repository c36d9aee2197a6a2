"""A pattern that Python accepts and Java does not is refused when the contract is read."""

from __future__ import annotations

import re

import pytest

from lakehouse.contract.patterns import not_for_java

REFUSED = {
    r"(?P<year>[0-9]{4})": "(?P< is a named group",
    r"(?#digits)[0-9]+": "(?# is a comment",
    r"(a)(?(1)b|c)": "(?( is a choice",
    r"(?a)\w+": "(?a) is a flag of Python only",
    r"(?a:\w)+": "(?a: is a flag of Python only",
    r"a{,3}": "{ is neither escaped",
    r"{": "{ is neither escaped",
    r"a{x}": "{ is neither escaped",
    r"[a[b]": "[ inside [...] is not escaped",
    r"[[]": "[ inside [...] is not escaped",
    r"[a&&b]": "&& inside [...] is not escaped",
    r"[\b]": r"\b inside [...] is an escape of Python only",
    r"\U00000041": r"\U is an escape of Python only",
    r"\0": r"\0 is an escape of Python only",
}
TAKEN = [
    r"[0-9]{5}",
    r"(?s).{1,200}",
    r"[0-9a-f]{32}",
    r"\(?P<",
    r"\{x\}",
    r"[{(?P]",
    r"[]a]",
    r"[^]a]",
    r"[\[a]",
    r"[a\]&]\b",
    r"a{2,}",
    r"\07",
    r"(?i:a)(?=b)",
    r"\\[a]",
]


@pytest.mark.parametrize(("pattern", "what"), REFUSED.items(), ids=range(len(REFUSED)))
@pytest.mark.filterwarnings("ignore:Possible:FutureWarning")
def test_what_java_cannot_use_is_named(pattern: str, what: str) -> None:
    re.compile(pattern)

    (fault,) = not_for_java(pattern)

    assert fault.startswith(what)


@pytest.mark.parametrize("pattern", TAKEN, ids=range(len(TAKEN)))
@pytest.mark.filterwarnings("ignore:Possible:FutureWarning")
def test_what_both_know_is_taken(pattern: str) -> None:
    re.compile(pattern)

    assert not_for_java(pattern) == []
