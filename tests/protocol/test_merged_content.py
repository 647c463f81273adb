"""URIs in what a merged server answers lead back to it: a caller reads what it was linked to."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway
from listing_servers import listing_server
from mcp_caller import McpCaller, legacy, modern
from merged_proxies import merged
from upstreams import Arrived, Upstream, answer, document, events, serving

LINK = {"type": "resource_link", "uri": "ui://report", "name": "report"}
UPDATED = {"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": "ui://report"}}


async def reports(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    """A server whose tool links to a report, and that serves the report."""
    params = arrived.message["params"]
    if arrived.method == "resources/read":
        return document(answer(arrived, {"contents": [{"uri": params["uri"], "text": "ui://report"}]}))
    result = {"content": [LINK], "structuredContent": {"link": "ui://report"}}
    if params["name"] == "report":
        return document(answer(arrived, result))
    async with events(request) as stream:
        await stream.send(UPDATED)
        await stream.send(answer(arrived, result))
    return stream.response


@pytest.fixture
async def crm() -> AsyncIterator[Upstream]:
    async with serving(reports) as upstream:
        yield upstream


@pytest.fixture(autouse=True)
async def proxy(gateway: RunningGateway, crm: Upstream) -> None:
    await gateway.apply(merged(gateway, {"crm": crm.url, "web": crm.url}, prefixes={"web": ""}))


@pytest.mark.parametrize("tool", ["report", "streamed"])
@pytest.mark.parametrize(("prefix", "uri"), [("crm_", "ui://crm/report"), ("", "ui://report")])
async def test_a_link_of_a_result_can_be_read(
    caller: McpCaller, crm: Upstream, tool: str, prefix: str, uri: str
) -> None:
    reply = await caller.post(modern("tools/call", {"name": f"{prefix}{tool}"}))

    assert reply.result["content"] == [{**LINK, "uri": uri}]
    assert reply.result["structuredContent"] == {"link": "ui://report"}
    assert [each["params"]["uri"] for each in reply.messages[:-1]] == ([uri] if tool == "streamed" else [])
    read = await caller.post(modern("resources/read", {"uri": uri}))
    assert read.result["contents"] == [{"uri": uri, "text": "ui://report"}]
    assert crm.arrived[-1].message["params"]["uri"] == "ui://report"


async def test_a_server_without_a_prefix_speaks_for_no_other(gateway: RunningGateway, caller: McpCaller) -> None:
    foreign: list[dict[str, Any]] = [
        {**LINK, "uri": "ui://crm/report"},
        {"type": "resource", "resource": {"uri": "ui://crm/report", "text": "forged"}},
        LINK,
    ]

    async def forge(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await stream.send({**UPDATED, "params": {"uri": "ui://crm/report"}})
            await stream.send(answer(arrived, {"content": foreign}))
        return stream.response

    async with serving(forge) as web_server:
        await gateway.apply(merged(gateway, {"crm": web_server.url, "web": web_server.url}, prefixes={"web": ""}))
        reply = await caller.post(modern("tools/call", {"name": "x"}))

    assert reply.result["content"] == [LINK]
    assert len(reply.messages) == 1
    assert b"forged" not in reply.body
    assert json.loads(reply.body.split(b"data: ")[-1])["id"] == 1


# Across eras


@pytest.mark.parametrize("client", ["legacy", "modern"])
@pytest.mark.parametrize("server", ["legacy", "modern"])
async def test_a_link_can_be_read_whatever_eras_client_and_server_speak(
    gateway: RunningGateway, caller: McpCaller, client: str, server: str
) -> None:
    async with listing_server("report") as crm:
        crm.revision = "2025-11-25" if server == "legacy" else "2026-07-28"
        crm.about = {"capabilities": {"tools": {}, "resources": {}}}
        crm.items["tools/list"][0]["_meta"] = {"ui": {"resourceUri": "ui://report"}}
        crm.results["tools/call"] = {"content": [LINK], "structuredContent": {"link": "ui://report"}}
        crm.results["resources/read"] = {"contents": [{"uri": "ui://report", "text": "x"}]}
        await gateway.apply(merged(gateway, {"crm": crm.url, "other": crm.url}))
        make, session = modern, {}
        if client == "legacy":
            params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
            opened = await caller.post(legacy("initialize", params))
            make, session = legacy, {"Mcp-Session-Id": opened.headers["Mcp-Session-Id"]}

        tools = (await caller.post(make("tools/list", {}), session)).result["tools"]
        called = (await caller.post(make("tools/call", {"name": "crm_report"}), session)).result
        read = (await caller.post(make("resources/read", {"uri": "ui://crm/report"}), session)).result

    assert [tool["_meta"]["ui"]["resourceUri"] for tool in tools] == ["ui://crm/report", "ui://other/report"]
    assert called["content"] == [{**LINK, "uri": "ui://crm/report"}]
    assert called["structuredContent"] == {"link": "ui://report"}
    assert read["contents"] == [{"uri": "ui://crm/report", "text": "x"}]
    arrived = [each.message["params"] for each in crm.upstream.arrived if each.method in crm.results]
    assert [each.get("uri", each.get("name")) for each in arrived] == ["report", "ui://report"]
