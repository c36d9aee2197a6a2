"""pyproject.toml -> what an installation adds beside the code: the package's metadata, and the command `lakehouse`.

    write_metadata.py PROJECT_DIR BIN_DIR PYTHON

With this script, the image needs no build backend. pip's editable install would put a path of the build into the image.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def main() -> None:
    """Write PROJECT_DIR/<name>.dist-info and one script per command into BIN_DIR."""
    project_dir, bin_dir, python = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    project = tomllib.loads((project_dir / "pyproject.toml").read_text())["project"]
    folder = project_dir / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    folder.mkdir()
    metadata = ["Metadata-Version: 2.1", f"Name: {project['name']}", f"Version: {project['version']}"]
    metadata += [f"Requires-Dist: {requirement}" for requirement in project["dependencies"]]
    (folder / "METADATA").write_text("\n".join(metadata) + "\n")
    bin_dir.mkdir(parents=True, exist_ok=True)
    for command, target in project["scripts"].items():
        module, function = target.split(":")
        script = bin_dir / command
        script.write_text(f"#!{python}\nimport sys\nfrom {module} import {function}\n\nsys.exit({function}())\n")
        script.chmod(0o755)


if __name__ == "__main__":
    main()
