"""A page -> a screenshot by the system's Chromium, once the page shows what it should."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

from lakehouse.errors import LakehouseError

DESKTOP = (1280, 800)
PHONE = (390, 844)
MILLISECONDS = 60_000  # that a page may take to show what is waited for
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser. Raises LakehouseError where there is none."""
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        raise LakehouseError("Chromium takes the screenshots: install the package chromium.")
    with sync_playwright() as playwright:
        # Its sandbox needs rights that root in a container does not have; only pages of this project are opened.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--font-render-hinting=none"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def page_of(browser: Browser, size: tuple[int, int] = DESKTOP, scale: int = 1) -> Iterator[Page]:
    """A page of a new session. When the block ends without another fault, an error in the page's console is one.

    Raises LakehouseError.
    """
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        device_scale_factor=scale,
        color_scheme="light",
        reduced_motion="reduce",
    )
    context.set_default_timeout(MILLISECONDS)
    try:
        yield context.new_page()
    finally:
        context.close()
