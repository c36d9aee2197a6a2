"""A model's folder -> what Microsoft's Tabular Object Model says: whether it reads it, and what it would write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from tools.powerbi.checks.toolbox import HERE, PYTHON_PACKAGES


class Refused(Exception):
    """TOM does not read the model: its own message."""


class Tom:
    """A running process with .NET; use it in a `with` statement. Reading a model takes some milliseconds."""

    def __enter__(self) -> Tom:
        environment = os.environ | {"PYTHONPATH": str(PYTHON_PACKAGES)}
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "tom_worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.communicate()

    def read(self, project: Path) -> dict[str, Any]:
        """What is in the model, as tom_worker.described says it. Raises Refused."""
        with tempfile.TemporaryDirectory() as folder:
            return self._asked(project, Path(folder))

    def findings(self, project: Path) -> list[str]:
        """What is wrong with the model: TOM's refusal, or the files that it would write differently."""
        with tempfile.TemporaryDirectory() as folder:
            try:
                self._asked(project, Path(folder))
            except Refused as refusal:
                return [str(refusal)]
            written, rewritten = _texts(definition_of(project)), _texts(Path(folder))
        differing = sorted(
            path for path in written.keys() | rewritten.keys() if written.get(path) != rewritten.get(path)
        )
        return [f"{path}: TOM writes it differently" for path in differing]

    def _asked(self, project: Path, rewritten: Path) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        request = {"folder": str(definition_of(project)), "rewrite_into": str(rewritten)}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise Refused(answer["error"])
        model: dict[str, Any] = answer["model"]
        return model


def definition_of(project: Path) -> Path:
    """The folder of the TMDL files."""
    return next(project.glob("*.SemanticModel")) / "definition"


def _texts(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.tmdl")}
