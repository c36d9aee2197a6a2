"""A project's report -> what Microsoft's validator of PBIR finds: roles, visual types, formatting, theme, layout."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tools.powerbi.checks.toolbox import NODE_PACKAGES

PROGRAM = NODE_PACKAGES / "@microsoft" / "powerbi-report-authoring-cli" / "dist" / "cli.js"


def findings(project: Path) -> list[str]:
    """Errors and warnings, one a line. Without its look at schemas, which asks the internet: schemas.py does that."""
    (start,) = project.glob("*.pbip")
    command = ["node", str(PROGRAM), "validate", "--no-schema", str(start)]
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    if "error" in answer:
        return [answer["error"]["message"]]
    return [
        f"{code}: {item['message']}"
        for code, group in answer["data"].get("diagnostics", {}).items()
        for item in group["items"]
    ]
