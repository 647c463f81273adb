"""Pages of resources and verdicts against a gateway whose policy and calls are known, in a real browser."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from browser_pages import ConsoleOfRun, console_of, overflow, watched
from mcp_clients import connect
from playwright.async_api import Browser, Locator, Page, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).parents[2]
PROXY = "default/mock-mcp-server"
PATH = f"/proxies/{PROXY}"
PAGES = ["/", PATH, f"{PATH}/catalogue", f"/explain?proxy={PROXY}&name=delete_user"]
#: Next to the policy of the quickstart: whose YAML is in Git, and which narrows an argument.
POLICY = """
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata:
  name: verdicts
  annotations: {ostiary.dev/source: "https://git.example/policies/verdicts.yaml"}
spec:
  targetRefs: [{kind: MCPProxy, name: mock-mcp-server}]
  access:
    rules:
    - {name: see-all, effect: Allow, tools: {verbs: [List]}}
    - {name: read, effect: Allow, tools: {names: ["get_*"]}}
    - {name: hidden-products, effect: Deny, tools: {names: [get_products]}}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def verdicts(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ConsoleOfRun]:
    """A console after three calls of get_users, and two of delete_user that are denied."""
    folder = tmp_path_factory.mktemp("verdicts") / "quickstart"
    shutil.copytree(ROOT / "examples" / "quickstart", folder)
    for each in folder.glob("*polic*"):
        each.unlink()
    (folder / "verdicts.yaml").write_text(POLICY)
    async with console_of(browser, folder) as console:
        async with connect(console.run.url, era="legacy") as client:
            await client.list_tools()
            for _ in range(3):
                await client.call_tool("get_users", {})
            for _ in range(2):
                assert (await client.call_tool("delete_user", {"user_id": 1})).is_error
        yield console


async def _twin(console: ConsoleOfRun, path: str) -> Any:
    async with aiohttp.ClientSession() as http, http.get(f"{console.url}{path}", headers=console.bearer) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def _open(page: Page, console: ConsoleOfRun, path: str, heading: str) -> None:
    await page.goto(f"{console.url}{path}")
    await expect(page.get_by_role("heading", level=1)).to_have_text(heading)


def _row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name, exact=False))


async def test_the_proxy_is_ready_and_each_replica_runs_it(browser: Browser, verdicts: ConsoleOfRun) -> None:
    async with watched(browser, session=verdicts.session) as page:
        await _open(page, verdicts, "/", "Proxies")
        await page.get_by_role("link", name=PROXY).click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(PROXY)
        await expect(_row(page, "Programmed")).to_contain_text("True")
        replica = page.get_by_role("region", name="What each replica says").locator("tbody tr")
        await expect(replica).to_have_count(1)
        await expect(replica).to_contain_text("runs it")
        await expect(page.get_by_role("link", name="https://git.example/policies/verdicts.yaml")).to_be_visible()
    twin = await _twin(verdicts, f"{PATH}.json")
    assert [each["state"] for each in twin["replicas"]] == ["Runs"]


async def test_a_client_is_connected_by_what_the_page_shows(browser: Browser, verdicts: ConsoleOfRun) -> None:
    async with watched(browser, session=verdicts.session, javascript=False) as page:
        await _open(page, verdicts, PATH, PROXY)
        command = page.locator("pre").first
        await expect(command).to_have_text(f"claude mcp add --transport http mock-mcp-server {verdicts.run.url}")
        await expect(page.get_by_role("button", name="Copy")).to_have_count(0)
        await page.get_by_text("Cursor", exact=True).click()
        await expect(page.get_by_text(".cursor/mcp.json", exact=False).first).to_be_visible()


async def test_the_catalogue_shows_what_the_caller_may_do_and_what_the_server_lists(
    browser: Browser, verdicts: ConsoleOfRun
) -> None:
    async with watched(browser, session=verdicts.session) as page:
        await _open(page, verdicts, f"{PATH}/catalogue", "Catalogue")
        await expect(_row(page, "get_users")).to_contain_text("sees and may use it")
        await expect(_row(page, "delete_user")).to_contain_text("sees it, and may not use it")
        await expect(_row(page, "get_products")).to_contain_text("neither sees nor may use it")
        await page.get_by_label("Show").select_option("Hidden")
        await page.get_by_role("button", name="Show").first.click()
        await expect(_row(page, "get_users")).to_have_count(0)
    async with connect(verdicts.run.url, era="legacy") as client:
        listed = {tool.name for tool in (await client.list_tools()).tools}
    rows = (await _twin(verdicts, f"{PATH}/catalogue.json?show=Seen&kind=tools"))["names"]["rows"]
    assert {each["name"] for each in rows} == listed


async def test_a_recent_denial_leads_to_its_explanation_by_keyboard_alone(
    browser: Browser, verdicts: ConsoleOfRun
) -> None:
    async with watched(browser, session=verdicts.session) as page:
        await _open(page, verdicts, "/explain", "Explain")
        denial = page.get_by_role("region", name="Recent denials").get_by_role("link", name="Call delete_user")
        await denial.focus()
        await page.keyboard.press("Enter")
        decision = page.get_by_role("region", name="Decision")
        await expect(decision).to_contain_text("Deny")
        await expect(decision).to_contain_text("no rule allows it")
        await expect(page.get_by_role("region", name="What would allow it")).to_contain_text("delete_user")
    (denied,) = (await _twin(verdicts, "/explain.json"))["denials"]
    assert (denied["name"], denied["count"]) == ("delete_user", 2)


async def test_a_form_explains_a_call_without_javascript(browser: Browser, verdicts: ConsoleOfRun) -> None:
    async with watched(browser, session=verdicts.session, javascript=False) as page:
        await _open(page, verdicts, "/explain", "Explain")
        await page.get_by_label("Proxy").fill(PROXY)
        await page.get_by_label("Name or URI").fill("get_products")
        await page.get_by_role("button", name="Explain").click()
        decides = page.locator("tr.decides")
        await expect(decides).to_contain_text("hidden-products")
        await expect(page.get_by_role("link", name="https://git.example/policies/verdicts.yaml").first).to_be_visible()
        assert page.url == f"{verdicts.url}/explain"


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("dark", [False, True])
async def test_pages_fit_a_narrow_window(browser: Browser, verdicts: ConsoleOfRun, path: str, dark: bool) -> None:
    async with watched(browser, session=verdicts.session, width=320, dark=dark) as page:
        await page.goto(f"{verdicts.url}{path}")
        assert await overflow(page) == 0
