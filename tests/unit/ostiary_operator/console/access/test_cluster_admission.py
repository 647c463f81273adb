"""A browser signs in with a token where there is no identity provider, and a program sends one each time."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from aiohttp import ClientResponse, ClientSession, FormData
from console_access import Authorizer, SharedConsole, proxies, shared_console
from identity_provider import SigningKey
from yarl import URL

from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.console import request_checks
from ostiary_operator.console.access.shared_access import SharedAccess
from ostiary_operator.console.options import ConsoleOptions, ConsoleOptionsError
from ostiary_tools.common.ports import reserve_port

NAME = "system:serviceaccount:sales:robot"
OWN = {"Sec-Fetch-Site": "same-origin"}


def admitted(**more: Any) -> dict[str, Any]:
    return {"authenticated": True, "user": {"username": NAME, "groups": ["system:authenticated"], **more}}


@pytest.fixture
def cluster() -> Authorizer:
    made = Authorizer(proxies(NAME, "sales"))
    made.tokens["good"] = admitted()
    return made


@pytest.fixture
async def console(cluster: Authorizer) -> AsyncIterator[SharedConsole]:
    async with shared_console(SharedAccess(accepts_tokens=True), cluster, port=reserve_port()) as served:
        yield served


async def sign_in(browser: ClientSession, token: str, *, to: str = "/") -> ClientResponse:
    form = {"token": token, "to": to}
    return await browser.post("/sign-in/token", data=form, headers=OWN, allow_redirects=False)


async def test_a_program_sends_its_token_and_gets_no_cookie(console: SharedConsole) -> None:
    async with ClientSession(console.url) as program:
        response = await program.get("/index.json", headers={"Authorization": "Bearer good"})
        assert "sees ['sales/crm']" in (await response.json())["message"]
        assert "Set-Cookie" not in response.headers
        for other in ("Bearer bad", "Bearer", "Basic good", "Bearer good extra"):
            assert (await program.get("/index.json", headers={"Authorization": other})).status == 401


async def test_a_browser_is_led_to_the_form_and_from_there_to_the_page_that_it_wanted(console: SharedConsole) -> None:
    async with console.browser() as browser:
        form = await browser.get("/?page=2")
        text = await form.text()
        assert form.url.path == "/sign-in"
        assert 'type="password"' in text
        assert 'value="/?page=2"' in text
        response = await sign_in(browser, " good\n", to="/?page=2")
        assert response.headers["Location"] == "/?page=2"
        assert NAME in await (await browser.get("/")).text()


async def test_the_cookie_does_not_hold_the_token_and_a_wrong_one_is_not_repeated(
    console: SharedConsole, cluster: Authorizer
) -> None:
    async with console.browser() as browser:
        response = await sign_in(browser, "canary-of-a-token")
        assert response.status == 401
        assert "does not accept this token" in (text := await response.text())
        assert "canary" not in text
        cluster.tokens["canary-of-a-token"] = admitted()
        response = await sign_in(browser, "canary-of-a-token")
        assert response.status == 303
        assert "canary" not in str(response.headers)


async def test_the_session_ends_with_the_token(console: SharedConsole, cluster: Authorizer) -> None:
    key = SigningKey("api-server")
    ends = {"soon": int(time.time()) + 600, "over": 5}
    for name, end in ends.items():
        ends[name] = jwt.encode({"exp": end}, key.private, algorithm="ES256")  # type: ignore[assignment]
        cluster.tokens[str(ends[name])] = admitted()
    async with console.browser() as browser:
        response = await sign_in(browser, str(ends["soon"]))
        assert 500 < int(response.cookies["ostiary-console"]["max-age"]) <= 600
    async with console.browser() as browser:
        await sign_in(browser, str(ends["over"]))
        assert (await browser.get("/", allow_redirects=False)).status == 303


async def test_no_page_of_another_site_signs_a_person_in_as_another(console: SharedConsole) -> None:
    async with console.browser() as browser:
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
            response = await browser.post("/sign-in/token", data={"token": "good"}, headers=headers)
            assert response.status == 403
        assert (await browser.get("/", allow_redirects=False)).status == 303


async def test_a_form_that_arrives_slowly_does_not_keep_a_place_of_others(
    console: SharedConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_checks, "BODY_SECONDS", 0.01)

    async def slow() -> AsyncIterator[bytes]:
        yield b"token="
        await asyncio.Event().wait()

    headers = {**OWN, "Content-Type": "application/x-www-form-urlencoded"}
    async with console.browser() as browser:
        response = await browser.post("/sign-in/token", data=slow(), headers=headers)
        assert response.status == 400
        assert "did not arrive" in await response.text()


async def test_a_token_comes_in_a_plain_form_only(console: SharedConsole) -> None:
    async with console.browser() as browser:
        file = FormData({"to": "/"}, default_to_multipart=True)
        file.add_field("token", "good")
        assert (await browser.post("/sign-in/token", data=file, headers=OWN)).status == 400


async def test_a_copy_of_the_cookie_opens_nothing_after_signing_out(console: SharedConsole) -> None:
    async with console.browser() as browser, console.browser() as thief:
        await sign_in(browser, "good")
        thief.cookie_jar.update_cookies({each.key: each.value for each in browser.cookie_jar}, URL(console.url))
        assert NAME in await (await thief.get("/")).text()
        await browser.post("/sign-out", headers=OWN)
        assert (await thief.get("/")).url.path == "/sign-in"


async def test_too_many_groups_for_a_cookie_are_a_clear_error(console: SharedConsole, cluster: Authorizer) -> None:
    cluster.tokens["large"] = admitted(groups=[SigningKey("").public()["x"] for _ in range(300)])
    async with console.browser() as browser:
        response = await sign_in(browser, "large")
        assert response.status == 403
        assert "300 groups" in await response.text()


async def test_an_api_server_that_is_away_is_said_and_opens_no_page(
    console: SharedConsole, cluster: Authorizer
) -> None:
    async with console.browser() as browser:
        await sign_in(browser, "good")
        cluster.failures = 1
        response = await browser.get("/")
        assert response.status == 503
        assert "sales/crm" not in await response.text()


@pytest.mark.parametrize("access", [{}, {"accepts_tokens": True, "session_key": SecretBytes(b"short")}])
def test_access_without_a_way_in_or_with_a_bad_key_is_refused_at_the_start(access: dict[str, Any]) -> None:
    with pytest.raises(ConsoleOptionsError):
        SharedAccess(**access)


async def test_a_shared_console_knows_its_url(cluster: Authorizer) -> None:
    access = SharedAccess(accepts_tokens=True)
    with pytest.raises(ConsoleOptionsError, match="--external-url"):
        access.admission(ConsoleOptions(), cluster)
    found = access.admission(ConsoleOptions(external_url="https://console.example.com"), cluster)
    assert found.sessions.name == "__Host-ostiary-console"
