"""`make docs`: write the pages that are not current, and print their paths."""

from __future__ import annotations

import sys

from lakehouse.settings import Settings
from tools.generate import write_pages

for path in write_pages(Settings.load()):
    sys.stdout.write(f"{path}\n")
