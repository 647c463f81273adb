"""Sign-in with a real authorization server: each official SDK's own OAuth client, from 401 to a call of a tool."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from authorization_server import GATEWAY_SECRET, AuthorizationServer, authorization_server
from client_certificates import Authority
from gateways import RunningGateway, policy
from headless_browser import HeadlessBrowser
from mcp_clients import ERAS, Era
from oauth_clients import REGISTRATIONS, Registration, signed_in
from oauth_processes import CLIENTS, SdkProcess, oauth_process
from sign_in import (
    SECRET_NAME,
    client_document,
    introspecting,
    local_url,
    loopback_certificate,
    tokens,
    trust_in,
    trusting,
)
from ticket_server import TicketServer

pytestmark = pytest.mark.node
READ: dict[str, Any] = {"name": "read_ticket", "arguments": {"number": 7}}


@pytest.fixture
def provider(provider_process: AuthorizationServer) -> AuthorizationServer:
    return provider_process


@pytest.fixture
async def document(authority: Authority, tmp_path: Path) -> AsyncIterator[str]:
    async with client_document(loopback_certificate(authority), tmp_path) as url:
        yield url


@pytest.fixture
async def endpoint(gateway: RunningGateway, tickets: TicketServer, provider: AuthorizationServer) -> str:
    """The URL of a proxy that accepts the JWTs of the provider."""
    local_url(gateway)
    await gateway.apply(gateway.entry("tickets", tickets.url, [trusting(provider)]))
    provider.serve(gateway.url("tickets"))
    return gateway.url("tickets")


def check_request(browser: HeadlessBrowser, url: str) -> None:
    """Check how the browser was sent to the provider, and what it was asked for there."""
    (query,) = browser.queries
    assert (query["resource"], query["code_challenge_method"]) == (url, "S256")
    assert browser.submitted == ["login", "consent"]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("registration", REGISTRATIONS)
async def test_a_python_client_without_a_token_signs_in_and_calls_a_tool(
    endpoint: str, tickets: TicketServer, document: str, era: Era, registration: Registration
) -> None:
    browser = HeadlessBrowser("ada")
    async with signed_in(endpoint, era=era, browser=browser, registration=registration, document=document) as session:
        result = await session.client.call_tool(READ["name"], READ["arguments"])
        used = session.storage.client

    assert "ticket 7" in str(result.content)
    check_request(browser, endpoint)
    assert used is not None
    assert (used.client_id == document) == (registration == "metadata-document")
    assert not any("authorization" in headers for headers in tickets.headers)


@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
@pytest.mark.parametrize("registration", REGISTRATIONS)
async def test_a_client_of_another_sdk_without_a_token_signs_in_and_calls_a_tool(
    endpoint: str, tickets: TicketServer, document: str, sdk: SdkProcess, era: Era, registration: Registration
) -> None:
    browser = HeadlessBrowser("ada")
    async with oauth_process(
        sdk, endpoint, era=era, browser=browser, registration=registration, document=document
    ) as client:
        result = await client.run("callTool", **READ)
        used = (await client.run("state"))["client"]

    assert "ticket 7" in str(result)
    check_request(browser, endpoint)
    assert (used["client_id"] == document) == (registration == "metadata-document")
    assert not any("authorization" in headers for headers in tickets.headers)


@pytest.fixture
async def opaque(gateway: RunningGateway, tickets: TicketServer, provider: AuthorizationServer) -> str:
    """The URL of a proxy whose callers have opaque tokens."""
    local_url(gateway)
    gateway.credentials = {SECRET_NAME: GATEWAY_SECRET.encode()}
    await gateway.apply(gateway.entry("tickets", tickets.url, [introspecting(provider)]))
    provider.serve(gateway.url("tickets"), tokens="opaque")
    return gateway.url("tickets")


@pytest.mark.parametrize("era", ERAS)
async def test_a_python_client_calls_a_tool_with_an_opaque_token(opaque: str, era: Era) -> None:
    async with signed_in(opaque, era=era, browser=HeadlessBrowser("ada")) as session:
        result = await session.client.call_tool(READ["name"], READ["arguments"])
        assert "." not in session.tokens[0]

    assert "ticket 7" in str(result.content)


@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_a_client_of_another_sdk_calls_a_tool_with_an_opaque_token(
    opaque: str, sdk: SdkProcess, era: Era
) -> None:
    async with oauth_process(sdk, opaque, era=era, browser=HeadlessBrowser("ada")) as client:
        result = await client.run("callTool", **READ)
        assert "." not in (await client.run("state"))["tokens"][0]

    assert "ticket 7" in str(result)


SPELLINGS = (
    "http://127.0.0.1:{port}/tickets/mcp/",
    "http://127.0.0.1:{port}/tickets/mcp?team=a",
    "http://localhost:{port}/tickets/mcp",
    "http://LOCALHOST:{port}/tickets/mcp",
)


@pytest.mark.parametrize("typed", SPELLINGS)
@pytest.mark.parametrize("sdk", ["python-v2", "v1", "v2"])
async def test_clients_accept_the_resource_of_the_proxy_for_every_url_that_leads_to_it(
    gateway: RunningGateway, tickets: TicketServer, provider: AuthorizationServer, typed: str, sdk: Any
) -> None:
    local_url(gateway)
    is_named = "localhost" in typed.lower()
    entry = gateway.entry("tickets", tickets.url, [trusting(provider)], hostnames=["localhost"] if is_named else [])
    await gateway.apply(entry)
    resource = gateway.url("tickets").replace("127.0.0.1", "localhost" if is_named else "127.0.0.1")
    provider.serve(resource)

    url, browser = typed.format(port=gateway.app.port), HeadlessBrowser("ada")
    if sdk == "python-v2":
        async with signed_in(url, era="modern", browser=browser) as session:
            await session.client.call_tool(READ["name"], READ["arguments"])
    else:
        async with oauth_process(sdk, url, era="legacy", browser=browser) as client:
            await client.run("callTool", **READ)
    assert browser.queries[0]["resource"] == resource


async def test_a_token_for_another_proxy_of_the_gateway_is_refused(
    gateway: RunningGateway, tickets: TicketServer, provider: AuthorizationServer
) -> None:
    local_url(gateway)
    entries = [gateway.entry(name, tickets.url, [trusting(provider)]) for name in ("tickets", "other")]
    await gateway.apply(*entries)
    for name in ("tickets", "other"):
        provider.serve(gateway.url(name))
    async with signed_in(gateway.url("tickets"), era="legacy", browser=HeadlessBrowser("ada")) as session:
        token = session.tokens[-1]

    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    async with ClientSession() as http, http.get(gateway.url("other"), headers=headers) as response:
        assert response.status == 401
        assert "the token is for another audience" in response.headers["WWW-Authenticate"]


async def test_a_user_who_is_signed_in_is_asked_for_consent_only(endpoint: str) -> None:
    browser = HeadlessBrowser("ada")
    for _ in range(2):
        async with signed_in(endpoint, era="modern", browser=browser, registration="dynamic"):
            pass

    assert browser.submitted == ["login", "consent", "consent"]


async def test_the_sign_in_works_where_only_the_paths_of_rfc_9728_lead_to_the_metadata(
    endpoint: str, gateway: RunningGateway
) -> None:
    """Clients that do not read ``resource_metadata`` try the path of the endpoint, then the root."""
    origin, path = f"http://127.0.0.1:{gateway.app.port}", "/tickets/mcp"
    async with ClientSession(origin) as http:
        for suffix in (path, ""):
            async with http.get(f"/.well-known/oauth-protected-resource{suffix}") as response:
                assert (await response.json())["resource"] == endpoint


async def test_the_scopes_of_the_rules_are_asked_for_at_the_first_sign_in(
    gateway: RunningGateway, tickets: TicketServer, provider: AuthorizationServer
) -> None:
    rules = [
        {"name": "read", "effect": "Allow", "tools": {"names": ["read_*"]}, "scopes": ["users:read"]},
        {"name": "delete", "effect": "Allow", "tools": {"names": ["delete_*"]}, "scopes": ["users:write"]},
    ]
    local_url(gateway)
    await gateway.apply(gateway.entry("tickets", tickets.url, [trusting(provider), policy("scopes", *rules)]))
    provider.serve(gateway.url("tickets"))

    browser = HeadlessBrowser("ada")
    async with signed_in(gateway.url("tickets"), era="modern", browser=browser) as session:
        names = {tool.name for tool in (await session.client.list_tools()).tools}

    assert names == {"read_ticket", "delete_ticket"}
    assert {"users:read", "users:write"} <= set(browser.queries[0]["scope"].split())


@pytest.fixture
async def private(
    gateway: RunningGateway, tickets: TicketServer, authority: Authority
) -> AsyncIterator[AuthorizationServer]:
    """A provider over https whose certificate only the policy's bundle verifies, before the proxy `tickets`."""
    local_url(gateway)
    with authorization_server(certificate=loopback_certificate(authority)) as provider:
        assert provider.issuer.startswith("https://")
        provider.serve(gateway.url("tickets"))
        await gateway.apply(gateway.entry("tickets", tickets.url, [trusting(provider, ca=authority.issued.pem)]))
        yield provider


@pytest.mark.usefixtures("private")
@pytest.mark.parametrize("era", ERAS)
async def test_a_python_client_signs_in_where_the_issuer_has_a_private_certificate_authority(
    gateway: RunningGateway, authority: Authority, era: Era
) -> None:
    browser = HeadlessBrowser("ada", trust_in(authority))
    async with signed_in(gateway.url("tickets"), era=era, browser=browser) as session:
        assert "ticket 7" in str((await session.client.call_tool(READ["name"], READ["arguments"])).content)


@pytest.mark.usefixtures("private")
@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_a_client_of_another_sdk_signs_in_where_the_issuer_has_a_private_certificate_authority(
    gateway: RunningGateway, authority: Authority, tmp_path: Path, sdk: SdkProcess, era: Era
) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text(authority.issued.pem)
    browser = HeadlessBrowser("ada", trust_in(authority))
    url = gateway.url("tickets")
    async with oauth_process(sdk, url, era=era, browser=browser, trusted=str(bundle)) as client:
        assert "ticket 7" in str(await client.run("callTool", **READ))


async def test_an_issuer_whose_certificate_nothing_verifies_is_not_reached(
    gateway: RunningGateway, tickets: TicketServer, private: AuthorizationServer, authority: Authority
) -> None:
    found = await tokens(
        private, HeadlessBrowser("ada", trust_in(authority)), resource=gateway.url("tickets"), scope="users:read"
    )
    await gateway.apply(gateway.entry("tickets", tickets.url, [trusting(private)]))
    headers = {"Authorization": f"Bearer {found['access_token']}", "Accept": "text/event-stream"}
    async with ClientSession() as http, http.get(gateway.url("tickets"), headers=headers) as response:
        assert response.status == 503
