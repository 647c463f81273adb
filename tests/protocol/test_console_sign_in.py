"""People sign in to the console at a real identity provider, and are the users that the API server would know."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from aiohttp import ClientSession
from authorization_server import AuthorizationServer, authorization_server
from console_access import Authorizer, SharedConsole, proxies, shared_console
from headless_browser import HeadlessBrowser

from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.console.access.oidc.oidc_options import OidcOptions
from ostiary_operator.console.access.oidc.sign_in import CALLBACK
from ostiary_operator.console.access.shared_access import SharedAccess
from ostiary_tools.common.ports import reserve_port

pytestmark = pytest.mark.node
SECRET = "canary-secret-of-the-console:with%reserved characters"
KEY = SecretBytes(b"k" * 32)


@dataclass
class Scene:
    """A console that signs people in at the provider, and the API server that judges them."""

    provider: AuthorizationServer
    cluster: Authorizer
    console: SharedConsole
    options: OidcOptions

    async def authorization_url(self, browser: ClientSession, path: str = "/") -> str:
        """Where a browser is sent to that opens a page."""
        response = await browser.get(path, allow_redirects=False)
        assert response.status == 303
        begun = await browser.get(response.headers["Location"], allow_redirects=False)
        assert begun.status == 303, await begun.text()
        return begun.headers["Location"]

    async def answer(self, user: str, url: str) -> dict[str, str]:
        """Sign in at the provider; return what it sends the browser back with."""
        return await HeadlessBrowser(user, redirect=f"{self.console.url}{CALLBACK}").follow(url)

    async def sign_in(self, browser: ClientSession, user: str, path: str = "/") -> str:
        """Open a page as a user, and return the text that is shown in the end."""
        answer = await self.answer(user, await self.authorization_url(browser, path))
        response = await browser.get(f"{CALLBACK}?{urlencode(answer)}")
        return await response.text()


@pytest.fixture(scope="module")
def provider() -> Iterator[AuthorizationServer]:
    with authorization_server() as running:
        running.claim("ada", groups=["sales", "agents"], email="ada@example.com", email_verified=True)
        running.claim("eve", groups=["system:masters", "sales"], email="ada@example.com", email_verified=False)
        yield running


@pytest.fixture
async def scene(provider: AuthorizationServer, request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    """With the options that the test gives as its parameter."""
    port = reserve_port()
    name = f"console-{port}"
    provider.add_client(name, secret=SECRET, redirect=f"http://127.0.0.1:{port}{CALLBACK}")
    more: dict[str, Any] = getattr(request, "param", {})
    given = {"algorithms": ("ES256",), "groups_claim": "groups", "client_secret": SecretBytes(SECRET.encode()), **more}
    options = OidcOptions(provider.issuer, name, **given)
    cluster = Authorizer(proxies(f"{provider.issuer}#ada", "sales"))
    async with shared_console(SharedAccess(options, session_key=KEY), cluster, port=port) as console:
        yield Scene(provider, cluster, console, options)


def other_replica(scene: Scene) -> AbstractAsyncContextManager[SharedConsole]:
    """Another Pod of the console, with the same key and behind the same URL."""
    access, port = SharedAccess(scene.options, session_key=KEY), reserve_port()
    return shared_console(access, scene.cluster, port=port, external_url=scene.console.url)


def host(scene: Scene) -> dict[str, str]:
    return {"Host": scene.console.url.removeprefix("http://")}


async def test_a_person_signs_in_and_sees_what_the_api_server_permits_under_its_name_for_them(scene: Scene) -> None:
    async with scene.console.browser() as browser:
        text = await scene.sign_in(browser, "ada")
        assert f"{scene.provider.issuer}#ada (agents sales system:authenticated)" in text
        assert "sees [&#39;sales/crm&#39;]" in text
        assert (await browser.get("/")).status == 200, "the cookie admits, too"
    assert scene.cluster.bodies[0]["spec"]["groups"] == ["agents", "sales", "system:authenticated"]


async def test_after_the_sign_in_the_page_that_was_wanted_is_shown(scene: Scene) -> None:
    async with scene.console.browser() as browser:
        url = await scene.authorization_url(browser, "/?namespace=sales&page=2")
        answer = await scene.answer("ada", url)
        response = await browser.get(f"{CALLBACK}?{urlencode(answer)}", allow_redirects=False)
        assert response.headers["Location"] == "/?namespace=sales&page=2"


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
async def test_a_sign_in_never_leads_elsewhere(scene: Scene, to: str) -> None:
    async with scene.console.browser() as browser:
        begun = await browser.get(f"/sign-in?to={quote(to, safe='')}", allow_redirects=False)
        answer = await scene.answer("ada", begun.headers["Location"])
        response = await browser.get(f"{CALLBACK}?{urlencode(answer)}", allow_redirects=False)
        assert response.headers["Location"] == "/"


async def test_the_request_to_the_provider_has_pkce_state_and_nonce_and_nothing_twice(scene: Scene) -> None:
    async with scene.console.browser() as browser:
        first = parse_qs(urlsplit(await scene.authorization_url(browser)).query)
        second = parse_qs(urlsplit(await scene.authorization_url(browser)).query)
    assert first["code_challenge_method"] == ["S256"]
    assert first["response_type"] == ["code"]
    assert first["scope"] == ["openid"]
    assert all(first[name] != second[name] for name in ("state", "nonce", "code_challenge"))


async def test_no_token_code_or_secret_is_in_an_address_a_page_or_a_readable_cookie(scene: Scene) -> None:
    async with scene.console.browser() as browser:
        answer = await scene.answer("ada", await scene.authorization_url(browser))
        response = await browser.get(f"{CALLBACK}?{urlencode(answer)}", allow_redirects=False)
        page = await browser.get("/")
        seen = f"{response.headers} {await response.text()} {page.headers} {await page.text()} {page.url}"
    assert "__Host-" not in seen, "plain http on loopback: browsers would refuse the prefix"
    for secret in [SECRET, answer["code"], *scene.provider.issued()]:
        assert secret not in seen


async def test_an_answer_without_the_cookie_of_its_sign_in_is_refused(scene: Scene) -> None:
    async with scene.console.browser() as victim, scene.console.browser() as attacker:
        answer = await scene.answer("eve", await scene.authorization_url(attacker))
        response = await victim.get(f"{CALLBACK}?{urlencode(answer)}")
        assert response.status == 400
        assert "belongs to no sign-in of this browser" in await response.text()
        await scene.authorization_url(victim)
        assert (await victim.get(f"{CALLBACK}?{urlencode(answer)}")).status == 400, "another state"


async def test_a_code_works_once(scene: Scene) -> None:
    async with scene.console.browser() as browser:
        url = await scene.authorization_url(browser)
        kept = {cookie.key: cookie.value for cookie in browser.cookie_jar}
        answer = await scene.answer("ada", url)
        assert (await browser.get(f"{CALLBACK}?{urlencode(answer)}")).status == 200
    async with scene.console.browser() as thief:
        response = await thief.get(f"{CALLBACK}?{urlencode(answer)}", cookies=kept)
        assert response.status == 400
        assert "belongs to no sign-in of this browser" in await response.text()
    async with other_replica(scene) as other, other.browser() as thief:
        response = await thief.get(f"{CALLBACK}?{urlencode(answer)}", cookies=kept, headers=host(scene))
        assert response.status == 403
        assert "does not accept the code (invalid_grant)" in await response.text()


async def test_a_code_of_another_sign_in_does_not_fit_the_verifier_of_this_one(scene: Scene) -> None:
    async with scene.console.browser() as browser, scene.console.browser() as attacker:
        stolen = await scene.answer("ada", await scene.authorization_url(browser))
        own = await scene.answer("eve", await scene.authorization_url(attacker))
        response = await attacker.get(f"{CALLBACK}?{urlencode({**own, 'code': stolen['code']})}")
        assert response.status == 403


async def test_an_answer_of_another_provider_is_refused(scene: Scene) -> None:
    async with scene.console.browser() as browser:
        answer = await scene.answer("ada", await scene.authorization_url(browser))
        for issuer in ("https://evil.example", ""):
            response = await browser.get(f"{CALLBACK}?{urlencode({**answer, 'iss': issuer})}")
            assert "another identity provider" in await response.text()


async def test_a_refusal_of_the_provider_is_said_and_its_words_do_not_become_markup(scene: Scene) -> None:
    async with scene.console.browser() as browser:
        query = parse_qs(urlsplit(await scene.authorization_url(browser)).query)
        answer = {"state": query["state"][0], "iss": scene.provider.issuer, "error": "<script>alert(1)</script>"}
        response = await browser.get(f"{CALLBACK}?{urlencode(answer)}")
        assert response.status == 403
        assert "<script>alert" not in await response.text()


async def test_a_group_that_would_make_an_administrator_is_left_out(scene: Scene) -> None:
    async with scene.console.browser() as browser:
        assert "#eve (sales system:authenticated)" in await scene.sign_in(browser, "eve")


@pytest.mark.parametrize(
    "scene",
    [{"username_claim": "email", "username_prefix": "oidc:", "groups_prefix": "oidc:"}],
    indirect=True,
)
async def test_names_are_those_of_the_api_servers_flags(scene: Scene) -> None:
    async with scene.console.browser() as browser:
        text = await scene.sign_in(browser, "ada")
        assert "oidc:ada@example.com (oidc:agents oidc:sales system:authenticated)" in text
    async with scene.console.browser() as browser:
        assert "not verified" in await scene.sign_in(browser, "eve"), "an address that is only claimed"


@pytest.mark.parametrize(
    "scene", [{"required_claims": {"email": "ada@example.com"}, "username_prefix": "-"}], indirect=True
)
async def test_who_lacks_a_required_claim_is_not_admitted(scene: Scene) -> None:
    async with scene.console.browser() as browser:
        assert "ada (" in await scene.sign_in(browser, "ada")
    async with scene.console.browser() as browser:
        assert "--oidc-required-claim" in await scene.sign_in(browser, "someone")
        assert (await browser.get("/", allow_redirects=False)).status == 303


async def test_signing_out_ends_the_session_and_does_not_sign_in_again_by_itself(scene: Scene) -> None:
    async with scene.console.browser() as browser:
        await scene.sign_in(browser, "ada")
        response = await browser.post("/sign-out", headers={"Sec-Fetch-Site": "same-origin"})
        assert "You are signed out" in await response.text()
        assert (await browser.get("/", allow_redirects=False)).status == 303


async def test_of_several_tabs_that_sign_in_at_once_the_last_one_does_it_for_all(scene: Scene) -> None:
    async with scene.console.browser() as browser:
        first = await scene.answer("ada", await scene.authorization_url(browser))
        second = await scene.answer("ada", await scene.authorization_url(browser))
        assert (await browser.get(f"{CALLBACK}?{urlencode(second)}")).status == 200
        assert (await browser.get(f"{CALLBACK}?{urlencode(first)}")).status == 200


async def test_a_program_without_a_token_gets_401_and_no_redirect(scene: Scene) -> None:
    async with ClientSession(scene.console.url) as program:
        for path, accept in (("/index.json", "text/html"), ("/", "application/json"), ("/", "text/event-stream")):
            response = await program.get(path, headers={"Accept": accept}, allow_redirects=False)
            assert response.status == 401


@pytest.mark.parametrize("scene", [{"client_secret": SecretBytes(b"wrong")}], indirect=True)
async def test_a_wrong_secret_of_the_console_is_a_clear_error_without_the_secret(scene: Scene) -> None:
    async with scene.console.browser() as browser:
        text = await scene.sign_in(browser, "ada")
        assert "invalid_client" in text
        assert "wrong" not in text


async def test_a_new_key_of_the_provider_is_found(scene: Scene) -> None:
    scene.provider.rotate(keep=False)
    async with scene.console.browser() as browser:
        assert re.search(r"#ada \(", await scene.sign_in(browser, "ada"))


async def test_another_replica_with_the_same_key_takes_the_second_step(scene: Scene) -> None:
    async with scene.console.browser() as browser:
        answer = await scene.answer("ada", await scene.authorization_url(browser))
        cookies = {cookie.key: cookie.value for cookie in browser.cookie_jar}
    async with other_replica(scene) as other, other.browser() as browser:
        response = await browser.get(f"{CALLBACK}?{urlencode(answer)}", cookies=cookies, headers=host(scene))
        assert response.status == 200, await response.text()
