"""The link in the terminal opens the console once, for one browser."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import CookieJar, web
from aiohttp.test_utils import TestClient, TestServer

from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.console.access.admission import RIGHTS, VIEWER, admit
from ostiary_operator.console.access.one_time_token import OneTimeAdmission
from ostiary_operator.console.access.rights import AllRights


@dataclass
class Console:
    """A console of one page, and what its terminal shows."""

    server: TestServer
    admission: OneTimeAdmission
    links: list[str] = field(default_factory=list)

    def browser(self) -> "TestClient[web.Request, web.Application]":
        return TestClient(self.server, cookie_jar=CookieJar(unsafe=True))


@pytest.fixture
async def console() -> AsyncIterator[Console]:
    links: list[str] = []
    admission = OneTimeAdmission(links.append, fixed=SecretBytes(b"of-a-script"))

    async def page(request: web.Request) -> web.Response:
        assert isinstance(request[RIGHTS], AllRights)
        return web.Response(text=f"hello {request[VIEWER].name}")

    app = web.Application(middlewares=[admit(admission)])
    app.add_routes([web.get("/", page), *admission.routes()])
    server = TestServer(app)
    await server.start_server()
    admission.announce_link()
    yield Console(server, admission, links)
    await server.close()


async def test_the_link_opens_the_console_and_leaves_no_token_in_the_address(console: Console) -> None:
    async with console.browser() as browser:
        response = await browser.get(console.links[0])
        assert await response.text() == "hello you"
        assert response.url.path_qs == "/"
        assert (await browser.get("/")).status == 200


async def test_the_link_works_once(console: Console) -> None:
    async with console.browser() as first, console.browser() as second:
        await first.get(console.links[0])
        assert (await second.get(console.links[0])).status == 401
        assert (await first.get(console.links[0])).status == 200, "who is signed in goes to the first page"


async def test_without_a_cookie_no_page_is_shown_and_a_spent_link_is_replaced_once(console: Console) -> None:
    async with console.browser() as first, console.browser() as second:
        assert (await second.get("/")).status == 401
        assert len(console.links) == 1, "the first link is not spent yet"
        await first.get(console.links[0])
        for _ in range(3):
            assert "in the terminal" in await (await second.get("/")).text()
        assert len(console.links) == 2
        assert (await second.get(console.links[1])).status == 200


async def test_guessed_tokens_open_nothing(console: Console) -> None:
    async with console.browser() as browser:
        for query in ("", "?once=", "?once=x", "?once=%C3%BC", "?once=of-a-script", "?token=of-a-script"):
            assert (await browser.get(f"/sign-in{query}")).status == 401


async def test_a_script_sends_the_fixed_token(console: Console) -> None:
    async with console.browser() as script:
        assert (await script.get("/", headers={"Authorization": "Bearer of-a-script"})).status == 200
        for other in ("Bearer other", "Bearer ü", "Bearer", "Basic of-a-script", ""):
            assert (await script.get("/", headers={"Authorization": other})).status == 401


async def test_signing_out_ends_the_session_and_no_other_site_can_do_it(console: Console) -> None:
    async with console.browser() as browser:
        await browser.get(console.links[0])
        assert (await browser.post("/sign-out", headers={"Sec-Fetch-Site": "cross-site"})).status == 403
        assert (await browser.post("/sign-out", headers={"Origin": "http://evil.example"})).status == 403
        assert (await browser.get("/")).status == 200
        assert (await browser.post("/sign-out", headers={"Sec-Fetch-Site": "same-origin"})).status == 401
        assert (await browser.get("/")).status == 401


async def test_the_cookie_of_another_console_opens_nothing(console: Console) -> None:
    async with console.browser() as browser:
        name = f"ostiary-console-{console.server.port}"
        assert (await browser.get("/", cookies={name: "v1.AAAA"})).status == 401
