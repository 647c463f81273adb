"""Sessions with a real authorization server: step-up, refresh, revocation, new keys, and the server being down."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from authorization_server import GATEWAY_SECRET, AuthorizationServer, authorization_server
from gateways import RunningGateway, policy
from headless_browser import HeadlessBrowser
from mcp_caller import mcp_caller, modern
from mcp_clients import ERAS, Era, eventually
from oauth_clients import Registration, signed_in
from oauth_processes import CLIENTS, OAuthProcessError, SdkProcess, oauth_process
from sign_in import SECRET_NAME, introspecting, local_url, revoke, tokens, trusting
from ticket_server import TicketServer, ticket_server

from ostiary_core.contract.documents import PolicyDocument

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
async def tickets() -> AsyncIterator[TicketServer]:
    async with ticket_server() as server:
        yield server


@pytest.fixture
def provider(provider_process: AuthorizationServer) -> AuthorizationServer:
    return provider_process


@pytest.fixture
def own_provider() -> Iterator[AuthorizationServer]:
    """One that a test may stop, or give new keys."""
    with authorization_server() as server:
        yield server


class Endpoint:
    """A proxy of the ticket server whose policies a test changes."""

    def __init__(self, gateway: RunningGateway, tickets: TicketServer) -> None:
        local_url(gateway)
        gateway.credentials = {SECRET_NAME: GATEWAY_SECRET.encode()}
        self._gateway = gateway
        self._tickets = tickets
        self.url = gateway.url("tickets")

    async def govern(self, *policies: PolicyDocument) -> None:
        await self._gateway.apply(self._gateway.entry("tickets", self._tickets.url, policies))

    async def status(self, token: str) -> int:
        """The status of a call with a token."""
        async with mcp_caller(self.url, credential={"Authorization": f"Bearer {token}"}) as caller:
            return (await caller.post(CALL)).status


@pytest.fixture
def endpoint(gateway: RunningGateway, tickets: TicketServer) -> Endpoint:
    return Endpoint(gateway, tickets)


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


async def test_a_revoked_opaque_token_stops_within_the_time_that_the_policy_lets_results_count(
    endpoint: Endpoint, provider: AuthorizationServer
) -> None:
    provider.serve(endpoint.url, tokens="opaque")
    await endpoint.govern(introspecting(provider, cache=0))
    token = (await tokens(provider, HeadlessBrowser("ada"), resource=endpoint.url, scope="users:read"))["access_token"]
    assert await endpoint.status(token) == 200

    await revoke(provider, token)

    assert await endpoint.status(token) == 401


async def test_a_revoked_opaque_token_counts_for_as_long_as_its_result_is_kept(
    endpoint: Endpoint, provider: AuthorizationServer
) -> None:
    provider.serve(endpoint.url, tokens="opaque")
    await endpoint.govern(introspecting(provider, cache=1_000))
    token = (await tokens(provider, HeadlessBrowser("ada"), resource=endpoint.url, scope="users:read"))["access_token"]
    assert await endpoint.status(token) == 200
    await revoke(provider, token)

    async def is_refused() -> bool:
        return await endpoint.status(token) == 401

    await eventually(is_refused, seconds=9)  # less than the time for which other verdicts count


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_goes_on_in_its_session_when_the_server_signs_with_a_new_key(
    endpoint: Endpoint,
    tickets: TicketServer,
    own_provider: AuthorizationServer,
    monkeypatch: pytest.MonkeyPatch,
    era: Era,
) -> None:
    # The keys were fetched a moment ago, and the gateway waits between two fetches.
    monkeypatch.setattr("ostiary_gateway.identity.jwks._DISTANCE_SECONDS", 0.0)
    own_provider.serve(endpoint.url)
    await endpoint.govern(trusting(own_provider))
    async with signed_in(endpoint.url, era=era, browser=HeadlessBrowser("ada")) as session:
        await session.client.call_tool(READ["name"], READ["arguments"])
        former = session.tokens[-1]
        own_provider.rotate(keep=False)
        session.expire()
        await session.client.call_tool(READ["name"], READ["arguments"])
        assert former != session.tokens[-1]

    assert len(sessions(tickets)) == (1 if era == "legacy" else 0)


async def test_known_and_new_tokens_of_known_keys_are_accepted_while_the_server_is_down(
    endpoint: Endpoint, own_provider: AuthorizationServer
) -> None:
    own_provider.serve(endpoint.url)
    await endpoint.govern(trusting(own_provider))
    browser = HeadlessBrowser("ada")
    used, unused = [await tokens(own_provider, browser, resource=endpoint.url, scope="users:read") for _ in range(2)]
    assert await endpoint.status(used["access_token"]) == 200

    own_provider.stop()

    assert await endpoint.status(used["access_token"]) == 200
    assert await endpoint.status(unused["access_token"]) == 200
    assert await endpoint.status("invented") == 401


async def test_while_the_server_is_down_known_opaque_tokens_are_accepted_and_unknown_ones_answered_with_503(
    endpoint: Endpoint, own_provider: AuthorizationServer
) -> None:
    own_provider.serve(endpoint.url, tokens="opaque")
    await endpoint.govern(introspecting(own_provider, cache=600_000))
    browser = HeadlessBrowser("ada")
    used, unused = [await tokens(own_provider, browser, resource=endpoint.url, scope="users:read") for _ in range(2)]
    assert await endpoint.status(used["access_token"]) == 200

    own_provider.stop()

    assert await endpoint.status(used["access_token"]) == 200
    assert await endpoint.status(unused["access_token"]) == 503


@pytest.mark.parametrize(("clock_skew", "status"), [(0, 401), (60_000, 200)])
async def test_the_clock_of_the_server_may_be_ahead_by_the_configured_skew(
    endpoint: Endpoint, clock_skew: int, status: int
) -> None:
    with authorization_server(clock_offset=30) as ahead:
        ahead.serve(endpoint.url)
        await endpoint.govern(trusting(ahead, clock_skew=clock_skew))
        found = await tokens(ahead, HeadlessBrowser("ada"), resource=endpoint.url, scope="users:read")
        assert await endpoint.status(found["access_token"]) == status


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
