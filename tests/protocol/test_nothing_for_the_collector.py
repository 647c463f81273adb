"""A request leaves no reference cycles: the garbage collector would stop all others to find them."""

import gc
from typing import Any

import pytest
from aiohttp import web
from gateways import LONG_TIMEOUTS, LOOPBACK, RunningGateway
from mcp_caller import McpCaller, modern
from mcp_clients import eventually
from merged_proxies import merged
from upstreams import Arrived, answer, document, events, serving, with_handshake

from ostiary_core.contract.documents import ServerConfig
from ostiary_core.contract.server_selection import ListCacheConfig, RoutingRuleConfig
from ostiary_gateway.pipeline.caller_stream import CallerStream
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.sse_filter import SseFilter

OF_A_REQUEST = (CallerStream, Exchange, Leg, SseFilter)


async def streamed(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    """Answer as a stream, after a notification."""
    if not arrived.body:
        return web.Response(status=405)
    async with events(request) as stream:
        await stream.send({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}})
        await stream.send(answer(arrived, {"content": [], "resultType": "complete"}))
    return stream.response


async def written(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    """Answer with a document."""
    if not arrived.body:
        return web.Response(status=405)
    if arrived.method == "tools/list":
        return document(answer(arrived, {"tools": [{"name": "x", "inputSchema": {"type": "object"}}]}))
    return document(answer(arrived, {"content": [], "resultType": "complete"}))


async def is_left_by(caller: McpCaller, message: dict[str, Any]) -> None:
    """Send a message twice, and wait until all of the second one is gone without the collector."""
    await caller.post(message)
    gc.collect()
    gc.disable()
    try:
        reply = await caller.post(message)
        assert reply.status == 200
        await eventually(lambda: not any(type(each) in OF_A_REQUEST for each in gc.get_objects()))
    finally:
        gc.enable()


@pytest.mark.parametrize("script", [streamed, written])
@pytest.mark.parametrize("method", ["tools/call", "tools/list"])
async def test_of_one_server(gateway: RunningGateway, caller: McpCaller, script: Any, method: str) -> None:
    async with serving(script) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url))
        await is_left_by(caller, modern(method, {"name": "x"} if method == "tools/call" else {}))


@pytest.mark.parametrize("script", [streamed, written])
async def test_of_a_server_of_the_other_era(gateway: RunningGateway, caller: McpCaller, script: Any) -> None:
    async with serving(with_handshake(script)) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url, server={"protocol_version": "2025-11-25"}))
        await is_left_by(caller, modern("tools/call", {"name": "x"}))


@pytest.mark.parametrize("script", [streamed, written])
@pytest.mark.parametrize("method", ["tools/call", "tools/list"])
async def test_of_merged_servers(gateway: RunningGateway, caller: McpCaller, script: Any, method: str) -> None:
    async with serving(script) as crm, serving(written) as wiki:
        await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}))
        await is_left_by(caller, modern(method, {"name": "crm_x"} if method == "tools/call" else {}))


ROUTED: dict[str, Any] = {
    "server_selection": "Route",
    "routing": [RoutingRuleConfig(name="all", when=None, servers=["a", "b"])],
}
KEPT: dict[str, Any] = {"list_cache": ListCacheConfig(ttl=60_000, stale_if_error=0)}


@pytest.mark.parametrize("script", [streamed, written])
@pytest.mark.parametrize("method", ["tools/call", "tools/list"])
async def test_of_routed_servers(gateway: RunningGateway, caller: McpCaller, script: Any, method: str) -> None:
    async with serving(script) as first, serving(written) as second:
        urls = {"a": first.url, "b": second.url}
        servers = [
            ServerConfig(name=name, url=url, timeouts=LONG_TIMEOUTS, addresses=LOOPBACK) for name, url in urls.items()
        ]
        await gateway.apply(gateway.entry("mock", "", servers=servers, **ROUTED))
        await is_left_by(caller, modern(method, {"name": "x"} if method == "tools/call" else {}))


async def test_of_a_list_that_is_kept(gateway: RunningGateway, caller: McpCaller) -> None:
    async with serving(written) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url, **KEPT))
        await is_left_by(caller, modern("tools/list", {}))
        await gateway.apply(merged(gateway, {"crm": upstream.url}, **KEPT))
        await is_left_by(caller, modern("tools/list", {}))
