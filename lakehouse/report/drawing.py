"""Vega's scripts and the charts' specifications, made once per version and kept in the home.

To import Altair takes a second and to bundle the scripts takes three, which no run should pay twice. Scripts are kept
by the version of vl-convert, specifications by the version of Altair and by what they are made from.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lakehouse.errors import SetupError
from lakehouse.report.measures import Measures
from lakehouse.report.pages import Pages
from lakehouse.settings import Settings

FOLDER = "report"  # in the home
_MADE_BY = ("charts.py", "pages.py", "measures.py")


def versions() -> dict[str, str]:
    """The versions of the packages that charts are made with. Raises SetupError if they are not installed."""
    try:
        return {name: version(name) for name in ("altair", "vl-convert-python")}
    except PackageNotFoundError as error:
        raise SetupError(
            f"The report needs the package {error.name}, which is not installed here.\n"
            "Run `make setup`, or install the group `report` of pyproject.toml."
        ) from error


def scripts(settings: Settings) -> str:
    """Vega, Vega-Lite and Vega-Embed in one script, which sets `vegaEmbed`."""

    def make() -> str:
        import vl_convert

        bundle: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub lacks the default
        return bundle

    return _kept(settings, f"vega-{versions()['vl-convert-python']}.js", make)


def specifications(settings: Settings, pages: Pages, measures: Measures) -> dict[str, Any]:
    """`<page>/<visual>` -> the specification of its chart."""

    def make() -> str:
        from lakehouse.report import charts

        return json.dumps(charts.specifications(pages, measures), separators=(",", ":"), sort_keys=True)

    digest = hashlib.sha256(f"{versions()['altair']}\0{pages!r}\0{measures!r}".encode())
    for name in _MADE_BY:
        digest.update(Path(__file__).with_name(name).read_bytes())
    found: dict[str, Any] = json.loads(_kept(settings, f"charts-{digest.hexdigest()[:16]}.json", make))
    return found


def _kept(settings: Settings, name: str, make: Callable[[], str]) -> str:
    """The content of a file of the folder, which is made if it is absent; older ones of its kind are removed."""
    folder = settings.home / FOLDER
    file = folder / name
    if file.is_file():
        return file.read_text(encoding="utf-8")
    content: str = make()
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{name}.{os.getpid()}"
    part.write_text(content, encoding="utf-8")
    part.replace(file)
    kind = name.partition("-")[0]
    for other in folder.glob(f"{kind}-*"):
        if other != file:
            other.unlink(missing_ok=True)
    return content
