"""What a legacy client sets in its session with a modern server, which knows no sessions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway, running_gateway
from mcp_caller import LEGACY, McpCaller, legacy, mcp_caller
from modern_server import complete, initialized, meta_of, modern_server, refused
from servers_by_era import everything
from upstreams import Arrived, Upstream, events

from ostiary_operator.demo.served_eras import ServedEras

CALL = legacy("tools/call", {"name": "t", "arguments": {}}, id=7)
URI = "test://watched-resource"


@asynccontextmanager
async def bridged(**options: Any) -> AsyncIterator[tuple[RunningGateway, Upstream, McpCaller]]:
    """A gateway before a scripted modern server, and a caller without a session."""
    async with modern_server(**options) as upstream, running_gateway() as gateway, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        yield gateway, upstream, caller


async def test_initialize_tells_what_the_server_tells_of_itself() -> None:
    async with bridged() as (_, upstream, caller):
        result = (await initialized(caller, revision="2025-06-18")).result

    assert result["protocolVersion"] == "2025-06-18"
    assert result["capabilities"]["resources"] == {"subscribe": True, "listChanged": True}
    assert caller.session is not None
    assert caller.session.startswith("2.")
    assert [each.method for each in upstream.arrived].count("server/discover") <= 2


async def test_each_request_is_one_request_to_the_server_with_what_the_session_told() -> None:
    async with bridged() as (_, upstream, caller):
        await initialized(caller, {"elicitation": {}, "tasks": {}})
        before = len(upstream.arrived)
        await caller.post(legacy("logging/setLevel", {"level": "warning"}))
        assert (await caller.post(CALL)).result == {"content": []}
        assert (await caller.post(legacy("ping"))).result == {}
        (arrived,) = upstream.arrived[before:]

    assert (arrived.headers["Mcp-Method"], arrived.headers["Mcp-Name"]) == ("tools/call", "t")
    assert arrived.headers["MCP-Protocol-Version"] == "2026-07-28"
    assert "Mcp-Session-Id" not in arrived.headers
    meta = meta_of(arrived)
    assert meta["clientCapabilities"] == {"elicitation": {}}
    assert meta["clientInfo"] == {"name": "test", "version": "1"}
    assert meta["logLevel"] == "warning"


async def test_an_unknown_log_level_is_refused() -> None:
    async with bridged() as (_, __, caller):
        await initialized(caller)
        assert (await caller.post(legacy("logging/setLevel", {"level": "loud"}))).error["code"] == -32602


async def test_a_session_that_its_client_has_deleted_is_over() -> None:
    async with bridged() as (_, __, caller):
        await initialized(caller)
        assert (await caller.request("DELETE", {})).status == 200
        assert (await caller.post(CALL)).status == 404


async def test_a_request_without_a_session_declares_nothing() -> None:
    async with bridged() as (_, upstream, caller):
        await initialized(caller)
        caller.session = None
        assert (await caller.post(CALL, {"MCP-Protocol-Version": LEGACY})).result == {"content": []}

    assert meta_of(upstream.arrived[-1])["clientCapabilities"] == {}


async def test_a_cancelled_request_ends_at_the_server() -> None:
    async def hang(request: web.BaseRequest, _: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await asyncio.Event().wait()
        return stream.response

    async with bridged(call=hang) as (_, upstream, caller):
        await initialized(caller)
        waiting = asyncio.ensure_future(caller.post(CALL))
        arrived = await upstream.first("tools/call")
        cancelled = legacy("notifications/cancelled", {"requestId": 7}, id=None)
        assert (await caller.post(cancelled)).status == 202
        await asyncio.wait_for(arrived.gone.wait(), 60)
        assert "cancelled" in (await waiting).error["message"]


async def test_only_the_session_of_a_request_can_cancel_it() -> None:
    answering = asyncio.Event()

    async def wait(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        await answering.wait()
        return complete(arrived, {"content": []})

    async with bridged(call=wait) as (gateway, upstream, caller), mcp_caller(gateway.url()) as other:
        await initialized(caller)
        await initialized(other)
        waiting = asyncio.ensure_future(caller.post(CALL))
        await upstream.first("tools/call")
        await other.post(legacy("notifications/cancelled", {"requestId": 7}, id=None))
        answering.set()
        assert (await waiting).result == {"content": []}


async def test_a_client_hears_of_a_resource_that_it_subscribes_to_while_its_stream_is_open() -> None:
    async with (
        everything(sdk="python", eras=ServedEras.MODERN) as url,
        running_gateway() as gateway,
        mcp_caller(gateway.url()) as caller,
    ):
        await gateway.apply(gateway.entry("mock", url))
        await initialized(caller)
        async with caller.listen() as stream:
            assert stream.status == 200
            assert (await caller.post(legacy("resources/subscribe", {"uri": URI}))).result == {}
            await caller.post(legacy("tools/call", {"name": "test_touch_resource", "arguments": {}}))
            assert await stream.message() == {
                "jsonrpc": "2.0",
                "method": "notifications/resources/updated",
                "params": {"uri": URI},
            }
            assert (await caller.post(legacy("resources/unsubscribe", {"uri": URI}))).result == {}
            await caller.post(legacy("tools/call", {"name": "test_touch_resource", "arguments": {}}))
            await caller.post(legacy("tools/call", {"name": "test_trigger_tool_change", "arguments": {}}))
            assert (await stream.message())["method"] == "notifications/tools/list_changed"


async def test_a_stream_of_changes_cannot_be_resumed() -> None:
    async with bridged() as (_, __, caller):
        await initialized(caller)
        reply = await caller.request("GET", {"Accept": "text/event-stream", "Last-Event-ID": "7"})

    assert reply.status == 405


TOOL = {
    "name": "t",
    "inputSchema": {
        "type": "object",
        "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "count": {"type": "integer", "x-mcp-header": "Count"},
            "dry": {"type": "boolean", "x-mcp-header": "Dry"},
        },
    },
}


async def test_the_gateway_writes_the_headers_that_mirror_arguments() -> None:
    async with bridged(tools=[TOOL]) as (_, upstream, caller):
        await initialized(caller)
        await caller.post(legacy("tools/list"))
        call = legacy("tools/call", {"name": "t", "arguments": {"region": "Zürich", "count": 3, "dry": None}})
        await caller.post(call, {"Mcp-Param-Region": "forged", "Mcp-Param-Other": "forged"})

    headers = upstream.arrived[-1].headers
    assert headers["Mcp-Param-Region"] == "=?base64?WsO8cmljaA==?="
    assert headers["Mcp-Param-Count"] == "3"
    assert "Mcp-Param-Dry" not in headers
    assert "Mcp-Param-Other" not in headers


async def test_a_server_that_misses_such_a_header_is_asked_for_its_list_and_called_once_more() -> None:
    async def strict(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if "Mcp-Param-Region" not in arrived.headers:
            return refused(arrived, -32020)
        return complete(arrived, {"content": []})

    async with bridged(call=strict, tools=[TOOL]) as (_, upstream, caller):
        await initialized(caller)
        call = legacy("tools/call", {"name": "t", "arguments": {"region": "eu"}})
        assert (await caller.post(call)).result == {"content": []}
        assert (await caller.post(call)).result == {"content": []}

    sent = [each.method for each in upstream.arrived if each.method.startswith("tools/")]
    assert sent == ["tools/call", "tools/list", "tools/call", "tools/call"]


@pytest.mark.parametrize("code", [-32020, -32601, -32602])
async def test_an_error_arrives_with_the_status_that_legacy_clients_read(code: int) -> None:
    async def refuse(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return refused(arrived, code, status=404 if code == -32601 else 400)

    async with bridged(call=refuse) as (_, upstream, caller):
        await initialized(caller)
        reply = await caller.post(CALL)

    assert reply.status == 200
    assert reply.error["code"] == (-32603 if code == -32020 else code)
    assert upstream.count("tools/call") == 1
