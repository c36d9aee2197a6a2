"""What makes a step due again: its input, the table's rules, its own rules; and nothing else."""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
from dataclasses import replace
from datetime import date

import pytest

from lakehouse import steps
from lakehouse.contract.model import Column, ColumnType, Rule, TableContract
from lakehouse.landing.manifest import DeliveredFile, Manifest
from lakehouse.settings import PROJECT_DIR
from lakehouse.steps import STEP_NAMES, STEPS, Step, expected
from tests.support.small_source import orders

FILE = DeliveredFile("shop/2018-01-05/r1/orders.csv", "orders.csv", 20, "ab" * 32, 2, 9, True, False, ("order_id",), 9)
BATCH = Manifest("shop", date(2018, 1, 5), {"orders": FILE})
OTHER_BATCH = BATCH.with_tables({"orders": replace(FILE, sha256="cd" * 32)})

# (step, version) -> hash of the package's code. After a change to a step's code, decide: if the same input would give
# different rows, raise the version in lakehouse/steps.py. Then write the new hash beside the version.
CODE_OF = {
    ("bronze", 2): "c713400b2bc21b34",
    ("silver", 3): "0935ee14091c17d9",
    ("load", 1): "4af5c4d6a94f5bf0",
}


def _with_rule(table: TableContract, rule: Rule) -> TableContract:
    first, *others = table.columns
    return replace(table, columns=(replace(first, rules=(*first.rules, rule)), *others))


def test_with_the_rules_of_version_0_1_0_the_fingerprints_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "STEPS", (Step("bronze", version=1), Step("silver", version=2), Step("load", version=1)))

    assert expected(orders(), BATCH) == {
        "bronze": "e5fb3deb9c89fe0b6911a0341db99765",
        "silver": "ab055263452d1df8d09aaf7b5c48f3cd",
        "load": "04ebb3335399c203b35b359a071af1a7",
    }


@pytest.mark.parametrize(
    ("table", "batch"),
    [
        (orders(), OTHER_BATCH),
        (orders(), BATCH.with_tables({"orders": None})),
        (orders(Column("late", ColumnType("text"), "")), BATCH),
        (replace(orders(), key=("order_id", "note")), BATCH),
        (_with_rule(orders(), Rule("order_id", "pattern", "error", pattern="[a-z]+")), BATCH),
    ],
    ids=["other content", "a withdrawal", "a column", "the key", "a rule"],
)
def test_every_step_is_due_again_after(table: TableContract, batch: Manifest) -> None:
    before, after = expected(orders(), BATCH), expected(table, batch)

    assert [step for step in STEP_NAMES if before[step] == after[step]] == []


def test_a_changed_description_makes_nothing_due() -> None:
    described = replace(orders(), description="what it means", grain="one row per order")

    assert expected(described, BATCH) == expected(orders(), BATCH)


@pytest.mark.parametrize("raised", STEP_NAMES)
def test_a_higher_version_makes_its_step_and_all_later_ones_due(raised: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = expected(orders(), BATCH)
    monkeypatch.setattr(steps, "STEPS", tuple(Step(s.name, s.version + 1) if s.name == raised else s for s in STEPS))

    after = expected(orders(), BATCH)

    same = [step for step in STEP_NAMES if before[step] == after[step]]
    assert same == list(STEP_NAMES[: STEP_NAMES.index(raised)])  # type: ignore[arg-type]


def test_no_step_changes_its_code_without_a_thought_about_its_version() -> None:
    assert {(step.name, step.version): _code_of(step.name) for step in STEPS} == CODE_OF


def _code_of(package: str) -> str:
    """A hash of all modules of a package, without comments, docstrings and blank lines."""
    digest = hashlib.sha256()
    for path in sorted((PROJECT_DIR / "lakehouse" / package).glob("*.py")):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                row, column = token.start
                lines[row - 1] = lines[row - 1][:column]
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
                lines[node.body[0].lineno - 1 : node.body[0].end_lineno] = [""] * _length(node.body[0])
        code = "\n".join(line.rstrip() for line in lines if line.strip())
        digest.update(f"{path.name}\0{code}\0".encode())
    return digest.hexdigest()[:16]


def _length(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1
