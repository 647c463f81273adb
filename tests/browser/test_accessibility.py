"""Each page of the console keeps the rules of axe, in light and dark, and fits a narrow window."""

from pathlib import Path

import pytest
from browser_pages import ConsoleOfRun, overflow, watched
from node_packages import installed_package
from playwright.async_api import Browser

from ostiary_operator.console.pages import PAGES

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.node]

PROXY = {"{namespace}": "default", "{name}": "mock-mcp-server"}
PATHS = [page.path for page in PAGES]


@pytest.fixture(scope="module")
def axe() -> str:
    """The rules, as a script."""
    home = installed_package(Path(__file__).parents[1] / "accessibility")
    return (home / "node_modules" / "axe-core" / "axe.min.js").read_text()


def filled(path: str) -> str:
    """The path of a page with the names of the proxy that is there."""
    for parameter, value in PROXY.items():
        path = path.replace(parameter, value)
    return path


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("path", PATHS)
async def test_a_page_keeps_the_rules_of_accessibility(
    path: str, dark: bool, browser: Browser, console: ConsoleOfRun, axe: str
) -> None:
    async with watched(browser, session=console.session, dark=dark, width=320 if dark else 1280) as page:
        response = await page.goto(f"{console.url}{filled(path)}")
        assert response is not None
        assert response.status == 200
        assert await overflow(page) == 0
        await page.evaluate(axe)
        found = await page.evaluate("axe.run().then(result => result.violations)")
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []
