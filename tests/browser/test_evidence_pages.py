"""Pages of traffic against calls whose numbers are known, in a real browser."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from browser_pages import ConsoleOfRun, console_of, overflow, watched
from mcp import MCPError
from mcp_clients import connect
from playwright.async_api import Browser, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).parents[2]
PROXY = "default/mock-mcp-server"
PAGES = ["/traffic", "/activity", "/calls", "/would-deny", "/limits"]

#: A policy in Shadow mode, and a limit, next to the policy of the quickstart.
POLICIES = """
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata:
  name: rehearsal
spec:
  mode: Shadow
  targetRefs: [{kind: MCPProxy, name: mock-mcp-server}]
  access:
    rules:
    - {name: no-products, effect: Deny, tools: {names: [get_products]}}
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata:
  name: budget
spec:
  targetRefs: [{kind: MCPProxy, name: mock-mcp-server}]
  limits: [{name: daily, tools: {names: [get_users]}, per: [Principal], requests: 100, window: 24h}]
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def traffic(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ConsoleOfRun]:
    """A console after these calls: 3 get_users, 2 get_products, 1 delete_user that is denied."""
    folder = tmp_path_factory.mktemp("evidence") / "quickstart"
    shutil.copytree(ROOT / "examples" / "quickstart", folder)
    (folder / "rehearsal.yaml").write_text(POLICIES)
    async with console_of(browser, folder) as console:
        async with connect(console.run.url, era="legacy") as client:
            for _ in range(3):
                await client.call_tool("get_users", {})
            for _ in range(2):
                await client.call_tool("get_products", {})
            refused = await client.call_tool("delete_user", {"user_id": 1})
            assert refused.is_error
        yield console


async def twin(console: ConsoleOfRun, path: str) -> Any:
    async with aiohttp.ClientSession() as http, http.get(f"{console.url}{path}", headers=console.bearer) as response:
        assert response.status == 200
        return await response.json()


def used(found: list[dict[str, Any]]) -> dict[str, int]:
    return {each["name"]: each["calls"] for each in found}


async def test_the_totals_are_those_of_the_calls_that_were_made(browser: Browser, traffic: ConsoleOfRun) -> None:
    content = (await twin(traffic, "/traffic.json"))["content"]
    numbers, methods = content["numbers"], used(content["methods"])

    assert used(content["names"]["tools"]) == {"get_users": 3, "get_products": 2, "delete_user": 1}
    assert methods["tools/call"] == 6
    assert (numbers["errors"], numbers["denied"]) == (1, 1)
    assert numbers["calls"] == sum(methods.values()) == sum(each["calls"] for each in content["buckets"])
    assert sum(each["calls"] for each in content["outcomes"]) == numbers["calls"]
    async with watched(browser, session=traffic.session) as page:
        await page.goto(f"{traffic.url}/traffic")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Traffic")
        await expect(page.locator("#total-calls")).to_have_text(str(numbers["calls"]))
        await expect(page.locator("#total-denied")).to_have_text("1")
        await expect(page.get_by_role("img", name="Calls by outcome")).to_be_visible()
        await expect(page.get_by_role("region", name="Tools").get_by_role("row", name="get_users")).to_contain_text("3")


async def test_the_chart_has_a_table_with_the_same_numbers(browser: Browser, traffic: ConsoleOfRun) -> None:
    async with watched(browser, session=traffic.session, javascript=False) as page:
        await page.goto(f"{traffic.url}/traffic")
        await page.get_by_text("Table: Calls by method").click()
        table = page.get_by_role("region", name="Table: Calls by method")
        headings = await table.get_by_role("columnheader").all_inner_texts()
        cells = await table.get_by_role("row").all_inner_texts()

    column = headings.index("tools/call")
    assert sum(int(row.split("\t")[column]) for row in cells[1:]) == 6


async def test_the_tool_that_was_called_is_under_both_headings_of_its_mcp(
    browser: Browser, traffic: ConsoleOfRun
) -> None:
    content = (await twin(traffic, "/activity.json"))["content"]
    assert used(content["primitives"]) == {"get_users": 3, "get_products": 2, "delete_user": 1}
    assert {each["proxy"] for each in content["primitives"]} == {PROXY}
    assert "initialize" in {each["method"] for each in content["nameless"]}
    async with watched(browser, session=traffic.session) as page:
        await page.goto(f"{traffic.url}/activity")
        for heading in ("Primitives traffic", "Most used primitives"):
            await expect(page.get_by_role("heading", level=2, name=heading)).to_be_visible()
            await expect(page.get_by_role("region", name=heading).get_by_role("row", name="get_users")).to_be_visible()
        apart = page.get_by_role("region", name="Without a name").get_by_role("row", name=f"{PROXY} initialize")
        await expect(apart).to_be_visible()


async def test_the_denied_call_says_which_rule_denied_it(browser: Browser, traffic: ConsoleOfRun) -> None:
    async with watched(browser, session=traffic.session, javascript=False) as page:
        await page.goto(f"{traffic.url}/calls")
        await page.get_by_label("Outcome").select_option("denied")
        await page.get_by_role("button", name="Show").click()
        row = page.get_by_role("row", name="delete_user")
        await expect(row).to_contain_text("no-deletions of policy default/quickstart")
        await expect(row.get_by_role("link", name="Explain")).to_be_visible()


async def test_a_call_appears_in_the_open_page_as_soon_as_it_is_made(browser: Browser, traffic: ConsoleOfRun) -> None:
    async with watched(browser, session=traffic.session) as page:
        await page.goto(f"{traffic.url}/calls?q=search_products")
        await expect(page.locator(".empty")).to_have_attribute("data-reason", "FilteredOut")
        await expect(page.get_by_text("Live: new calls come in on top")).to_be_visible()
        async with connect(traffic.run.url, era="modern") as client:
            await client.call_tool("search_products", {"query": "<b>lamp</b>"})
        await expect(page.get_by_role("row", name="search_products")).to_be_visible()
        await expect(page.locator(".empty")).to_have_count(0)

        await page.get_by_role("button", name="Pause").click()
        async with connect(traffic.run.url, era="modern") as client:
            await client.call_tool("search_products", {"query": "chair"})
        await page.get_by_role("button", name="Resume").click()
        await expect(page.get_by_role("row", name="search_products")).to_have_count(2)


async def test_what_a_shadow_policy_would_deny_comes_with_its_rule(browser: Browser, traffic: ConsoleOfRun) -> None:
    content = (await twin(traffic, "/would-deny.json"))["content"]
    assert (content["count"], content["rules"]) == (2, [{"name": "default/rehearsal: no-products", "count": 2}])
    async with watched(browser, session=traffic.session) as page:
        await page.goto(f"{traffic.url}/would-deny")
        await expect(page.get_by_role("region", name="By name").get_by_role("row", name="get_products")).to_be_visible()
        await expect(page.get_by_text("a Deny rule matches")).to_be_visible()


async def test_the_limit_shows_what_its_caller_has_used(browser: Browser, traffic: ConsoleOfRun) -> None:
    (row,) = (await twin(traffic, "/limits.json"))["rows"]["rows"]
    assert (row["policy"], row["limit"], row["used"], row["amount"]) == ("default/budget", "daily", 3, 100)
    async with watched(browser, session=traffic.session) as page:
        await page.goto(f"{traffic.url}/limits")
        await expect(page.get_by_role("row", name="daily")).to_contain_text("97")


@pytest.mark.parametrize("path", PAGES)
async def test_each_page_fits_a_narrow_dark_window(browser: Browser, traffic: ConsoleOfRun, path: str) -> None:
    async with watched(browser, session=traffic.session, width=320, dark=True) as page:
        response = await page.goto(f"{traffic.url}{path}")
        assert response is not None
        assert response.status == 200
        assert await overflow(page) == 0


async def test_a_name_that_an_agent_invents_is_text_in_the_page_and_in_live_rows(
    browser: Browser, traffic: ConsoleOfRun
) -> None:
    hostile = "<img src=x onerror=document.title='taken'>\u202egpj"
    async with watched(browser, session=traffic.session) as page:
        await page.goto(f"{traffic.url}/calls?q=onerror")
        await expect(page.get_by_text("Live: new calls come in on top")).to_be_visible()
        async with connect(traffic.run.url, era="legacy") as client:
            with contextlib.suppress(MCPError):
                await client.call_tool(hostile, {})
        row = page.get_by_role("row", name="onerror")
        await expect(row).to_contain_text("<img src=x")
        await page.reload()
        await expect(row).to_contain_text("\\u{202e}gpj")
        assert await page.title() == "Calls - Ostiary"
        assert await page.locator("main img").count() == 0


async def test_calls_are_filtered_and_paused_by_keyboard_alone(browser: Browser, traffic: ConsoleOfRun) -> None:
    async with watched(browser, session=traffic.session) as page:
        await page.goto(f"{traffic.url}/calls")
        await page.get_by_label("Search").focus()
        await page.keyboard.type("delete_user")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("row", name="delete_user")).to_have_count(1)
        await page.get_by_role("button", name="Pause").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_have_text("Paused")
        await expect(page.get_by_role("button", name="Resume")).to_be_focused()
