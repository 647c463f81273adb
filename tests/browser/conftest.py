"""One Chromium for all tests of pages, and one `ostiary run` of the quickstart for those that need no other.

Tests of this folder share one event loop: each module has `pytestmark = pytest.mark.asyncio(loop_scope="session")`.
"""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from browser_pages import ConsoleOfRun, chromium, console_of
from playwright.async_api import Browser

ROOT = Path(__file__).parents[2]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as found:
        yield found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def console(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ConsoleOfRun]:
    """The console of the quickstart."""
    folder = tmp_path_factory.mktemp("console") / "quickstart"
    shutil.copytree(ROOT / "examples" / "quickstart", folder)
    async with console_of(browser, folder) as found:
        yield found
