"""`make powerbi`: write powerbi/ again."""

from __future__ import annotations

import sys

from lakehouse.settings import PROJECT_DIR
from tools.powerbi.project import project_files, write_project

files = project_files(PROJECT_DIR)
write_project(files, PROJECT_DIR / "powerbi")
sys.stdout.write(f"powerbi/: {len(files)} files\n")
