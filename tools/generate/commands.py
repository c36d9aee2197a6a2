"""Command line, Makefile, settings -> docs/commands.md, docs/make.md, docs/settings.md."""

from __future__ import annotations

import re
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import typer
from pydantic.fields import FieldInfo

from lakehouse.settings import PROJECT_DIR, Settings
from tools.generate.markdown import one_line, table


def commands_page() -> str:
    """The page with a section for every command that is not hidden."""
    from lakehouse.cli import app

    lines = [
        "# Commands",
        "",
        "`make setup` installs `lakehouse` into `.venv/bin`: write `.venv/bin/lakehouse`, or run `source "
        ".venv/bin/activate` once per shell. [make.md](make.md) lists the make targets.",
        "",
    ]
    for name, command in typer.main.get_group(app).commands.items():
        if command.hidden:
            continue
        lines += [f"## `lakehouse {name}`", "", *_help(command.help or ""), ""]
        hints = get_type_hints(command.callback, include_extras=True)
        rows = [_parameter(parameter, *get_args(hints[parameter.name or ""])) for parameter in command.params]
        if rows:
            lines += [*table(("argument, option", "values", "default", "meaning"), rows), ""]
    return "\n".join(lines)


def _help(text: str) -> list[str]:
    """A command's help as Markdown: its examples (indented lines) as code."""
    return [line if not line.startswith("    ") else f"    {line.strip()}" for line in text.strip().splitlines()]


def _parameter(parameter: Any, kind: Any, declared: Any) -> tuple[str, str, str, str]:
    is_option = parameter.param_type_name == "option"
    label = "/".join(parameter.opts) if is_option else parameter.name.upper()
    return f"`{label}`", _values(kind, declared), _default(parameter), declared.help or ""


def _values(kind: Any, declared: Any) -> str:
    """The valid values, unless any text is valid. Read from the annotation, as typer's own types change."""
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    if isinstance(kind, type) and issubclass(kind, Enum):
        choices = tuple(kind)
    if choices:
        return ", ".join(f"`{_plain(choice)}`" for choice in choices)
    if declared.formats == ["%Y-%m-%d"]:
        return "YYYY-MM-DD"
    if declared.max is not None:
        return f"{declared.min} to {declared.max}"
    if declared.min is not None:
        return f"from {declared.min}"
    return {int: "a whole number", float: "a number"}.get(kind, "")


def _default(parameter: Any) -> str:
    is_flag = getattr(parameter, "is_flag", False)
    return "" if is_flag or parameter.default is None else f"`{_plain(parameter.default)}`"


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.date().isoformat()
    return str(value.value if isinstance(value, Enum) else value)


def make_page(makefile: Path) -> str:
    """A table per group of targets, as bare `make` prints them, then the variables that people may set.

    The Makefile describes a variable as `## NAME  meaning`. A target takes the variables of its recipe and those of the
    targets that it runs first.
    """
    text = makefile.read_text(encoding="utf-8")
    variables = dict(re.findall(r"^## ([A-Z_]+) +(.+)$", text, re.MULTILINE))
    targets = _targets(text)
    used = {name: [v for v in variables if f"$({v})" in recipe] for name, (_, recipe) in targets.items()}
    lines = [
        "# Make targets",
        "",
        "Bare `make` prints this list. A target that needs the programs in `.venv` creates it first.",
        "",
    ]
    for group in re.split(r"^##@ ", text, flags=re.MULTILINE)[1:]:
        rows = []
        for name, meaning in re.findall(r"^([a-z-]+):[^\n]*?## (.+)$", group, re.MULTILINE):
            own = [v for v in variables if v in used[name] or any(v in used[first] for first in targets[name][0])]
            rows.append((f"`make {name}`", ", ".join(f"`{v}`" for v in own), meaning))
        if rows:
            lines += [f"## {group.splitlines()[0]}", "", *table(("target", "takes", "what it does"), rows), ""]
    lines += [
        "## Variables",
        "",
        "Set one with `make TARGET NAME=value`; a value with spaces needs single quotes. Make and a shell read it once "
        'more: in `QUERY` write `\\$$` for `$` and `\\"` for `"`, or use `.venv/bin/lakehouse sql`.',
        "",
        *table(("variable", "meaning"), [(f"`{name}`", one_line(meaning)) for name, meaning in variables.items()]),
        "",
    ]
    return "\n".join(lines)


def _targets(makefile: str) -> dict[str, tuple[list[str], str]]:
    """Target -> the targets that it runs first (even if only sometimes), and the text of its rule."""
    rules = re.findall(r"^([a-z-]+):([^#\n]*)[^\n]*\n((?:\t[^\n]*\n|\n(?=\t))*)", makefile, re.MULTILINE)
    names = {name for name, _, _ in rules}
    return {
        name: ([word for word in re.findall(r"[a-z-]+", first) if word in names], first + recipe)
        for name, first, recipe in rules
    }


def settings_page() -> str:
    """The page with one table of all settings."""
    rows = [
        (f"`LAKEHOUSE_{name.upper()}`", _default_of_setting(field), field.description or "")
        for name, field in Settings.model_fields.items()
        if not field.exclude
    ]
    return "\n".join(
        [
            "# Settings",
            "",
            "Every setting is an environment variable. A file `.env` beside `pyproject.toml` is read, too; git ignores "
            "it. [lakehouse/settings.py](../lakehouse/settings.py) is the only reader and derives all paths.",
            "",
            *table(("setting", "default", "meaning"), rows),
            "",
        ]
    )


def _default_of_setting(field: FieldInfo) -> str:
    if field.default in (None, ""):
        return ""
    value = field.default
    if isinstance(value, Path):
        value = value.relative_to(PROJECT_DIR)
    return f"`{value}`"
