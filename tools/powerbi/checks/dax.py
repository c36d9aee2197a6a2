"""A DAX expression -> the names that it uses; DaxError if it does not parse.

The grammar of expressions: VAR and RETURN, operators, calls, table constructors. No queries (EVALUATE, DEFINE).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

TOKENS = re.compile(
    r"""(?P<blank>\s+|//[^\n]*|--[^\n]*|/\*.*?\*/)
      | (?P<text>"(?:[^"]|"")*")
      | (?P<table>'(?:[^']|'')+')
      | (?P<column>\[(?:[^\]]|\]\])+\])
      | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | (?P<word>[A-Za-z_][\w.]*)
      | (?P<sign>&&|\|\||<>|<=|>=|==|[-+*/^&=<>(){},])""",
    re.VERBOSE | re.DOTALL,
)
# From the loosest to the tightest; NOT stands between && and the comparisons.
BINARY = (("||",), ("&&",), ("=", "==", "<>", "<", "<=", ">", ">=", "IN"), ("&",), ("+", "-"), ("*", "/"), ("^",))
COMPARISON = 2


class DaxError(ValueError):
    """The expression does not parse: what was expected, and where."""


@dataclass
class Names:
    """What an expression uses. Columns are (table, column); a bare [name] is a measure or a column of the row."""

    columns: set[tuple[str, str]] = field(default_factory=set)
    bare: set[str] = field(default_factory=set)
    tables: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)


def names(expression: str) -> Names:
    """Parse a whole expression. Function names are in capitals; a variable is no table."""
    parser = _Parser(expression)
    parser.expression()
    parser.expect("")
    parser.found.tables -= parser.variables
    return parser.found


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, expression: str) -> None:
        self.tokens = _tokens(expression)
        self.at = 0
        self.found = Names()
        self.variables: set[str] = set()

    @property
    def kind(self) -> str:
        return self.tokens[self.at][0]

    @property
    def text(self) -> str:
        return self.tokens[self.at][1]

    def take(self) -> str:
        text = self.text
        self.at += 1
        return text

    def is_word(self, word: str) -> bool:
        return self.kind == "word" and self.text.upper() == word

    def expect(self, text: str) -> None:
        if self.text != text or self.kind not in ("sign", "end"):
            raise DaxError(f"expected {text or 'the end'}, found {self.text or 'the end'}")
        self.at += bool(text)

    def expression(self) -> None:
        while self.is_word("VAR"):
            self.take()
            if self.kind != "word":
                raise DaxError(f"expected the name of a variable, found {self.text or 'the end'}")
            self.variables.add(self.take())
            self.expect("=")
            self.expression()
            if not self.is_word("VAR"):
                if not self.is_word("RETURN"):
                    raise DaxError(f"expected RETURN, found {self.text or 'the end'}")
                self.take()
                break
        self.binary(0)

    def binary(self, level: int) -> None:
        if level == len(BINARY):
            self.unary()
            return
        if level == COMPARISON and self.is_word("NOT"):
            self.take()
            self.binary(level)
            return
        self.binary(level + 1)
        while self.kind in ("sign", "word") and self.text.upper() in BINARY[level]:
            self.take()
            self.binary(level + 1)

    def unary(self) -> None:
        while self.kind == "sign" and self.text in "+-":
            self.take()
        self.primary()

    def primary(self) -> None:
        if self.kind in ("number", "text"):
            self.take()
        elif self.kind == "column":
            self.found.bare.add(_unquoted(self.take()))
        elif self.kind == "table":
            self.table(_unquoted(self.take()))
        elif self.kind == "word":
            word = self.take()
            if self.text == "(":
                self.found.functions.add(word.upper())
                self.items("(", ")", may_be_empty=True)
            else:
                self.table(word)
        elif self.text == "{":
            self.items("{", "}", may_be_empty=False)
        elif self.text == "(":
            self.items("(", ")", may_be_empty=False)
        else:
            raise DaxError(f"expected a value, found {self.text or 'the end'}")

    def table(self, name: str) -> None:
        if self.kind == "column":
            self.found.columns.add((name, _unquoted(self.take())))
        else:
            self.found.tables.add(name)

    def items(self, opening: str, closing: str, may_be_empty: bool) -> None:
        """Expressions between brackets. An argument of a function may be left out: DIVIDE([a], [b], )."""
        self.expect(opening)
        while True:
            if not (may_be_empty and self.text in (",", closing)):
                self.expression()
            if self.text != ",":
                break
            self.take()
        self.expect(closing)


def _tokens(expression: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    while at < len(expression):
        match = TOKENS.match(expression, at)
        if match is None:
            raise DaxError(f"nothing in DAX begins with {expression[at : at + 10]}")
        if match.lastgroup != "blank":
            tokens.append((str(match.lastgroup), match.group()))
        at = match.end()
    return [*tokens, ("end", "")]


def _unquoted(name: str) -> str:
    closing = name[-1]
    return name[1:-1].replace(closing * 2, closing)
