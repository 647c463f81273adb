"""How a request passes the console: headers, bounds, Host, viewer, page and twin."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from console_sources import Objects, proxy
from evidence_replicas import NoEvidence

from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.console import in_flight, security_headers
from ostiary_operator.console.access.one_time_token import OneTimeAdmission
from ostiary_operator.console.application import ConsoleParts, application
from ostiary_operator.console.errors import BadQuery, PageNotFound
from ostiary_operator.console.options import ConsoleOptions
from ostiary_operator.console.page import Page, PageContext, PageFile, PageView
from ostiary_operator.console.pages import PAGES
from ostiary_operator.console.sources.protocols import ConsoleSources

TOKEN = "a-token-for-scripts"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
Client = TestClient[web.Request, web.Application]


@dataclass(frozen=True, slots=True)
class Echo:
    """The model of a page that shows what it was asked."""

    title: str
    message: str
    name: str = ""


async def echo(context: PageContext) -> PageView | PageFile:
    said = (context.form or context.query).text("say", limit=200_000)
    if said == "bug":
        raise RuntimeError("a secret of the implementation")
    if said == "query":
        raise BadQuery("say must not be `query`")
    if said == "file":
        return PageFile("policy ü.yaml", "kind: MCPPolicy\n")
    if context.parameters.get("name") == "absent":
        raise PageNotFound("there is no such echo")
    return PageView("error.html", Echo("Echo", said, context.parameters.get("name", "")))


ECHO = Page("/echo", "Echo", echo, accepts_forms=True)
ECHO_OF = Page("/echo/{namespace}/{name}", "Echo of", echo, in_navigation=False)


@asynccontextmanager
async def console(objects: Objects, *, options: ConsoleOptions | None = None) -> AsyncIterator[Client]:
    admission = OneTimeAdmission(lambda _path: None, fixed=SecretBytes(TOKEN.encode()))
    sources = ConsoleSources(objects, NoEvidence())
    parts = ConsoleParts(options or ConsoleOptions(), admission, sources, pages=(*PAGES, ECHO, ECHO_OF))
    async with TestClient(TestServer(application(parts))) as client:
        yield client


async def test_a_page_and_its_twin_show_the_same() -> None:
    async with console(Objects([proxy("tickets", url="http://localhost:8080/tickets/mcp")])) as client:
        page = await (await client.get("/", headers=BEARER)).text()
        twin = await (await client.get("/index.json", headers=BEARER)).json()

    assert "<h1>Proxies</h1>" in page
    assert "default/tickets" in page
    assert '<link rel="alternate" type="application/json" href="/index.json">' in page
    (row,) = twin["proxies"]["rows"]
    assert (row["identity"], row["url"]) == ("default/tickets", "http://localhost:8080/tickets/mcp")


@pytest.mark.parametrize(
    "path", ["/", "/index.json", "/none", "/static/console.css", "/healthz", "/sign-in", "/echo?x=1&x=2"]
)
async def test_every_response_says_what_a_browser_may_do_with_it(path: str) -> None:
    async with console(Objects()) as client:
        response = await client.get(path, allow_redirects=False)

    assert response.headers["Content-Security-Policy"] == security_headers.POLICY
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response.headers["Server"] == "ostiary"
    assert "Set-Cookie" not in response.headers


async def test_pages_are_kept_nowhere_and_files_forever() -> None:
    async with console(Objects()) as client:
        page = await client.get("/", headers=BEARER)
        html = await page.text()
        path = html.partition('<link rel="stylesheet" href="')[2].partition('"')[0]
        style = await client.get(path)
        again = await client.get(path, headers={"If-None-Match": style.headers["ETag"]})

    assert page.headers["Cache-Control"] == "no-store"
    assert "immutable" in style.headers["Cache-Control"]
    assert style.content_type == "text/css"
    assert again.status == 304


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
async def test_without_a_viewer_nothing_is_shown(headers: dict[str, str]) -> None:
    async with console(Objects([proxy("tickets")])) as client:
        page = await client.get("/", headers=headers)
        twin = await client.get("/index.json", headers=headers)

        assert (page.status, twin.status) == (401, 401)
        assert "tickets" not in await page.text() + await twin.text()
        assert (await twin.json())["title"] == "Sign in"


UTF8_FORM = "application/x-www-form-urlencoded; charset=UTF-8"


@pytest.mark.parametrize("host", ["127.0.0.1:8090", "localhost", "LOCALHOST:1", "[::1]:8090", "127.0.0.2"])
async def test_names_of_this_machine_are_accepted(host: str) -> None:
    async with console(Objects()) as client:
        response = await client.get("/", headers={**BEARER, "Host": host})

    assert response.status == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8090", "localhost.evil.example", "evil.example@localhost"),
        "10.0.0.1",
        "",
        "[",
        "1",
    ],
)
async def test_another_host_is_refused_before_the_viewer_is_known(host: str) -> None:
    async with console(Objects([proxy("tickets")])) as client:
        response = await client.get("/", headers={**BEARER, "Host": host})

        assert response.status == 421
        assert "tickets" not in await response.text()


async def test_with_an_external_url_only_its_host_is_accepted() -> None:
    options = ConsoleOptions(external_url="https://console.example.com")
    async with console(Objects(), options=options) as client:
        statuses = {
            host: (await client.get("/", headers={**BEARER, "Host": host})).status
            for host in ("console.example.com", "Console.example.com:443", "console.example.com:8443", "localhost")
        }
        page = await client.get("/", headers={**BEARER, "Host": "console.example.com"})
        probe = await client.get("/healthz", headers={"Host": "10.1.2.3:8090"})

    assert list(statuses.values()) == [200, 200, 421, 421]
    assert page.headers["Strict-Transport-Security"]
    assert probe.status == 200


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}]
)
async def test_a_form_of_another_site_is_refused(headers: dict[str, str]) -> None:
    async with console(Objects()) as client:
        response = await client.post("/echo", data={"say": "hello"}, headers=BEARER | headers)

    assert response.status == 403


async def test_a_form_is_read_up_to_a_size() -> None:
    async with console(Objects()) as client:
        small = await client.post("/echo.json", data={"say": "x" * 100_000}, headers=BEARER)
        large = await client.post("/echo.json", data={"say": "x" * 300_000}, headers=BEARER)
        other = await client.post("/echo.json", json={"say": "x"}, headers=BEARER)

        assert len((await small.json())["message"]) == 100_000
        assert (large.status, other.status) == (413, 400)
        assert "256 KiB" in (await large.json())["message"]


@pytest.mark.parametrize(
    "more",
    [
        {"Content-Encoding": "gzip"},
        {"Content-Type": "application/x-www-form-urlencoded; charset=rot13"},
        {"Content-Type": "application/x-www-form-urlencoded; charset=utf-16"},
        {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
        {},
    ],
)
async def test_a_form_that_cannot_be_read_is_no_error_of_the_console(
    more: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", **more, **BEARER}
    async with console(Objects()) as client:
        response = await client.post(
            "/echo.json", data=b"say=\xff\xfe1", headers=headers, skip_auto_headers=["Accept-Encoding"]
        )
        assert response.status == 400
    assert not [each for each in caplog.records if each.name.startswith("ostiary") and each.levelname == "ERROR"]


@pytest.mark.parametrize("charset", ["punycode", "idna", "utf-7", "unicode_escape"])
async def test_a_form_in_a_charset_that_no_browser_sends_is_not_decoded(charset: str) -> None:
    headers = {"Content-Type": f"application/x-www-form-urlencoded; charset={charset}", **BEARER}
    async with console(Objects()) as client:
        refused = await client.post("/echo.json", data=b"say=hello-", headers=headers)
        plain = await client.post("/echo.json", data=b"say=hello-", headers={**headers, "Content-Type": UTF8_FORM})

        assert (refused.status, plain.status) == (400, 200)
        assert "UTF-8" in (await refused.json())["message"]


async def test_a_page_without_forms_only_reads() -> None:
    async with console(Objects()) as client:
        response = await client.post("/", data={}, headers=BEARER)

    assert response.status == 405
    assert response.headers["Allow"] == "GET,HEAD"


async def test_text_of_others_is_text() -> None:
    async with console(Objects()) as client:
        response = await client.get("/echo", params={"say": "<script>alert(1)</script>\u202e\x1b[2J"}, headers=BEARER)
        html = await response.text()

    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u{202e}\\u{1b}[2J" in html


async def test_a_bug_shows_nothing_of_itself() -> None:
    async with console(Objects()) as client:
        response = await client.get("/echo?say=bug", headers=BEARER)

        assert response.status == 500
        assert "secret" not in await response.text()


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/echo?say=query", 400, "say must not be"),
        ("/echo?say=a&say=b", 400, "occurs twice"),
        (f"/echo?{'&'.join(f'p{i}=' for i in range(40))}", 400, "more than 32 parameters"),
        ("/echo/default/absent", 404, "no such echo"),
        ("/none", 404, "no such page"),
        ("/echo%2F..%2Fnone", 404, "no such page"),
    ],
)
async def test_what_cannot_be_shown_is_a_page_that_says_why(path: str, status: int, words: str) -> None:
    async with console(Objects()) as client:
        response = await client.get(path, headers=BEARER)
        html = await response.text()

    assert response.status == status
    assert words in html
    assert 'aria-label="Pages"' in html


async def test_an_object_whose_name_ends_in_json_has_a_page_and_a_twin() -> None:
    async with console(Objects()) as client:
        page = await client.get("/echo/default/absent.json", headers=BEARER | {"Accept": "text/html"})
        twin = await client.get("/echo/default/absent.json.json", headers=BEARER)
        other = await client.get("/echo/default/absent.json", headers=BEARER)

        assert (page.status, page.content_type) == (200, "text/html")
        assert (await twin.json())["name"] == "absent.json"
        assert other.status == 404


async def test_a_source_that_is_away_is_named() -> None:
    async with console(Objects(away=True)) as client:
        response = await client.get("/", headers=BEARER)
        html = await response.text()

    assert response.status == 503
    assert response.headers["Retry-After"]
    assert "the API server does not answer: &lt;timeout&gt;" in html


async def test_a_file_is_a_download() -> None:
    async with console(Objects()) as client:
        response = await client.get("/echo?say=file", headers=BEARER)

        assert response.headers["Content-Disposition"] == "attachment; filename*=UTF-8''policy%20%C3%BC.yaml"
        assert await response.text() == "kind: MCPPolicy\n"


async def test_requests_beyond_the_bound_are_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    go = asyncio.Event()

    async def slow(context: PageContext) -> PageView:
        del context
        await go.wait()
        return PageView("error.html", Echo("Slow", "done"))

    objects = Objects()
    admission = OneTimeAdmission(lambda _path: None, fixed=SecretBytes(TOKEN.encode()))
    monkeypatch.setattr(in_flight, "MOST_REQUESTS", 2)
    parts = ConsoleParts(
        ConsoleOptions(), admission, ConsoleSources(objects, NoEvidence()), pages=(Page("/slow", "Slow", slow),)
    )
    async with TestClient(TestServer(application(replace(parts)))) as client:
        first = [asyncio.create_task(client.get("/slow", headers=BEARER)) for _ in range(3)]
        done, waiting = await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        # A console that is only busy is not restarted.
        assert (await client.get("/healthz")).status == 200
        go.set()
        statuses = {task.result().status for task in done} | {(await task).status for task in waiting}

    assert [task.result().status for task in done] == [503]
    assert statuses == {200, 503}
