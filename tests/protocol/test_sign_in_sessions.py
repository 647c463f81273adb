"""Sessions with a real authorization server: step-up, refresh, revocation, new keys, and the server being down."""

import asyncio
import itertools
from typing import Any

import pytest
from authorization_server import AuthorizationServer
from gateways import RunningGateway, policy
from headless_browser import HeadlessBrowser
from mcp_caller import mcp_caller, modern
from mcp_clients import ERAS, Era, eventually
from oauth_clients import Registration, signed_in
from oauth_processes import CLIENTS, OAuthProcessError, SdkProcess, oauth_process
from sign_in import Endpoint, tokens, trusting
from ticket_server import TicketServer

pytestmark = pytest.mark.node
READ: dict[str, Any] = {"name": "read_ticket", "arguments": {"number": 7}}
DELETE: dict[str, Any] = {"name": "delete_ticket", "arguments": {"number": 7}}
CALL = modern("tools/call", READ)
OPEN = policy("rules", {"name": "all", "effect": "Allow"})
#: To delete needs one more scope than to read.
STRICTER = policy(
    "rules",
    {"name": "read", "effect": "Allow", "tools": {"names": ["read_*"]}},
    {"name": "delete", "effect": "Allow", "tools": {"names": ["delete_*"]}, "scopes": ["users:write", "audit"]},
)


@pytest.fixture
def provider(provider_process: AuthorizationServer) -> AuthorizationServer:
    return provider_process


@pytest.fixture
def endpoint(gateway: RunningGateway, tickets: TicketServer) -> Endpoint:
    return Endpoint(gateway, tickets.url)


def sessions(tickets: TicketServer) -> set[str]:
    """The sessions that the server has seen."""
    return {headers["mcp-session-id"] for headers in tickets.headers if "mcp-session-id" in headers}


@pytest.mark.parametrize("era", ERAS)
async def test_a_python_client_gets_a_wider_token_in_its_session_when_a_call_needs_more_scopes(
    endpoint: Endpoint, tickets: TicketServer, provider: AuthorizationServer, era: Era
) -> None:
    provider.serve(endpoint.url)
    await endpoint.govern(trusting(provider), OPEN)
    browser = HeadlessBrowser("ada")
    async with signed_in(endpoint.url, era=era, browser=browser) as session:
        await session.client.call_tool(READ["name"], READ["arguments"])
        await endpoint.govern(trusting(provider), STRICTER)
        result = await session.client.call_tool(DELETE["name"], DELETE["arguments"])

    assert "deleted 7" in str(result.content)
    assert [{"users:write", "audit"} <= set(query["scope"].split()) for query in browser.queries] == [False, True]
    assert len(sessions(tickets)) == (1 if era == "legacy" else 0)


@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_a_client_of_another_sdk_gets_a_wider_token_in_its_session_when_a_call_needs_more_scopes(
    endpoint: Endpoint, tickets: TicketServer, provider: AuthorizationServer, sdk: SdkProcess, era: Era
) -> None:
    provider.serve(endpoint.url)
    await endpoint.govern(trusting(provider), OPEN)
    browser = HeadlessBrowser("ada")
    # With a refresh token SDK v1 refreshes instead of asking for more scopes.
    registration: Registration = "without-refresh" if sdk == "v1" else "public"
    async with oauth_process(sdk, endpoint.url, era=era, browser=browser, registration=registration) as client:
        await client.run("callTool", **READ)
        await endpoint.govern(trusting(provider), STRICTER)
        result = await client.run("callTool", **DELETE)

    assert "deleted 7" in str(result)
    assert [{"users:write", "audit"} <= set(query["scope"].split()) for query in browser.queries] == [False, True]
    assert len(sessions(tickets)) == (1 if era == "legacy" else 0)


@pytest.mark.parametrize("era", ERAS)
async def test_a_python_client_that_refreshes_its_token_keeps_its_session(
    endpoint: Endpoint, tickets: TicketServer, provider: AuthorizationServer, era: Era
) -> None:
    provider.serve(endpoint.url)
    await endpoint.govern(trusting(provider))
    async with signed_in(endpoint.url, era=era, browser=HeadlessBrowser("ada")) as session:
        await session.client.call_tool(READ["name"], READ["arguments"])
        session.expire()
        result = await session.client.call_tool(READ["name"], READ["arguments"])

        assert "ticket 7" in str(result.content)
        assert len(set(session.tokens)) == 2
        assert len(session.browser.queries) == 1
    assert len(sessions(tickets)) == (1 if era == "legacy" else 0)


@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_a_client_of_another_sdk_whose_token_expires_refreshes_it_and_keeps_its_session(
    endpoint: Endpoint, tickets: TicketServer, provider: AuthorizationServer, sdk: SdkProcess, era: Era
) -> None:
    # The Python SDK refreshes by its own clock, and signs in again at a 401.
    by_clock = sdk == "python-v1"
    provider.serve(endpoint.url, first_seconds=None if by_clock else 2)
    await endpoint.govern(trusting(provider, clock_skew=0))
    browser = HeadlessBrowser("ada")
    async with oauth_process(sdk, endpoint.url, era=era, browser=browser) as client:
        if by_clock:
            await client.run("expire")

        async def has_refreshed() -> bool:
            await client.run("callTool", **READ)
            return len((await client.run("state"))["tokens"]) == 2

        await eventually(has_refreshed)
    assert len(browser.queries) == 1
    assert len(sessions(tickets)) == (1 if era == "legacy" else 0)


@pytest.mark.parametrize("sdk", ["v1", "v2"])
async def test_the_stream_of_a_session_is_closed_with_its_token_and_opened_again_with_a_new_one(
    endpoint: Endpoint, tickets: TicketServer, provider: AuthorizationServer, sdk: SdkProcess
) -> None:
    provider.serve(endpoint.url, first_seconds=2)
    await endpoint.govern(trusting(provider, clock_skew=0), OPEN)
    browser = HeadlessBrowser("ada")
    async with oauth_process(sdk, endpoint.url, era="legacy", browser=browser) as client:

        async def has_refreshed() -> bool:
            return len((await client.run("state"))["tokens"]) == 2

        await eventually(has_refreshed)
        edits = itertools.cycle([STRICTER, OPEN])

        async def hears_of_an_edit() -> bool:
            # The stream may not be open yet: then the client misses the notice of an edit.
            await endpoint.govern(trusting(provider, clock_skew=0), next(edits))
            await asyncio.sleep(0.5)
            return "notifications/tools/list_changed" in (await client.run("state"))["heard"]

        await eventually(hears_of_an_edit)
    assert len(browser.queries) == 1
    assert len(sessions(tickets)) == 1


@pytest.mark.parametrize(("user", "client"), [("eve", "public"), ("ada", "without-refresh")])
async def test_the_session_of_a_client_is_unknown_to_another_user_and_to_another_client_of_the_same_user(
    endpoint: Endpoint, provider: AuthorizationServer, user: str, client: str
) -> None:
    provider.serve(endpoint.url)
    await endpoint.govern(trusting(provider))
    mine = await tokens(provider, HeadlessBrowser("ada"), resource=endpoint.url, scope="users:read")
    other = await tokens(provider, HeadlessBrowser(user), resource=endpoint.url, scope="users:read", client=client)
    refreshed = await tokens(provider, HeadlessBrowser("ada"), resource=endpoint.url, scope="users:read users:write")

    async with mcp_caller(endpoint.url, credential=bearer(mine)) as caller:
        await caller.initialize()
        statuses = []
        for found in (mine, refreshed, other):
            caller.credential = bearer(found)
            statuses.append((await caller.post({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})).status)
    assert statuses == [200, 200, 404]


def bearer(found: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {found['access_token']}"}


async def test_the_typescript_sdk_of_version_1_with_a_refresh_token_cannot_ask_for_more_scopes(
    endpoint: Endpoint, provider: AuthorizationServer
) -> None:
    """A limit of that SDK, which refreshes its token instead: the call fails with the status 403."""
    provider.serve(endpoint.url)
    await endpoint.govern(trusting(provider), OPEN)
    browser = HeadlessBrowser("ada")
    async with oauth_process("v1", endpoint.url, era="legacy", browser=browser) as client:
        await endpoint.govern(trusting(provider), STRICTER)
        with pytest.raises(OAuthProcessError, match="403"):
            await client.run("callTool", **DELETE)
