"""``Mcp-Param-*`` through a real gateway: a header that contradicts the body never reaches the server (SEP-2243)."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from gateways import RunningGateway, policy
from mcp_caller import LEGACY, McpCaller, legacy, mcp_caller, modern
from upstreams import Arrived, Upstream, answer, document, events, serving, with_handshake

pytestmark = pytest.mark.usefixtures("two_proxies")

DEPLOY = {
    "name": "deploy",
    "inputSchema": {
        "type": "object",
        "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "count": {"type": "integer", "x-mcp-header": "Count"},
        },
    },
}
CALL = {"name": "deploy", "arguments": {"region": "eu-west1", "count": 3}}


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method != "tools/list":
            return document(answer(arrived, {"content": []}))
        result = {"tools": [DEPLOY]}
        if arrived.message.get("params", {}).get("cursor") != "events":
            return document(answer(arrived, result))
        async with events(request) as stream:
            await stream.send(answer(arrived, result))
        return stream.response

    async with serving(with_handshake(script)) as upstream:
        yield upstream


@pytest.mark.parametrize("cursor", ["document", "events"])
@pytest.mark.parametrize("header", [{"Mcp-Param-Region": "us-west1"}, {"mcp-param-count": "4"}])
async def test_a_contradiction_is_refused_and_not_forwarded(
    caller: McpCaller, upstream: Upstream, header: dict[str, str], cursor: str
) -> None:
    await caller.post(modern("tools/list", {"cursor": cursor}))
    reply = await caller.post(modern("tools/call", CALL, id=9), header)

    assert (reply.status, reply.json["error"]["code"], reply.json["id"]) == (400, -32020, 9)
    assert upstream.count("tools/call") == 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Mcp-Param-Region": "eu-west1", "Mcp-Param-Count": "3"},
        {"Mcp-Param-Region": "=?base64?ZXUtd2VzdDE=?=", "Mcp-Param-Count": "3.0"},
        {"Mcp-Param-Other": "whatever"},
    ],
)
async def test_what_agrees_or_is_unknown_is_handed_on_as_it_came(
    caller: McpCaller, upstream: Upstream, headers: dict[str, str]
) -> None:
    await caller.post(modern("tools/list"))

    assert (await caller.post(modern("tools/call", CALL), headers)).status == 200
    sent = upstream.arrived[-1].headers
    assert {name: sent[name] for name in headers} == headers


async def test_of_a_tool_that_was_never_listed_the_server_judges(caller: McpCaller, upstream: Upstream) -> None:
    reply = await caller.post(modern("tools/call", CALL), {"Mcp-Param-Region": "us-west1"})

    assert reply.status == 200
    assert upstream.arrived[-1].headers["Mcp-Param-Region"] == "us-west1"


@pytest.mark.parametrize("value", ["=?base64?!!!?=", "=?base64?ZXU?=", "=?base64?/w==?="])
async def test_a_broken_encoding_is_refused_of_any_tool(caller: McpCaller, upstream: Upstream, value: str) -> None:
    reply = await caller.post(modern("tools/call", CALL), {"Mcp-Param-Whatever": value})

    assert (reply.status, reply.json["error"]["code"]) == (400, -32020)
    assert upstream.arrived == []


async def test_the_report_of_one_server_is_not_used_for_another(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream
) -> None:
    await caller.post(modern("tools/list"))
    async with mcp_caller(gateway.url("other")) as other:
        assert (await other.post(modern("tools/call", CALL), {"Mcp-Param-Region": "us-west1"})).status == 200


async def test_a_filtered_list_teaches_as_well(gateway: RunningGateway, caller: McpCaller, upstream: Upstream) -> None:
    rule = {"name": "r", "effect": "Allow", "tools": {"names": ["deploy"]}}
    await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", rule)]))
    await caller.post(modern("tools/list"))

    assert (await caller.post(modern("tools/call", CALL), {"Mcp-Param-Region": "us-west1"})).status == 400


@pytest.mark.parametrize("cursor", ["document", "events"])
async def test_a_list_that_comes_again_after_another_teaches_again(
    caller: McpCaller, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, cursor: str
) -> None:
    zone = {"type": "object", "properties": {"zone": {"type": "string", "x-mcp-header": "Region"}}}
    for schema in (DEPLOY["inputSchema"], zone, DEPLOY["inputSchema"]):  # a new release of the server, and back
        monkeypatch.setitem(DEPLOY, "inputSchema", schema)
        await caller.post(modern("tools/list", {"cursor": cursor}))

    assert (await caller.post(modern("tools/call", CALL), {"Mcp-Param-Region": "eu-west1"})).status == 200
    assert (await caller.post(modern("tools/call", CALL), {"Mcp-Param-Region": "us-west1"})).status == 400


async def test_a_session_knows_no_mirrored_parameters_and_hands_none_on(caller: McpCaller, upstream: Upstream) -> None:
    await caller.initialize()
    await caller.post(legacy("tools/list"))

    headers = {"Mcp-Param-Region": "us-west1", "MCP-Protocol-Version": LEGACY}
    assert (await caller.post(legacy("tools/call", CALL), headers)).status == 200
    assert "Mcp-Param-Region" not in upstream.arrived[-1].headers
