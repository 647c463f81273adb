"""A proxy before the gateway may send the requests of many callers over one connection: each stays its own.

What the gateway remembers of a connection's heads and credentials must serve the very same head only.
"""

import json

import pytest
from aiohttp import web
from api_keys import AGENT_KEY, OTHER_KEY, api_key, keyed
from gateways import RunningGateway
from mcp_caller import legacy, mcp_caller
from upstreams import Arrived, Upstream, answer, document, serving, with_handshake
from wire import RawReply, Wire, connected, post

from ostiary_gateway.server.connection_limits import SLICE_BYTES

AGENT = api_key(AGENT_KEY)
OTHER = api_key(OTHER_KEY, "default/other")
PING = json.dumps(legacy("ping")).encode()
REVISION = "MCP-Protocol-Version: 2025-06-18"


class Scene:
    """A server that opens sessions and answers pings."""

    async def script(self, _request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(answer(arrived, {}))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def bearer(key: str) -> str:
    return f"Authorization: Bearer {key}"


async def said(wire: Wire, data: bytes) -> RawReply:
    await wire.send(data)
    return await wire.reply()


async def asked_who(wire: Wire, *lines: str) -> str:
    """Return who the gateway says that sends a request, or the status of its refusal."""
    reply = await said(wire, post("/mock/mcp/whoami", b"{}", *lines))
    return str(reply.json["principal"]["consumer"]) if reply.status == 200 else str(reply.status)


async def test_each_request_of_a_shared_connection_is_its_own_callers(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT, OTHER)]))
    async with connected(gateway.app.port) as wire:
        for key in (AGENT_KEY, AGENT_KEY, AGENT_KEY, OTHER_KEY, "unknown-key-0123456", AGENT_KEY, OTHER_KEY, OTHER_KEY):
            expected = {AGENT_KEY: "default/agent", OTHER_KEY: "default/other"}.get(key, "401")
            assert await asked_who(wire, bearer(key)) == expected
        assert await asked_who(wire) == "401"
        assert await asked_who(wire, bearer(AGENT_KEY), bearer(AGENT_KEY)) == "400"
        assert await asked_who(wire, bearer(AGENT_KEY)) == "default/agent"


async def test_a_key_that_its_connection_repeats_is_refused_once_it_is_removed_and_anothers_once_it_moves(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT, OTHER)]))
    async with connected(gateway.app.port) as wire:
        for _ in range(4):
            assert await asked_who(wire, bearer(AGENT_KEY)) == "default/agent"
        await gateway.apply(gateway.entry("mock", upstream.url, [keyed(OTHER)]))
        for _ in range(2):
            assert await asked_who(wire, bearer(AGENT_KEY)) == "401"
        moved = api_key(AGENT_KEY, "default/third")
        await gateway.apply(gateway.entry("mock", upstream.url, [keyed(moved)], uid="uid-second"))
        assert await asked_who(wire, bearer(AGENT_KEY)) == "default/third"


async def test_a_session_on_a_shared_connection_is_unknown_to_every_other_caller_and_proxy(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    policies = [keyed(AGENT, OTHER)]
    await gateway.apply(*(gateway.entry(name, upstream.url, policies) for name in ("mock", "other")))
    async with mcp_caller(gateway.url(), credential={"Authorization": f"Bearer {AGENT_KEY}"}) as caller:
        await caller.initialize()
    lines = (f"Mcp-Session-Id: {caller.session}", REVISION)
    async with connected(gateway.app.port) as wire:
        for _ in range(4):
            assert (await said(wire, post("/mock/mcp", PING, *lines, bearer(AGENT_KEY)))).status == 200
        assert (await said(wire, post("/mock/mcp", PING, *lines, bearer(OTHER_KEY)))).status == 404
        assert (await said(wire, post("/other/mcp", PING, *lines, bearer(AGENT_KEY)))).status == 404
        assert (await said(wire, post("/mock/mcp", PING, *lines))).status == 401
        assert (await said(wire, post("/mock/mcp", PING, *lines, bearer(AGENT_KEY)))).status == 200


async def test_a_header_with_the_head_of_another_callers_request_does_not_take_that_request(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    """A tenant that knows what others send (no credential: the proxies are open) must not get their requests."""
    async with serving(with_handshake(Scene().script)) as evil:
        await gateway.apply(gateway.entry("mock", upstream.url), gateway.entry("evil", evil.url))
        victims = post("/mock/mcp", PING, REVISION)
        begun = b"POST /evil/mcp HTTP/1.1\r\nX: ".ljust(SLICE_BYTES, b"x")  # a request is parsed slice by slice
        async with connected(gateway.app.port) as wire:
            for data in (victims, begun + victims, victims, victims, victims):
                assert (await said(wire, data)).status == 200
        assert (evil.count("ping"), upstream.count("ping")) == (1, 4)
