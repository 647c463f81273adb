"""Chromium, and pages of it that are watched: what they request, and what they complain of.

async with chromium() as browser, watched(browser) as page:
    await page.goto(run.console_link)
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from local_run import Run, running
from playwright.async_api import Browser, ConsoleMessage, Page, Request, StorageState, async_playwright
from timeouts import TIMEOUT_SECONDS

from ostiary_tools.toolchain import debian

#: For requests without a browser.
TOKEN = "a-token-for-scripts"
_LOOPBACK = frozenset({"127.0.0.1", "localhost"})


@dataclass
class Observed:
    """What a page did: the hosts it asked, and what its console complained of."""

    hosts: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    def on_request(self, request: Request) -> None:
        if not request.url.startswith(("data:", "blob:")):
            self.hosts.add(urlsplit(request.url).hostname or "")

    def on_message(self, message: ConsoleMessage) -> None:
        # A status such as 404 is what a test asks for, and Chromium reports it.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Debian's Chromium, which a machine of tests runs as root."""
    program = debian.ensure("chromium")["chromium"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(program), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def watched(
    browser: Browser,
    *,
    session: StorageState | None = None,
    javascript: bool = True,
    dark: bool = False,
    width: int = 1280,
) -> AsyncIterator[Page]:
    """A page of a browser of its own; at the end nothing has left the host, and nothing was complained of."""
    context = await browser.new_context(
        storage_state=session,
        java_script_enabled=javascript,
        color_scheme="dark" if dark else "light",
        viewport={"width": width, "height": 800},
    )
    context.set_default_timeout(TIMEOUT_SECONDS * 1000)
    observed = Observed()
    page = await context.new_page()
    page.on("request", observed.on_request)
    page.on("console", observed.on_message)
    page.on("pageerror", lambda error: observed.complaints.append(str(error)))
    try:
        yield page
    finally:
        await context.close()
    assert observed.hosts <= _LOOPBACK, "a page asked another host"
    assert observed.complaints == []


@dataclass(frozen=True)
class ConsoleOfRun:
    """The console of an `ostiary run`: where it is, and the session of a browser that is signed in."""

    run: Run
    url: str
    session: StorageState

    @property
    def bearer(self) -> dict[str, str]:
        """The header of a script, which has the token of `--console-token`."""
        return {"Authorization": f"Bearer {TOKEN}"}


@asynccontextmanager
async def console_of(browser: Browser, folder: Path, *arguments: str) -> AsyncIterator[ConsoleOfRun]:
    """Run the files of a folder, and sign in to the console."""
    with running(folder, "--console-token", TOKEN, *arguments) as run:
        await run.opens()
        yield ConsoleOfRun(run, run.console_url, await sign_in(browser, run.console_link))


async def sign_in(browser: Browser, link: str) -> StorageState:
    """Open a link that works once; the session of it."""
    async with watched(browser) as page:
        await page.goto(link)
        return await page.context.storage_state()


async def overflow(page: Page) -> int:
    """By how many pixels a page is wider than its window."""
    wider: int = await page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth",
    )
    return wider
