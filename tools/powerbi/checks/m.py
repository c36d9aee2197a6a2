"""Queries in M -> what is wrong with their syntax, by Microsoft's parser."""

from __future__ import annotations

import json
import subprocess
from functools import cache

from tools.powerbi.checks.toolbox import HERE, NODE_PACKAGES


@cache
def syntax_errors(queries: tuple[str, ...]) -> list[str | None]:
    """The parser's message for each query; None where it parses."""
    command = ["node", str(HERE / "m_syntax.mjs"), str(NODE_PACKAGES)]
    done = subprocess.run(command, input=json.dumps(queries), capture_output=True, text=True, check=True)
    messages: list[str | None] = json.loads(done.stdout)
    return messages
