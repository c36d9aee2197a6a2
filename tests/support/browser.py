"""A headless Chromium of this machine, driven by Playwright; and the figures that lie in a report's file."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Root needs --no-sandbox: Chromium refuses to start otherwise. The page is our own.
ARGUMENTS = ["--no-sandbox"] if os.geteuid() == 0 else []


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; without one the test is skipped, and fails in CI, where .ci/chromium installs one."""
    with sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, NAMES)), playwright.chromium.executable_path)
        if not Path(found).exists():
            reason = f"There is no Chromium: none of {', '.join(NAMES)} is on the PATH (.ci/chromium installs one)."
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


class Reader:
    """A person with a browser: opens the report, chooses, and sees figures.

    `complaints`: what the browser wrote to its console as an error or warning. `requests`: addresses that it asked for.
    """

    def __init__(self, page: Page, file: Path) -> None:
        self.page, self._file = page, file
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def open(self, address: str = "") -> None:
        """Open the report from the disk, at a page and with filters: `sales/period=2018`."""
        self.page.goto("about:blank")
        self.page.goto(f"{self._file.as_uri()}#{address}")
        self.page.wait_for_selector("body[data-shown]")

    def then(self, *actions: Any) -> None:
        """Do something that shows another page or choice, and wait until it is drawn."""
        before = self.page.get_attribute("body", "data-shown")
        for action in actions:
            action()
        self.page.wait_for_selector(f"body:not([data-shown={json.dumps(before)}])")

    def text(self, selector: str) -> str:
        """The text of an element as it is shown."""
        return self.page.inner_text(selector).strip()

    @property
    def addresses_outside(self) -> list[str]:
        """What was asked for beside the file itself and what is within it."""
        own = (self._file.as_uri(), "data:", "blob:", "about:")
        return [address for address in self.requests if not address.startswith(own)]


def content_of(html: str) -> dict[str, Any]:
    """What a report's file knows: definitions, pages, and `cubes` with their columns by name."""
    block = re.search(r'<script type="application/json" id="report">(.*?)</script>', html, re.DOTALL)
    assert block is not None, "there is no report in this text"
    content: dict[str, Any] = json.loads(block[1])
    for cube in content["cubes"]:
        packed = re.search(rf'<script type="text/plain" id="{cube["block"]}">([^<]*)</script>', html)
        assert packed is not None, cube["block"]
        columns = json.loads(gzip.decompress(base64.b64decode(packed[1])))
        cube["columns"] = dict(zip([*cube["dimensions"], *cube["measures"]], columns, strict=True))
    return content


def total_of(html: str, measure: str) -> float:
    """An additive figure of all data, summed from the smallest cube that has it."""
    cubes = [cube for cube in content_of(html)["cubes"] if measure in cube["measures"]]
    smallest = min(cubes, key=lambda cube: cube["rows"])
    return float(sum(value or 0 for value in smallest["columns"][measure]))
