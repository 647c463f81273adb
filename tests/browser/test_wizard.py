"""The wizard in a browser: three steps to an MCPProxy that `ostiary run` then serves."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import yaml
from browser_pages import ConsoleOfRun, console_of, overflow, watched
from documented_commands import commands
from mcp_clients import connect, eventually
from pictures import FOLDER, VIEWPORT_WIDTH, picture
from playwright.async_api import Browser, Page, expect

ROOT = Path(__file__).parents[2]
MOCK = "http://localhost:7878/mcp"
WEATHER = "http://localhost:7878/weather/mcp"

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that `ostiary run` serves: the quickstart, and whatever a test saves there."""
    made = tmp_path_factory.mktemp("wizard") / "proxies"
    shutil.copytree(ROOT / "examples" / "quickstart", made)
    return made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def run(browser: Browser, folder: Path) -> AsyncIterator[ConsoleOfRun]:
    async with console_of(browser, folder) as found:
        yield found


async def goes_on(page: Page) -> None:
    await page.get_by_role("button", name="Next").click()


async def fills_in_three_steps(page: Page, name: str) -> None:
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_label("Description").fill("A server with sample data")
    await goes_on(page)
    await page.get_by_label("A URL").check()
    await page.get_by_label("URL", exact=True).fill(MOCK)
    await goes_on(page)
    await page.get_by_label("Open: every caller").check()
    await page.get_by_role("button", name="Show the result").click()
    await expect(page.get_by_role("heading", name="Commit it")).to_be_visible()


@pytest.mark.parametrize("javascript", [True, False])
async def test_three_steps_make_a_file_that_ostiary_run_serves_at_once(
    browser: Browser, run: ConsoleOfRun, folder: Path, javascript: bool
) -> None:
    name = "with-script" if javascript else "without-script"
    async with watched(browser, session=run.session, javascript=javascript) as page:
        await page.goto(f"{run.url}/new")
        await expect(page.get_by_role("heading", level=1)).to_have_text("New proxy")
        await fills_in_three_steps(page, name)
        await expect(page.get_by_text("No problems so far")).to_be_visible()
        async with page.expect_download() as downloading:
            await page.get_by_role("button", name=f"Download {name}.yaml").click()
        download = await downloading.value
        assert download.suggested_filename == f"{name}.yaml"
        await download.save_as(folder / download.suggested_filename)
        await served(page, run, f"default/{name}")


async def served(page: Page, run: ConsoleOfRun, identity: str) -> None:
    """Wait until the console lists an MCPProxy as ready."""

    async def is_ready() -> bool:
        await page.goto(run.url)
        return await page.get_by_role("row", name=identity).locator(".state.good").count() > 0

    await eventually(is_ready)


async def test_a_mistake_keeps_the_step_and_names_line_and_field(browser: Browser, run: ConsoleOfRun) -> None:
    async with watched(browser, session=run.session) as page:
        await page.goto(f"{run.url}/new?name=tickets")
        await goes_on(page)
        await page.get_by_label("A URL").check()
        await page.get_by_label("URL", exact=True).fill("http://me:hunter2@crm.example.com/mcp")
        await goes_on(page)
        field = page.get_by_label("URL", exact=True)
        await expect(field).to_have_attribute("aria-invalid", "true")
        finding = page.get_by_role("listitem").filter(has_text="spec.servers[0].url")
        await expect(finding).to_contain_text("must not contain user information")
        await finding.get_by_role("link", name="Line 9").click()
        await expect(page.locator(".line:target")).to_contain_text("url: http://me")


async def test_only_the_fields_of_the_chosen_kind_of_server_are_shown(browser: Browser, run: ConsoleOfRun) -> None:
    async with watched(browser, session=run.session) as page:
        await page.goto(f"{run.url}/new?name=tickets&step=2")
        await expect(page.get_by_label("Port")).to_be_visible()
        await expect(page.get_by_label("Name of the resource")).to_be_hidden()
        await page.get_by_label("A server of another operator").check()
        await expect(page.get_by_label("Port")).to_be_hidden()
        await expect(page.get_by_label("Name of the resource")).to_be_visible()


async def test_what_is_copied_is_the_yaml_itself(browser: Browser, run: ConsoleOfRun) -> None:
    async with watched(browser, session=run.session) as page:
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await page.goto(f"{run.url}/new?name=tickets&place=URL&url={MOCK}&step=4")
        await page.get_by_role("button", name="Copy the YAML").click()
        await expect(page.get_by_role("button", name="Copied")).to_be_visible()
        copied = await page.evaluate("navigator.clipboard.readText()")
        assert [each["kind"] for each in yaml.safe_load_all(copied)] == ["MCPProxy", "MCPPolicy"]
        assert copied.startswith("apiVersion: ostiary.dev/v1alpha1\nkind: MCPProxy\nmetadata:\n  name: tickets\n")


async def test_yaml_is_edited_by_hand_and_judged(browser: Browser, run: ConsoleOfRun) -> None:
    async with watched(browser, session=run.session, javascript=False) as page:
        await page.goto(f"{run.url}/new?name=tickets&place=URL&url={MOCK}&step=4")
        await page.get_by_text("Edit the YAML by hand").click()
        field = page.get_by_label("YAML", exact=True).and_(page.locator("textarea"))
        await field.fill((await field.input_value()).replace("name: tickets", "name: Tickets", 1))
        await page.get_by_role("button", name="Check this text").click()
        finding = page.get_by_role("listitem").filter(has_text="metadata.name")
        await expect(finding).to_contain_text("Line 4")


async def test_an_existing_proxy_is_edited_and_its_difference_shown(browser: Browser, run: ConsoleOfRun) -> None:
    async with watched(browser, session=run.session) as page:
        await page.goto(f"{run.url}/proxies/default/mock-mcp-server")
        await page.get_by_role("link", name="Edit").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Edit default/mock-mcp-server")
        await expect(page.get_by_text("Nothing is changed yet")).to_be_visible()
        await page.get_by_label("Description").fill("Sample data")
        await page.get_by_role("button", name="Check").click()
        await expect(page.locator(".difference .added")).to_have_text("+   description: Sample data")


async def test_what_callers_of_a_proxy_used_becomes_a_policy(browser: Browser, run: ConsoleOfRun) -> None:
    async with connect(run.run.url, era="modern") as client:
        await client.call_tool("get_users", {})
    async with watched(browser, session=run.session) as page:
        await page.goto(f"{run.url}/new?name=users&place=URL&url={MOCK}&step=3")
        await page.get_by_label("What callers of a proxy used").check()
        await page.get_by_label("Proxy whose recorded use is allowed").select_option("default/mock-mcp-server")
        await page.get_by_role("button", name="Show what was used").click()
        await expect(page.locator("#yaml")).to_contain_text("- get_users")
        await expect(page.get_by_text("No problems so far")).to_be_visible()


async def test_the_wizard_is_used_by_keyboard_alone(browser: Browser, run: ConsoleOfRun) -> None:
    async with watched(browser, session=run.session) as page:
        await page.goto(f"{run.url}/new")
        await page.get_by_label("Name", exact=True).focus()
        await page.keyboard.type("tickets")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("listitem").filter(has_text="MCP server")).to_have_attribute(
            "aria-current", "step"
        )
        await page.get_by_label("A Service").focus()
        await page.keyboard.press("ArrowDown")
        await expect(page.get_by_label("A URL")).to_be_checked()
        await page.keyboard.press("Tab")
        await page.keyboard.type(MOCK)
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("Closed: no caller")).to_be_checked()


@pytest.mark.parametrize("step", [1, 2, 3, 4])
@pytest.mark.parametrize("dark", [False, True])
async def test_a_step_fits_a_narrow_window(browser: Browser, run: ConsoleOfRun, step: int, dark: bool) -> None:
    async with watched(browser, session=run.session, width=320, dark=dark) as page:
        await page.goto(f"{run.url}/new?name=a-rather-long-name-of-a-proxy&step={step}&place=URL&url={MOCK}")
        assert await overflow(page) == 0


async def test_the_tutorial_in_pictures(browser: Browser, run: ConsoleOfRun) -> None:
    async with watched(browser, session=run.session, width=VIEWPORT_WIDTH) as page:
        await page.goto(f"{run.url}/new")
        await page.get_by_label("Name", exact=True).fill("weather")
        await page.get_by_label("Description").fill("The weather in eight cities")
        await page.get_by_role("button", name="Check").click()
        await picture(page, "new-1-name", height=760)
        await goes_on(page)
        await page.get_by_label("A URL").check()
        await page.get_by_label("URL", exact=True).fill(WEATHER)
        await picture(page, "new-2-server", height=760)
        await page.get_by_label("URL", exact=True).fill(WEATHER.replace("//", "//me:secret@"))
        await goes_on(page)
        await expect(page.get_by_role("listitem").filter(has_text="spec.servers[0].url")).to_be_visible()
        await picture(page, "new-2-mistake", height=760)
        await page.get_by_label("URL", exact=True).fill(WEATHER)
        await goes_on(page)
        await page.get_by_label("Open: every caller").check()
        await picture(page, "new-3-access", height=680)
        await page.get_by_role("button", name="Show the result").click()
        await expect(page.get_by_role("heading", name="Commit it")).to_be_visible()
        await picture(page, "new-4-commit", height=860)
        await page.goto(f"{run.url}/new?proxy=default/mock-mcp-server")
        await page.get_by_label("Description").fill("Sample data for trials")
        await page.get_by_role("button", name="Check").click()
        await expect(page.locator(".difference .added")).to_be_visible()
        await picture(page, "new-edit", height=860)


async def test_every_picture_is_on_a_page_and_says_what_it_shows() -> None:
    shown = {
        name: words
        for page in sorted((ROOT / "docs").rglob("*.md"))
        for words, name in re.findall(r"!\[([^]]*)\]\([^)]*images/console/([\w-]+)[.]png\)", page.read_text())
    }
    assert shown.keys() == {file.stem for file in FOLDER.glob("*.png")}
    assert all(shown.values())


async def test_the_commands_of_the_tutorial_work(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    page = "docs/tutorials/22-a-proxy-in-three-steps.md"
    script = "\n".join(each for each in commands(page) if not each.startswith(("export ", "ostiary run ")))
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["/bin/bash", "-euc", script]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("no problems\n")
