"""dbt's manifest.json -> its models: what each reads, its data tests and its meta.

Only this module reads the file. It imports nothing but the standard library, since Airflow's triggerer imports it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The tag of models that are built with the models of every source.
EVERY_SOURCE = "every_source"


@dataclass(frozen=True)
class Model:
    """A model of dbt.

    `relation`: schema.table in the warehouse. `reads`: the models it refers to, in alphabetical order. `tests`: the
    data tests attached to it, and tests of several models that cannot run before it is built. `reconciles_with`: the
    model with one row per current key of its source; None if it names none. A daily build replaces the rows whose
    `column` is a changed key of `entity`; both are empty if the model's meta does not set them.
    """

    name: str
    relation: str
    tags: frozenset[str]
    reads: tuple[str, ...]
    tests: tuple[str, ...]
    reconciles_with: str | None
    column: str
    entity: str

    def is_of(self, source: str) -> bool:
        """Whether a build of this source has the model."""
        return source in self.tags or EVERY_SOURCE in self.tags


def read_models(manifest: Path) -> dict[str, Model]:
    """Every model of the project by name, in alphabetical order. Raises FileNotFoundError."""
    nodes = json.loads(manifest.read_text(encoding="utf-8"))["nodes"]
    models = {key: node for key, node in nodes.items() if node["resource_type"] == "model"}
    tests: dict[str, list[str]] = {key: [] for key in models}
    for node in nodes.values():
        owner = _owner(models, node) if node["resource_type"] == "test" else None
        if owner is not None:
            tests[owner].append(node["name"])
    found = [_model(models, node, tests[key]) for key, node in models.items()]
    return {model.name: model for model in sorted(found, key=lambda model: model.name)}


def _model(models: Mapping[str, Any], node: Mapping[str, Any], tests: list[str]) -> Model:
    meta = node["config"].get("meta", {})
    replaces = meta.get("replaces", {"column": "", "entity": ""})
    return Model(
        name=node["name"],
        relation=f"{node['schema']}.{node['name']}",
        tags=frozenset(node["tags"]),
        reads=tuple(sorted(models[read]["name"] for read in _reads(models, node))),
        tests=tuple(tests),
        reconciles_with=meta.get("reconciles_with"),
        column=replaces["column"],
        entity=replaces["entity"],
    )


def _owner(models: Mapping[str, Any], test: Mapping[str, Any]) -> str | None:
    """The model a data test belongs to: the model it is attached to, or the last model it reads; None if none."""
    if test.get("attached_node") in models:
        return str(test["attached_node"])
    return max(_reads(models, test), key=lambda model: (_depth(models, model), model), default=None)


def _depth(models: Mapping[str, Any], key: str) -> int:
    """Length of the longest chain of models that ends in this one."""
    return 1 + max((_depth(models, read) for read in _reads(models, models[key])), default=0)


def _reads(models: Mapping[str, Any], node: Mapping[str, Any]) -> list[str]:
    return [read for read in node["depends_on"]["nodes"] if read in models]
