"""SQL of dbt's models and macros -> model: the models it reads; and the text of lakehouse_airflow/model_graph.py.

Airflow draws the models when it reads its DAG files, and may open no file then. `make docs` writes the module anew
(documentation/); a test compares what is found here with dbt's own manifest.
"""

from __future__ import annotations

import re
from pathlib import Path

FILE = "airflow/lakehouse_airflow/model_graph.py"
HEADER = '''"""dbt's models, and the models that each reads. Made by `make docs`: change dbt/, not this file."""

READS: dict[str, tuple[str, ...]] = {
'''

_REFERENCE = re.compile(r"ref\('(\w+)'\)")
_MACRO = re.compile(r"\{%-? *macro (\w+)\(.*?-?%\}(.*?)\{%-? *endmacro", re.DOTALL)


def models_read(dbt_dir: Path) -> dict[str, tuple[str, ...]]:
    """By name. A model reads what its SQL refers to, and what the macros refer to that its SQL calls."""
    macros = {
        name: body
        for path in sorted((dbt_dir / "macros").rglob("*.sql"))
        for name, body in _MACRO.findall(path.read_text(encoding="utf-8"))
    }
    models = {path.stem: path.read_text(encoding="utf-8") for path in (dbt_dir / "models").rglob("*.sql")}
    return {name: tuple(sorted(_references(models[name], macros) - {name})) for name in sorted(models)}


def python_module(reads: dict[str, tuple[str, ...]]) -> str:
    """As ruff formats it."""
    lines = []
    for model, read in reads.items():
        lines += [f'    "{model}": (', *(f'        "{name}",' for name in read), "    ),"] if read else []
        lines += [] if read else [f'    "{model}": (),']
    return HEADER + "\n".join(lines) + "\n}\n"


def _references(sql: str, macros: dict[str, str]) -> set[str]:
    """`macros`: those that may be called; one that was followed is not followed again."""
    called = {name for name in macros if re.search(rf"\b{name}\(", sql)}
    others = {name: body for name, body in macros.items() if name not in called}
    found = set(_REFERENCE.findall(sql))
    return found.union(*(_references(macros[name], others) for name in called))
