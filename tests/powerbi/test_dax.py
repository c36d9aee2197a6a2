"""The parser of DAX takes what DAX takes, says which names are used, and refuses the rest with a reason."""

from __future__ import annotations

import pytest

from tools.powerbi.checks.dax import DaxError, Names, names


def test_names_of_all_kinds_are_found() -> None:
    found = names('CALCULATE([Sold], KEEPFILTERS(\'Order Items\'[Kind] IN {"a", "b"}), Shop) + Net[To]]tal]')

    assert found == Names(
        columns={("Order Items", "Kind"), ("Net", "To]tal")},
        bare={"Sold"},
        tables={"Shop"},
        functions={"CALCULATE", "KEEPFILTERS"},
    )


def test_a_variable_is_no_table_and_a_text_no_name() -> None:
    found = names('VAR Own = [Sold] // not [Bought]\nRETURN IF(NOT ISBLANK(Own) && Own > 1, "[Nothing] (", -Own)')

    assert found == Names(bare={"Sold"}, functions={"IF", "ISBLANK"})


@pytest.mark.parametrize(
    "expression",
    [
        "DIVIDE([a], [b], )",
        '{(1, "x")}',
        "NOT [a] = 1 || TRUE()",
        '1.5e3 ^ -2 & ""',
        "VAR a = 1 VAR b = a RETURN a + b",
    ],
)
def test_what_dax_takes_is_taken(expression: str) -> None:
    names(expression)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("SUM(Sales[Price]", "expected ), found the end"),
        ("SUM(Sales[Price]))", "expected the end, found )"),
        ("DIVIDE([a] [b])", r"expected ), found \[b\]"),
        ("[a] +", "expected a value, found the end"),
        ("VAR x = 1", "expected RETURN, found the end"),
        ("VAR [x] = 1 RETURN 1", r"expected the name of a variable, found \[x\]"),
        ('"open', "nothing in DAX begins with"),
        ("{}", "expected a value"),
        ("", "expected a value, found the end"),
    ],
)
def test_what_dax_refuses_is_refused_with_a_reason(expression: str, problem: str) -> None:
    with pytest.raises(DaxError, match=problem.replace(")", r"\)") if ")" in problem else problem):
        names(expression)
