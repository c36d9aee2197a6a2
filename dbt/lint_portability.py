"""Every dbt model, compiled -> what Redshift would not accept in it. Exits with 1 if there is anything.

    .venv/bin/python dbt/lint_portability.py

It checks both forms of each model, that of a full refresh and that of a daily build, and needs no database. sqlglot
parses the statements as Redshift's; then they are searched for what parses, but does not run there or means something
else.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError
from sqlglot.tokens import Tokenizer

DBT_DIR = Path(__file__).resolve().parent
FORMS = ("full", "incremental")

# Patterns of what Redshift lacks, searched in the statement without comments and strings.
BANNED: dict[str, str] = {
    r"\bdistinct\s+on\b": "distinct on",
    r"\blateral\b": "lateral",
    r"\bon\s+conflict\b": "on conflict (merge, or delete and insert)",
    r"\bfilter\s*\(": "filter (sum(case when … end))",
    r"\barray\b|\bunnest\b|\barray_agg\b": "arrays",
    r"\bjsonb?\b|\bjsonb?_\w+|->>?": "json",
    r"\bgenerate_series\b": "generate_series (runs on the leader node only)",
    r"\b(except|intersect)\s+all\b": "except all, intersect all",
    r"\breturning\b": "returning",
    r"\bstring_agg\b": "string_agg (listagg)",
    r"\bis\s+(not\s+)?distinct\s+from\b": "is distinct from",
    r"\bunlogged\b": "unlogged",
    r"\bfor\s+update\b": "for update",
    r"\btablesample\b": "tablesample",
    r"\bgroup\s+by\s+\d": "group by a number",
}


def main() -> int:
    """Print one line per fault; return the exit code."""
    faults: list[str] = []
    models = 0
    for form in FORMS:
        with tempfile.TemporaryDirectory() as folder:
            for path in compiled_models(form, Path(folder)):
                models += 1
                name = path.relative_to(Path(folder) / "compiled" / "lakehouse")
                faults += [f"dbt/{name} ({form}): {fault}" for fault in faults_of(path.read_text(encoding="utf-8"))]
    for fault in sorted(set(faults)):
        sys.stdout.write(fault + "\n")
    sys.stdout.write(f"Redshift: {models} compiled statements, {len(set(faults))} faults\n")
    return 1 if faults or not models else 0


def faults_of(statement: str) -> Iterator[str]:
    """What Redshift would not accept in a query."""
    try:
        tree = sqlglot.parse_one(statement, read="redshift")
    except ParseError as error:
        yield f"does not parse: {str(error).splitlines()[0]}"
        return
    bare = _without_comments_and_strings(statement)
    for pattern, name in BANNED.items():
        if re.search(pattern, bare, re.IGNORECASE):
            yield name
    for window in tree.find_all(exp.Window):
        if window.args.get("order") is None and isinstance(window.this, exp.RowNumber | exp.Lag | exp.Lead):
            yield f"{window.this.sql()} without an order: any row may come first"


def compiled_models(form: str, folder: Path) -> list[Path]:
    """Compile all models in one form, without a database. Raises SystemExit with dbt's error if they do not compile."""
    dbt = Path(sys.executable).parent / "dbt"
    command = [str(dbt), "--quiet", "compile", "--no-introspect", "--no-populate-cache"]
    command += ["--project-dir", str(DBT_DIR), "--profiles-dir", str(DBT_DIR), "--select", "resource_type:model"]
    command += ["--target-path", str(folder), "--log-path", str(folder / "logs"), "--vars", f"{{compile_as: {form}}}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"dbt could not compile the models:\n{done.stdout}{done.stderr}")
    return sorted((folder / "compiled" / "lakehouse" / "models").rglob("*.sql"))


def _without_comments_and_strings(statement: str) -> str:
    tokens = Tokenizer().tokenize(statement)
    return " ".join("''" if token.token_type.name == "STRING" else token.text for token in tokens)


if __name__ == "__main__":
    sys.exit(main())
