"""What is read from dbt's manifest of its models."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lakehouse.marts.manifest import Model, read_models
from lakehouse.settings import PROJECT_DIR

SOURCE = "source.raw.orders"


def model(name: str, *reads: str, **facts: Any) -> dict[str, Any]:
    node = {"resource_type": "model", "name": name, "schema": "marts", "tags": [], "config": {}}
    return {**node, "depends_on": {"nodes": list(reads)}, **facts}


def data_test(name: str, *reads: str, attached_to: str | None = None) -> dict[str, Any]:
    return {"resource_type": "test", "name": name, "depends_on": {"nodes": list(reads)}, "attached_node": attached_to}


def models_of(folder: Path, **nodes: dict[str, Any]) -> dict[str, Model]:
    """Models of a manifest with these nodes, the key of each `<kind>.<name>`."""
    content = {f"{node['resource_type']}.{node['name']}": node for node in nodes.values()}
    (folder / "manifest.json").write_text(json.dumps({"nodes": content}))
    return read_models(folder / "manifest.json")


def test_a_model_reads_the_models_it_refers_to_but_no_source(tmp_path: Path) -> None:
    found = models_of(
        tmp_path,
        a=model("fct", "model.orders", "model.items"),
        b=model("orders", SOURCE),
        c=model("items", SOURCE),
    )

    assert {name: each.reads for name, each in found.items()} == {"fct": ("items", "orders"), "items": (), "orders": ()}
    assert list(found) == ["fct", "items", "orders"]


def test_a_test_belongs_to_its_model_or_to_the_last_of_its_models(tmp_path: Path) -> None:
    found = models_of(
        tmp_path,
        a=model("z_first", SOURCE),
        b=model("a_last", "model.z_first"),
        c=data_test("unique", "model.z_first", attached_to="model.z_first"),
        d=data_test("refers_to_last", "model.a_last", "model.z_first", attached_to="model.z_first"),
        e=data_test("totals", "model.z_first", "model.a_last"),
        f=data_test("of_a_source", SOURCE),
    )

    assert {name: each.tests for name, each in found.items()} == {
        "a_last": ("totals",),
        "z_first": ("unique", "refers_to_last"),
    }


def test_meta_says_what_a_fact_is_compared_with_and_which_rows_a_build_replaces(tmp_path: Path) -> None:
    meta = {"reconciles_with": "int_orders", "replaces": {"column": "order_id", "entity": "order"}}

    found = models_of(
        tmp_path, a=model("fct", tags=["shop"], config={"meta": meta}), b=model("dim", config={"meta": {}})
    )

    assert found["fct"] == Model("fct", "marts.fct", frozenset({"shop"}), (), (), "int_orders", "order_id", "order")
    assert found["dim"] == Model("dim", "marts.dim", frozenset(), (), (), None, "", "")


def test_a_manifest_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_models(tmp_path / "manifest.json")


def test_reading_it_needs_the_standard_library_only() -> None:
    program = f"import sys; sys.path.insert(0, {str(PROJECT_DIR)!r}); import lakehouse.marts.manifest"

    subprocess.run([sys.executable, "-I", "-S", "-c", program], check=True)
