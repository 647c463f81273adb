"""What agents and browsers send is text on every page: nothing of it runs, and what cannot be seen is shown."""

import base64
from urllib.parse import quote

import aiohttp
import pytest
from browser_pages import ConsoleOfRun, watched
from playwright.async_api import Browser, expect

from ostiary_operator.console.pages import PAGES

pytestmark = pytest.mark.asyncio(loop_scope="session")

MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script>'\"--></title>{{7*7}}"
NAMES = (MARKUP, "pay\u202egnp.exe\u200b", "\x1b[2Jred\x00", "x" * 1000)
PATHS = [page.path.replace("{namespace}", "default").replace("{name}", "mock-mcp-server") for page in PAGES]
FIELDS = ("q", "proxy", "namespace", "method", "outcome", "range", "as", "tool", "name", "page", "claims")


async def call(http: aiohttp.ClientSession, url: str, name: str) -> None:
    """Call a tool of this name, as any agent can."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": name, "arguments": {}, "_meta": meta}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": f"=?base64?{base64.b64encode(name.encode()).decode()}?=",
    }
    async with http.post(url, json=body, headers=headers) as response:
        await response.read()


async def test_a_name_that_an_agent_makes_up_is_text_on_every_page(browser: Browser, console: ConsoleOfRun) -> None:
    async with aiohttp.ClientSession() as agent:
        for name in NAMES:
            await call(agent, console.run.url, name)
    async with watched(browser, session=console.session) as page:
        page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        for path in PATHS:
            await page.goto(f"{console.url}{path}")
            assert await page.locator("img").count() == 0
            assert await page.locator("script").count() == 1
            shown = await page.content()
            assert "\u202e" not in shown
            assert "\u200b" not in shown
        await page.goto(f"{console.url}/calls")
        for text in ("pay\\u{202e}gnp.exe\\u{200b}", "<img src=x onerror=alert(1)>", "\\u{1b}[2Jred\\u{0}"):
            await expect(page.locator("main")).to_contain_text(text)


@pytest.mark.parametrize("path", PATHS)
async def test_a_parameter_of_a_page_is_text(path: str, browser: Browser, console: ConsoleOfRun) -> None:
    async with watched(browser, session=console.session) as page:
        page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        for field in FIELDS:
            response = await page.goto(f"{console.url}{path}?{field}={quote(MARKUP)}")
            assert response is not None
            assert response.status in {200, 400, 404}
            assert await page.locator("img").count() == 0
            assert await page.locator("script").count() == 1
