"""Who looks at the console, in tests: an API server that judges viewers, and a console that asks it.

async with shared_console(access, Authorizer(proxies("ada", "sales")), port=reserve_port()) as console:
    async with console.browser() as browser:
        response = await browser.get("/")
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from aiohttp import ClientSession, CookieJar, web

from ostiary_operator.console.access.rights import Right, Viewer
from ostiary_operator.console.access.shared_access import SharedAccess
from ostiary_operator.console.access.subject_reviews import ReviewClient
from ostiary_operator.console.application import ConsoleParts, application
from ostiary_operator.console.error_pages import ErrorModel
from ostiary_operator.console.options import ConsoleOptions
from ostiary_operator.console.page import Page, PageContext, PageView
from ostiary_operator.console.sources.protocols import ConsoleSources
from ostiary_operator.kube.errors import Unreachable
from ostiary_operator.kube.kinds import TOKEN_REVIEW, Kind

ADA = Viewer("ada", ("sales", "system:authenticated"), "7", {"scopes": ("a", "b")})
BOB = Viewer("bob")
#: No page of these tests reads any.
NO_SOURCES = cast("ConsoleSources", None)


class Authorizer:
    """An API server that allows what is in ``allowed``: (user, resource, subresource, namespace, name).

    ``asked`` are the questions, ``bodies`` the reviews; the next ``failures`` of them have no answer.
    """

    def __init__(self, *allowed: tuple[str, str, str, str, str]) -> None:
        self.allowed = set(allowed)
        self.asked: list[tuple[str, str, str, str, str]] = []
        self.kinds: set[Kind] = set()
        self.bodies: list[Mapping[str, Any]] = []
        self.failures = 0
        #: The status of a TokenReview, by token.
        self.tokens: dict[str, dict[str, Any]] = {}
        self.gate = asyncio.Event()
        self.gate.set()

    async def create(self, kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a review."""
        self.kinds.add(kind)
        self.bodies.append(body)
        spec = body["spec"]
        if kind == TOKEN_REVIEW:
            return {"status": self.tokens.get(spec["token"], {"authenticated": False, "error": "unknown"})}
        attributes = spec["resourceAttributes"]
        question = (spec["user"], attributes["resource"], attributes.get("subresource", ""))
        key = (*question, attributes["namespace"], attributes["name"])
        self.asked.append(key)
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise Unreachable("the API server does not answer")
        wider = {(*question, "", ""), (*question, attributes["namespace"], "")}
        return {"status": {"allowed": bool(self.allowed & {key, *wider})}}


def proxies(user: str, namespace: str, name: str = "") -> tuple[str, str, str, str, str]:
    """The right to an MCPProxy, to all of a namespace, or to all."""
    return (user, "mcpproxies", "", namespace, name)


@dataclass
class SharedConsole:
    """A console of one page, `/`, which says who looks, and which of some MCPProxies they see."""

    url: str
    shown: list[str] = field(default_factory=lambda: ["sales/crm", "tools/mock"])

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[ClientSession]:
        """A browser without cookies."""
        headers = {"Accept": "text/html"}
        async with ClientSession(self.url, cookie_jar=CookieJar(unsafe=True), headers=headers) as http:
            yield http

    async def view(self, context: PageContext) -> PageView:
        """The page."""
        visible = await context.rights.visible(Right.PROXY, self.shown)
        groups = " ".join(context.viewer.groups)
        return PageView("error.html", ErrorModel("", f"{context.viewer.name} ({groups}) sees {sorted(visible)}", 200))


@asynccontextmanager
async def shared_console(
    access: SharedAccess, cluster: ReviewClient, *, port: int, external_url: str = ""
) -> AsyncIterator[SharedConsole]:
    """Serve a console at a port of loopback, which browsers may know under another URL."""
    console = SharedConsole(f"http://127.0.0.1:{port}")
    options = ConsoleOptions(port=port, external_url=external_url or console.url)
    admission = access.admission(options, cluster)
    page = Page("/", "Proxies", console.view)
    runner = web.AppRunner(application(ConsoleParts(options, admission, NO_SOURCES, [page])), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield console
    finally:
        await runner.cleanup()
        await admission.close()
