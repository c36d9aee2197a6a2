"""Pages in the system's Chromium -> screenshots, in few colours, with a caption below."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Browser, Page, sync_playwright

from lakehouse.errors import LakehouseError
from tools.pictures.album import keep, taken

DESKTOP = (1280, 800)
PHONE = (390, 844)
MILLISECONDS = 60_000  # that a page may take to show what is waited for
COLOURS = 256  # of a picture: a third of the size; fewer would change the colours of small marks
_STRIP = 26  # height of the caption, in pixels of a page
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser. Raises LakehouseError where there is none."""
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        raise LakehouseError("Chromium takes the screenshots: install the package chromium.")
    with sync_playwright() as playwright:
        # Its sandbox needs permissions that root in a container does not have; only pages of this project are opened.
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--font-render-hinting=none"]
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def page_of(browser: Browser, size: tuple[int, int] = DESKTOP, scale: int = 1) -> Iterator[Page]:
    """A page of a new session, on a light background, without animations."""
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


def keep_screenshot(name: str, shows: str, png: bytes, scale: int = 1) -> None:
    """A screenshot with its caption below it, in few colours. `scale`: its pixels per pixel of the page."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    strip = _STRIP * scale
    whole = Image.new("RGB", (picture.width, picture.height + strip), "#f1f5f9")
    whole.paste(picture, (0, 0))
    when = taken()
    ImageDraw.Draw(whole).text(
        (10 * scale, picture.height + strip // 2),
        f"{shows} · {when}",
        fill="#334155",
        font=ImageFont.load_default(13 * scale),
        anchor="lm",
    )
    out = io.BytesIO()
    whole.quantize(COLOURS, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    keep(f"{name}.png", shows, when, out.getvalue())
