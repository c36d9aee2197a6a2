"""The marts carry numbers in the types of the contract: by construction, and a test keeps the defaults."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from lakehouse.contract.model import Contract
from lakehouse.contract.odcs import read_contract
from lakehouse.marts.raw_types import total
from lakehouse.settings import PROJECT_DIR

DBT = PROJECT_DIR / "dbt"
# A mart's column -> the column that it carries under another name.
RENAMED = {
    "product_name_length": "products.product_name_lenght",
    "product_description_length": "products.product_description_lenght",
    "product_photo_count": "products.product_photos_qty",
    "latitude": "geolocation.geolocation_lat",
    "longitude": "geolocation.geolocation_lng",
}
# A mart's numeric columns that no number of the source gives its type.
COMPUTED = {"distance_km"}


@pytest.fixture(scope="module")
def contract() -> Contract:
    return read_contract(PROJECT_DIR / "contracts", "olist")


@pytest.fixture(scope="module")
def variables() -> dict[str, Any]:
    """The project's variables, with their defaults."""
    found: dict[str, Any] = yaml.safe_load((DBT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
    return found


def types_of(contract: Contract, *, numbers: bool) -> dict[str, str]:
    """Table.column -> type in the warehouse, of the numbers or of all other columns."""
    columns = ((table.name, column) for table in contract.tables for column in table.columns)
    return {f"{table}.{c.name}": c.type.sql for table, c in columns if c.type.is_number == numbers}


def test_the_defaults_are_the_contracts_types(contract: Contract, variables: dict[str, Any]) -> None:
    types = types_of(contract, numbers=True)

    assert variables["olist_types"] == {**types, "total": total(types, variables["olist_summed"])}
    assert set(variables["olist_summed"]) <= types.keys()


def test_each_number_that_a_mart_carries_has_the_type_of_its_source(contract: Contract) -> None:
    carried = {name.split(".")[1]: name for name in types_of(contract, numbers=True)} | RENAMED
    found, other = set(), []
    for path in sorted((DBT / "models" / "marts" / "olist").glob("*.yml")):
        (model,) = yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
        for column in model["columns"]:
            is_sum = re.search(r"numeric|total", column["data_type"]) and column["name"] not in COMPUTED
            name = "total" if is_sum else carried.get(column["name"])
            if name and column["data_type"] != f"{{{{ var('olist_types')['{name}'] }}}}":
                other.append(f"{model['name']}.{column['name']}: {column['data_type']}")
            found.add(name)

    assert other == []
    assert found >= set(RENAMED.values()) | {"order_items.price", "order_payments.payment_value", "total"}


def test_other_columns_have_the_types_of_the_contract_too(contract: Contract) -> None:
    """Text, dates and timestamps are not carried by a variable: another type there needs another model."""
    types = {name.split(".")[1]: kind for name, kind in types_of(contract, numbers=False).items()}
    checked: dict[str, Any] = {}
    for path in sorted((DBT / "models" / "marts" / "olist").glob("*.yml")):
        (model,) = yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
        checked |= {column["name"]: column["data_type"] for column in model["columns"] if column["name"] in types}

    assert checked == {name: types[name] for name in checked}
    assert {"order_id", "order_status", "review_comment_title"} <= checked.keys()


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["numeric(12,2)"], "numeric(18,2)"),
        (["numeric(12,2)", "numeric(9,4)"], "numeric(20,4)"),
        (["numeric(38,3)"], "numeric(38,3)"),
        (["integer", "numeric(5,2)"], "numeric(18,2)"),
        (["bigint"], "numeric(25,0)"),
        (["numeric(12,2)", "double precision"], "double precision"),
    ],
    ids=["six digits more", "the most digits on either side", "no more than 38", "whole numbers", "bigint", "double"],
)
def test_sums_fit_into_the_type_of_totals(kinds: list[str], expected: str) -> None:
    types = {f"a.c{number}": kind for number, kind in enumerate(kinds)}

    assert total({**types, "a.latitude": "double precision", "a.long": "numeric(38,9)"}, list(types)) == expected
