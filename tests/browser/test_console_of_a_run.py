"""The console of `ostiary run`: its link opens it once, and its pages need nothing but HTML."""

import re

import aiohttp
import pytest
from browser_pages import ConsoleOfRun, overflow, watched
from playwright.async_api import Browser, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_link_opens_the_console_once(browser: Browser, console: ConsoleOfRun) -> None:
    link = console.run.console_link  # the fixture has opened it
    async with watched(browser, session=console.session) as page:
        await page.goto(console.url)
        await expect(page.get_by_role("heading", level=1)).to_have_text("Proxies")
        assert "once" not in page.url
    async with watched(browser) as page:
        response = await page.goto(link)
        assert response is not None
        assert response.status == 401


async def test_the_first_page_lists_the_proxy_and_its_twin_says_the_same(
    browser: Browser, console: ConsoleOfRun
) -> None:
    async with watched(browser, session=console.session) as page:
        await page.goto(console.url)
        row = page.get_by_role("row", name="default/mock-mcp-server")
        await expect(row).to_contain_text("Ready")
        await expect(row).to_contain_text(console.run.url)
    async with aiohttp.ClientSession() as http, http.get(f"{console.url}/index.json", headers=console.bearer) as twin:
        assert [each["identity"] for each in (await twin.json())["proxies"]["rows"]] == ["default/mock-mcp-server"]


async def test_a_page_works_without_javascript(browser: Browser, console: ConsoleOfRun) -> None:
    async with watched(browser, session=console.session, javascript=False) as page:
        await page.goto(console.url)
        await page.get_by_label("Search").fill("nothing-has-this-name")
        await page.get_by_role("button", name="Show").click()
        await expect(page.locator(".empty")).to_have_attribute("data-reason", "FilteredOut")


@pytest.mark.parametrize("dark", [False, True])
async def test_a_page_fits_a_narrow_window(browser: Browser, console: ConsoleOfRun, dark: bool) -> None:
    async with watched(browser, session=console.session, width=320, dark=dark) as page:
        await page.goto(console.url)
        assert await overflow(page) == 0


async def test_a_page_is_reached_by_keyboard_alone(browser: Browser, console: ConsoleOfRun) -> None:
    async with watched(browser, session=console.session) as page:
        await page.goto(console.url)
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await expect(page.get_by_label("Search")).to_be_focused()
        await page.keyboard.type("mock")
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(re.compile(r"/\?q=mock"))
