"""Passthrough before a server of the official SDK that does its own OAuth: its sign-in works at the proxy's URL."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import ClientSession
from authorization_server import AuthorizationServer
from client_certificates import Authority
from gateways import RunningGateway, policy
from headless_browser import HeadlessBrowser
from mcp_caller import mcp_caller
from mcp_clients import ERAS, Era
from oauth_clients import REGISTRATIONS, Registration, signed_in
from oauth_processes import CLIENTS, SdkProcess, oauth_process
from sign_in import client_document, local_url, loopback_certificate, oauth_policy, tokens
from ticket_server import JwksVerifier, TicketServer, ticket_server
from typescript_sdk import node_server

from ostiary_core.contract.authentication import AuthenticationConfig

pytestmark = pytest.mark.node
RELAYING = oauth_policy(AuthenticationConfig(passthrough=True), name="relay")
SCOPE = "users:read"


@pytest.fixture
def provider(provider_process: AuthorizationServer) -> AuthorizationServer:
    return provider_process


@pytest.fixture
async def document(authority: Authority, tmp_path: Path) -> AsyncIterator[str]:
    async with client_document(loopback_certificate(authority), tmp_path) as url:
        yield url


@pytest.fixture
async def tickets(
    gateway: RunningGateway, provider: AuthorizationServer, knows_its_public_url: bool
) -> AsyncIterator[TicketServer]:
    """A server that accepts tokens for the URL of the proxy, which its metadata name or not."""
    public = gateway.url("tickets")
    resource = public if knows_its_public_url else "http://tickets.internal/mcp"
    async with ticket_server(JwksVerifier(provider.issuer, public), resource=resource, scopes=[SCOPE]) as server:
        yield server


@pytest.fixture
def knows_its_public_url() -> bool:
    return True


@pytest.fixture
async def endpoint(gateway: RunningGateway, tickets: TicketServer, provider: AuthorizationServer) -> str:
    local_url(gateway)
    await gateway.apply(gateway.entry("tickets", tickets.url, [RELAYING]), gateway.entry("open", tickets.url))
    provider.serve(gateway.url("tickets"))
    return gateway.url("tickets")


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("registration", REGISTRATIONS)
async def test_a_python_client_signs_in_for_the_server_behind_the_proxy(
    endpoint: str, tickets: TicketServer, document: str, era: Era, registration: Registration
) -> None:
    browser = HeadlessBrowser("ada")
    async with signed_in(endpoint, era=era, browser=browser, registration=registration, document=document) as session:
        result = await session.client.call_tool("whoami", {})
        token = session.tokens[-1]

    assert "ada" in str(result.content)
    assert browser.queries[0]["resource"] == endpoint
    assert tickets.headers[-1]["authorization"] == f"Bearer {token}"


@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_a_client_of_another_sdk_signs_in_for_the_server_behind_the_proxy(
    endpoint: str, document: str, sdk: SdkProcess, era: Era
) -> None:
    browser = HeadlessBrowser("ada")
    async with oauth_process(sdk, endpoint, era=era, browser=browser, registration="dynamic") as client:
        result = await client.run("callTool", name="whoami", arguments={})

    assert "ada" in str(result)
    assert browser.queries[0]["resource"] == endpoint


@pytest.mark.parametrize("sdk", [sdk for sdk, era in CLIENTS if era == "legacy"])
async def test_a_client_signs_in_for_a_server_of_the_typescript_sdk(
    gateway: RunningGateway, provider: AuthorizationServer, sdk: SdkProcess
) -> None:
    local_url(gateway)
    url = gateway.url("tickets")
    provider.serve(url)
    settings = {"issuer": provider.issuer, "resource": url, "scopes": [SCOPE]}
    browser = HeadlessBrowser("ada")
    async with node_server("secured", json.dumps(settings)) as server:
        await gateway.apply(gateway.entry("tickets", server, [RELAYING]))
        async with oauth_process(sdk, url, era="legacy", browser=browser, registration="dynamic") as client:
            assert "ada" in str(await client.run("callTool", name="whoami", arguments={}))

    assert (browser.queries[0]["resource"], SCOPE in browser.queries[0]["scope"].split()) == (url, True)


@pytest.mark.parametrize("knows_its_public_url", [True, False])
async def test_the_metadata_name_the_proxy_whatever_the_server_calls_itself(
    endpoint: str, gateway: RunningGateway, provider: AuthorizationServer
) -> None:
    async with ClientSession(f"http://127.0.0.1:{gateway.app.port}") as http:
        for suffix in ("/tickets/mcp", ""):
            async with http.get(f"/.well-known/oauth-protected-resource{suffix}") as response:
                assert response.status == 200
                assert await response.json() == {
                    "resource": endpoint,
                    "authorization_servers": [provider.issuer],
                    "scopes_supported": [SCOPE],
                    "bearer_methods_supported": ["header"],
                }


@pytest.mark.parametrize("knows_its_public_url", [False])
@pytest.mark.parametrize("era", ERAS)
async def test_a_client_signs_in_for_a_server_that_does_not_know_the_proxy(endpoint: str, era: Era) -> None:
    async with signed_in(endpoint, era=era, browser=HeadlessBrowser("ada")) as session:
        assert "ada" in str((await session.client.call_tool("whoami", {})).content)


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_that_refreshes_its_token_keeps_the_session_of_the_server(
    endpoint: str, tickets: TicketServer, era: Era
) -> None:
    async with signed_in(endpoint, era=era, browser=HeadlessBrowser("ada")) as session:
        await session.client.call_tool("whoami", {})
        session.expire()
        assert "ada" in str((await session.client.call_tool("whoami", {})).content)
        assert len(set(session.tokens)) == 2
    sessions = {headers["mcp-session-id"] for headers in tickets.headers if "mcp-session-id" in headers}
    assert len(sessions) == (1 if era == "legacy" else 0)


async def test_the_server_refuses_its_session_to_another_user(endpoint: str, provider: AuthorizationServer) -> None:
    bearers = []
    for user in ("ada", "eve"):
        found: dict[str, Any] = await tokens(provider, HeadlessBrowser(user), resource=endpoint, scope=SCOPE)
        bearers.append({"Authorization": f"Bearer {found['access_token']}"})
    async with mcp_caller(endpoint, credential=bearers[0]) as caller:
        await caller.initialize()
        listed = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        assert (await caller.post(listed)).status == 200
        caller.credential = bearers[1]
        assert (await caller.post(listed)).status == 404


async def test_a_token_with_too_few_scopes_leads_to_a_wider_one(
    endpoint: str, provider: AuthorizationServer, tickets: TicketServer
) -> None:
    narrow = await tokens(provider, HeadlessBrowser("ada"), resource=endpoint, scope="audit")
    assert jwt.decode(narrow["access_token"], options={"verify_signature": False})["scope"] == "audit"
    async with mcp_caller(endpoint, credential={"Authorization": f"Bearer {narrow['access_token']}"}) as caller:
        reply = await caller.post({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})

    assert reply.status == 403
    challenge = reply.headers["WWW-Authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert (
        f'resource_metadata="{endpoint.replace("/tickets", "/.well-known/oauth-protected-resource/tickets")}"'
        in challenge
    )


async def test_rules_by_name_decide_on_top_of_the_server(
    endpoint: str, gateway: RunningGateway, tickets: TicketServer
) -> None:
    rules = policy("rules", {"name": "read", "effect": "Allow", "tools": {"names": ["whoami"]}})
    await gateway.apply(gateway.entry("tickets", tickets.url, [RELAYING, rules]))
    async with signed_in(endpoint, era="modern", browser=HeadlessBrowser("ada")) as session:
        assert [tool.name for tool in (await session.client.list_tools()).tools] == ["whoami"]
        with pytest.raises(Exception, match="Unknown tool"):
            await session.client.call_tool("delete_ticket", {"number": 1})


async def test_the_same_server_gets_no_token_through_a_proxy_without_passthrough(
    endpoint: str, gateway: RunningGateway, provider: AuthorizationServer, tickets: TicketServer
) -> None:
    found = await tokens(provider, HeadlessBrowser("ada"), resource=endpoint, scope=SCOPE)
    before = len(tickets.headers)
    credential = {"Authorization": f"Bearer {found['access_token']}"}
    async with mcp_caller(gateway.url("open"), credential=credential) as caller:
        reply = await caller.post({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})

    assert "WWW-Authenticate" not in reply.headers
    assert len(tickets.headers) > before
    assert not any("authorization" in headers for headers in tickets.headers[before:])
