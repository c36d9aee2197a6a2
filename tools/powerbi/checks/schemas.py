"""A project's JSON files -> what they violate of Microsoft's schemas, which are read from a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator  # type: ignore[import-untyped]
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

BASE = "https://developer.microsoft.com/json-schemas/"
SUFFIXES = {".json", ".pbir", ".pbism", ".pbip"}


def findings(project: Path, schemas: Path) -> list[str]:
    """Each violation with its file; a file whose schema is not known. `schemas` is laid out as on Microsoft's site."""
    return list(_findings(project, schemas))


def _findings(project: Path, schemas: Path) -> Iterator[str]:
    for path in sorted(project.rglob("*")):
        if not path.is_file() or (path.suffix not in SUFFIXES and path.name != ".platform"):
            continue
        place = path.relative_to(project).as_posix()
        document = json.loads(path.read_text(encoding="utf-8"))
        if "StaticResources" in path.parts:
            validator = _theme_validator(schemas)
        elif not (schemas / document.get("$schema", "").removeprefix(BASE)).is_file():
            yield f"{place}: no schema {document.get('$schema')}"
            continue
        else:
            validator = _validator(document["$schema"], schemas)
        for error in validator.iter_errors(document):
            yield f"{place}: {'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"


@cache
def _validator(address: str, schemas: Path) -> Any:
    def load(one: str) -> Resource[Any]:
        content = json.loads((schemas / one.removeprefix(BASE)).read_text(encoding="utf-8"))
        return Resource.from_contents(content, default_specification=DRAFT7)

    registry: Registry[Any] = Registry(retrieve=load)  # type: ignore[call-arg]
    return Draft7Validator({"$ref": address}, registry=registry)


@cache
def _theme_validator(schemas: Path) -> Any:
    (newest,) = sorted((schemas / "theme").glob("*.json"))[-1:]
    return Draft7Validator(json.loads(newest.read_text(encoding="utf-8")))
