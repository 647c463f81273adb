"""Pictures of pages for the documentation, taken by the tests that use these pages.

    await picture(page, "traffic")

With WRITE_PICTURES=1 it is written to `docs/images/console`; else it is only checked that the picture is there.
"""

import os
from pathlib import Path

from playwright.async_api import Page

FOLDER = Path(__file__).parents[2] / "docs" / "images" / "console"
VIEWPORT_WIDTH = 1120
_MOST_HEIGHT = 860
_MOST_BYTES = 250_000


async def picture(page: Page, name: str, *, height: int = _MOST_HEIGHT) -> None:
    """Take the picture of the beginning of a page."""
    await page.set_viewport_size({"width": VIEWPORT_WIDTH, "height": height})
    taken = await page.screenshot(animations="disabled", caret="hide")
    file = FOLDER / f"{name}.png"
    if os.environ.get("WRITE_PICTURES"):
        FOLDER.mkdir(parents=True, exist_ok=True)
        file.write_bytes(taken)
    assert file.exists(), f"take it with: WRITE_PICTURES=1 pytest {os.environ.get('PYTEST_CURRENT_TEST', '')}"
    assert len(taken) < _MOST_BYTES, "choose less of the page"
