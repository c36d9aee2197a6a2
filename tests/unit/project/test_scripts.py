"""`make lint` reads every program of the repository, and every shell script stops at the first failure."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from lakehouse.settings import PROJECT_DIR

MAKEFILE = (PROJECT_DIR / "Makefile").read_text()


def tracked() -> dict[Path, bool]:
    """Every file, and whether it is executable."""
    listed = subprocess.run(["git", "ls-files", "--stage"], cwd=PROJECT_DIR, capture_output=True, text=True, check=True)
    fields = [line.split(maxsplit=3) for line in listed.stdout.splitlines()]
    return {PROJECT_DIR / name: mode == "100755" for mode, _, _, name in fields if (PROJECT_DIR / name).exists()}


PROGRAMS = [path for path, executable in tracked().items() if executable]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.relative_to(PROJECT_DIR).as_posix())
def test_a_program_is_linted_and_stops_at_the_first_failure(program: Path) -> None:
    (pattern,) = re.findall(r"git grep -lE '(.+)'\)", MAKEFILE)
    linted = re.compile(pattern.replace("\\#", "#").replace("$$", "$"), re.MULTILINE)

    text = program.read_text(encoding="utf-8")

    assert text.startswith("#!/")
    assert linted.search(text) or program.suffix == ".py", "`make lint` does not find it"
    assert re.search(r"^set -E?eu(o pipefail)?$", text, re.MULTILINE) or program.suffix == ".py"


@pytest.mark.parametrize("installer", ["bootstrap.py", "docker/python-env"])
def test_uv_is_installed_by_its_hash(installer: str) -> None:
    text = (PROJECT_DIR / installer).read_text(encoding="utf-8")

    assert re.search(r"pip\W+install.*--require-hashes", text)
    assert "uv.txt" in text
    assert not re.search(r"uv==\d", text)
