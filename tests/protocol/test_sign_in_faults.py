"""Faults of a real authorization server: revoked tokens, new keys, another clock, and the server being down."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any, Literal

import pytest
from authorization_server import AuthorizationServer, authorization_server
from gateways import RunningGateway, policy
from headless_browser import HeadlessBrowser
from mcp_caller import mcp_caller
from mcp_clients import ERAS, Era, eventually
from oauth_clients import signed_in
from oauth_processes import CLIENTS, SdkProcess, oauth_process
from sign_in import CALL, Endpoint, introspecting, revoke, tokens, trusting
from ticket_server import TicketServer

pytestmark = pytest.mark.node
READ: dict[str, Any] = {"name": "read_ticket", "arguments": {"number": 7}}


@pytest.fixture
def provider(provider_process: AuthorizationServer) -> AuthorizationServer:
    return provider_process


@pytest.fixture
def own_provider() -> Iterator[AuthorizationServer]:
    """One that a test may stop, or give new keys."""
    with authorization_server() as server:
        yield server


@pytest.fixture
def endpoint(gateway: RunningGateway, tickets: TicketServer) -> Endpoint:
    return Endpoint(gateway, tickets.url)


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

    await eventually(is_refused, seconds=9)  # on purpose: less than the time for which other verdicts count


async def test_the_open_stream_of_a_revoked_opaque_token_is_closed_and_those_of_others_stay(
    endpoint: Endpoint, provider: AuthorizationServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ostiary_gateway.pipeline.open_streams._REVOCATION_CHECK_SECONDS", 0.05)
    provider.serve(endpoint.url, tokens="opaque")
    await endpoint.govern(introspecting(provider, cache=0), policy("rules", {"name": "all", "effect": "Allow"}))
    async with AsyncExitStack() as stack:
        found, streams = [], []
        for user in ("ada", "eve"):
            token = await tokens(provider, HeadlessBrowser(user), resource=endpoint.url, scope="users:read")
            credential = {"Authorization": f"Bearer {token['access_token']}"}
            caller = await stack.enter_async_context(mcp_caller(endpoint.url, credential=credential))
            await caller.initialize()
            found.append(token["access_token"])
            streams.append(await stack.enter_async_context(caller.listen()))

        await revoke(provider, found[0])

        assert await streams[0].ended()
        reading = {"name": "read", "effect": "Allow", "tools": {"names": ["read_*"]}}
        await endpoint.govern(introspecting(provider, cache=0), policy("rules", reading))
        assert (await streams[1].message())["method"].endswith("/list_changed")


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
        assert len(session.browser.queries) == 1

    sessions = {headers["mcp-session-id"] for headers in tickets.headers if "mcp-session-id" in headers}
    assert len(sessions) == (1 if era == "legacy" else 0)


@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_a_client_of_another_sdk_goes_on_in_its_session_when_the_server_signs_with_a_new_key(
    endpoint: Endpoint,
    tickets: TicketServer,
    own_provider: AuthorizationServer,
    monkeypatch: pytest.MonkeyPatch,
    sdk: SdkProcess,
    era: Era,
) -> None:
    monkeypatch.setattr("ostiary_gateway.identity.jwks._DISTANCE_SECONDS", 0.0)
    by_clock = sdk == "python-v1"  # it signs in again at a 401
    own_provider.serve(endpoint.url, first_seconds=None if by_clock else 2)
    await endpoint.govern(trusting(own_provider, clock_skew=0))
    browser = HeadlessBrowser("ada")
    async with oauth_process(sdk, endpoint.url, era=era, browser=browser) as client:
        own_provider.rotate(keep=False)
        if by_clock:
            await client.run("expire")

        async def has_refreshed() -> bool:
            await client.run("callTool", **READ)
            return len((await client.run("state"))["tokens"]) == 2

        await eventually(has_refreshed)
    assert len(browser.queries) == 1
    sessions = {headers["mcp-session-id"] for headers in tickets.headers if "mcp-session-id" in headers}
    assert len(sessions) == (1 if era == "legacy" else 0)


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


@pytest.mark.parametrize(
    ("kind", "why"),
    # The result of introspection names the scheme DPoP as well as the key.
    [("jwt", "bound to a key of its client"), ("opaque", "no access token for the scheme Bearer")],
)
async def test_a_token_that_is_bound_to_a_key_of_its_client_is_no_bearer_token(
    endpoint: Endpoint, provider: AuthorizationServer, kind: Literal["jwt", "opaque"], why: str
) -> None:
    provider.serve(endpoint.url, tokens=kind)
    await endpoint.govern(trusting(provider) if kind == "jwt" else introspecting(provider))
    found = await tokens(provider, HeadlessBrowser("ada"), resource=endpoint.url, scope="users:read", bound=True)
    assert found["token_type"] == "DPoP"

    for scheme in ("Bearer", "DPoP"):
        async with mcp_caller(
            endpoint.url, credential={"Authorization": f"{scheme} {found['access_token']}"}
        ) as caller:
            reply = await caller.post(CALL)
        assert reply.status == 401
        assert (why in reply.headers["WWW-Authenticate"]) == (scheme == "Bearer")
