"""`examples/console`: its script sends what its README says, and every page and command says the same number."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from browser_pages import ConsoleOfRun, console_of, watched
from documented_commands import commands
from pictures import VIEWPORT_WIDTH, picture
from playwright.async_api import Browser, expect

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "console"
TICKETS, WEATHER = "default/tickets", "default/weather"

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def example(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ConsoleOfRun]:
    """The example after its script has run once."""
    folder = tmp_path_factory.mktemp("example") / "console"
    shutil.copytree(EXAMPLE, folder)
    async with console_of(browser, folder) as found:
        await asyncio.to_thread(sends_traffic, found.run.port)
        yield found


def sends_traffic(port: int) -> str:
    command = [sys.executable, str(EXAMPLE / "traffic.py"), "--url", f"http://localhost:{port}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def stated() -> dict[str, tuple[str, str]]:
    """The table of the README: what is counted, and the numbers of both endpoints."""
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", (EXAMPLE / "README.md").read_text(), re.MULTILINE)
    return {what: (tickets, weather) for what, tickets, weather in rows}


STATED = stated()


def number(what: str) -> tuple[int, int]:
    tickets, weather = (int(re.sub(r".*, ", "", each)) for each in STATED[what])
    return tickets, weather


async def twin(example: ConsoleOfRun, path: str, **parameters: str) -> Any:
    url = f"{example.url}{path}.json"
    async with aiohttp.ClientSession() as http, http.get(url, params=parameters, headers=example.bearer) as response:
        assert response.status == 200
        return await response.json()


async def calls_of(example: ConsoleOfRun, proxy: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for page in range(1, 10):
        rows = (await twin(example, "/calls", proxy=proxy, page=str(page)))["rows"]
        found += [each["call"] for each in rows["rows"]]
        if page >= rows["last"]:
            break
    return found


@pytest.mark.parametrize(("proxy", "place"), [(TICKETS, 0), (WEATHER, 1)])
async def test_single_calls_are_those_of_the_readme(example: ConsoleOfRun, proxy: str, place: int) -> None:
    calls = await calls_of(example, proxy)
    outcomes = Counter(each["outcome"] for each in calls)
    tools = Counter(each["name"] for each in calls if each["method"] == "tools/call")
    assert len(calls) == number("requests")[place]
    assert sum(tools.values()) == number("calls of tools")[place]
    named = [each for each in calls if each["method"] == "tools/call" and each["outcome"] == "ok"]
    assert len(named) == number("of them without an error")[place]
    assert outcomes["tool error"] == number("errors of the tool")[place]
    assert outcomes["denied"] == number("denied by a rule")[place]
    assert outcomes["limited"] == number("refused by a limit")[place]
    assert outcomes["refused"] == number("refused without a valid key")[place]
    assert tools.most_common(1)[0][1] == number("most used tool")[place]


@pytest.mark.parametrize(("proxy", "place"), [(TICKETS, 0), (WEATHER, 1)])
async def test_traffic_and_activity_count_the_same(example: ConsoleOfRun, proxy: str, place: int) -> None:
    numbers = (await twin(example, "/traffic", proxy=proxy))["content"]["numbers"]
    assert numbers["calls"] == number("requests")[place]
    assert numbers["denied"] == number("denied by a rule")[place]
    activity = (await twin(example, "/activity", proxy=proxy))["content"]
    assert activity["mostUsed"][0]["calls"] == number("most used tool")[place]
    nameless = {each["method"]: each["calls"] for each in activity["nameless"]}
    (without_names,) = (number(what) for what in STATED if what.startswith("requests that name nothing"))
    assert (
        sum(nameless[each] for each in ("initialize", "notifications/initialized", "tools/list"))
        == without_names[place]
    )
    assert nameless["initialize"] == 2


async def test_what_the_shadow_policy_would_have_stopped(example: ConsoleOfRun) -> None:
    content = (await twin(example, "/would-deny"))["content"]
    assert content["count"] == sum(number("would be denied by the policy in Shadow mode"))
    assert content["names"] == [{"name": "delete_ticket", "count": 2}]


async def test_metrics_have_the_same_totals(example: ConsoleOfRun) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://localhost:{example.run.admin_port}/metrics") as answer,
    ):
        lines = (await answer.text()).splitlines()
    counted: Counter[str] = Counter()
    for line in lines:
        if line.startswith("mcp_server_operation_duration_seconds_count{"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            counted[labels.get("ostiary_proxy", "")] += int(float(line.rsplit(" ", 1)[1]))
    assert (counted[TICKETS], counted[WEATHER]) == number("requests")


async def test_a_terminal_says_the_same(example: ConsoleOfRun) -> None:
    state = {"XDG_STATE_HOME": str(example.run.folder.parent / "state"), "PATH": str(Path(sys.executable).parent)}
    for proxy, place in ((TICKETS, 0), (WEATHER, 1)):
        command = [sys.executable, "-m", "ostiary_operator.cli", "traffic", proxy, "--local", "-o", "json"]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, env=state, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["report"]["numbers"]["calls"] == number("requests")[place]


async def test_the_commands_of_the_tutorial_work_next_to_the_example(example: ConsoleOfRun) -> None:
    state = str(example.run.folder.parent / "state")
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    shown = commands("docs/tutorials/21-see-your-proxies.md")
    asking = [each for each in shown if not each.startswith(("export ", "ostiary run ", "python3 "))]
    assert [each.split()[1] for each in asking] == ["validate", "traffic", "calls", "would-deny", "limits"]
    for command in asking:
        environment = {**os.environ, "XDG_STATE_HOME": state, "PATH": programs}
        done = await asyncio.to_thread(
            subprocess.run, command.split(), cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "path", "height"),
    [
        ("proxies", "/", 560),
        ("traffic", f"/traffic?proxy={WEATHER}", 860),
        ("activity", "/activity", 860),
        ("calls", f"/calls?proxy={TICKETS}&outcome=denied", 640),
        ("would-deny", "/would-deny", 860),
        ("limits", "/limits", 640),
        ("explain", "", 640),
    ],
)
async def test_a_picture_of_the_tutorial(
    browser: Browser, example: ConsoleOfRun, name: str, path: str, height: int
) -> None:
    async with watched(browser, session=example.session, width=VIEWPORT_WIDTH) as page:
        if path:
            await page.goto(example.url + path)
        else:
            await page.goto(f"{example.url}/calls?proxy={TICKETS}&outcome=denied")
            await page.get_by_role("link", name="Explain").nth(1).click()
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        await picture(page, name, height=height)


async def test_the_pages_show_the_numbers_to_people(browser: Browser, example: ConsoleOfRun) -> None:
    async with watched(browser, session=example.session) as page:
        await page.goto(f"{example.url}/traffic?proxy={WEATHER}")
        await expect(page.locator("#total-calls")).to_have_text(str(number("requests")[1]))
        await page.goto(f"{example.url}/activity?proxy={TICKETS}")
        await expect(page.get_by_role("row", name="read_ticket").first).to_contain_text("32")
        await page.goto(f"{example.url}/would-deny")
        await expect(page.locator("main")).to_contain_text("default/tickets-never-deleted")
