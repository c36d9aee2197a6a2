"""The marts carry numbers in the types of the contract: by construction, and a test keeps the defaults."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from lakehouse.contract.model import Contract
from lakehouse.contract.odcs import read_contract
from lakehouse.marts.raw_types import numbers
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


@pytest.fixture(scope="module")
def contract() -> Contract:
    return read_contract(PROJECT_DIR / "contracts", "olist")


def types_of(contract: Contract) -> dict[str, str]:
    return {f"{table.name}.{column.name}": column.type.sql for table in contract.tables for column in table.columns}


def test_the_defaults_are_the_contracts_types(contract: Contract) -> None:
    variables = yaml.safe_load((DBT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]

    assert variables["olist_types"] == numbers(types_of(contract))


def test_each_number_that_a_mart_carries_has_the_type_of_its_source(contract: Contract) -> None:
    carried = {name.split(".")[1]: name for name in numbers(types_of(contract)) if name != "total"} | RENAMED
    found, other = set(), []
    for path in sorted((DBT / "models" / "marts" / "olist").glob("*.yml")):
        (model,) = yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
        for column in model["columns"]:
            name = "total" if re.search(r"numeric|total", column["data_type"]) else carried.get(column["name"])
            if name and column["data_type"] != f"{{{{ var('olist_types')['{name}'] }}}}":
                other.append(f"{model['name']}.{column['name']}: {column['data_type']}")
            found.add(name)

    assert other == []
    assert found >= set(RENAMED.values()) | {"order_items.price", "order_payments.payment_value", "total"}


def test_other_columns_have_the_types_of_the_contract_too(contract: Contract) -> None:
    """Text, dates and timestamps are not carried by a variable: another type there needs another model."""
    types = {
        name.split(".")[1]: kind for name, kind in types_of(contract).items() if name not in numbers(types_of(contract))
    }
    checked: dict[str, Any] = {}
    for path in sorted((DBT / "models" / "marts" / "olist").glob("*.yml")):
        (model,) = yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
        checked |= {column["name"]: column["data_type"] for column in model["columns"] if column["name"] in types}

    assert checked == {name: types[name] for name in checked}
    assert {"order_id", "order_status", "review_comment_title"} <= checked.keys()


@pytest.mark.parametrize(
    ("types", "total"),
    [
        ({"a.b": "numeric(12,2)"}, "numeric(18,2)"),
        ({"a.b": "numeric(12,2)", "a.c": "numeric(9,4)"}, "numeric(20,4)"),
        ({"a.b": "numeric(38,3)"}, "numeric(38,3)"),
        ({"a.b": "integer"}, "numeric(38,0)"),
    ],
    ids=["six digits more", "the most digits on either side", "no more than 38", "no decimals"],
)
def test_sums_fit_into_the_type_of_totals(types: dict[str, str], total: str) -> None:
    assert numbers({**types, "a.text": "text"}) == {**types, "total": total}
