"""A REST service as an MCP server: each operation of its OpenAPI document is a tool, in both eras."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway, policy, running_gateway
from mcp import MCPError
from mcp_caller import mcp_caller, modern
from mcp_clients import ERAS, Era, connect, start_mock_server
from merged_proxies import merged
from rest_services import ORDERS, described, rest_service
from upstreams import Arrived
from yarl import URL

from ostiary_core.contract.upstream_credentials import UpstreamCredentialConfig


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway() as gateway:
        yield gateway


async def orders(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    """Answer as a service of orders does."""
    if request.method == "POST":
        return web.json_response({"id": 8, **json.loads(arrived.body)}, status=201)
    if request.method == "DELETE":
        return web.Response(status=204)
    if request.path.endswith("/orders"):
        return web.json_response([{"id": 7}])
    return web.json_response({"id": 7})


@pytest.mark.parametrize("era", ERAS)
async def test_each_operation_is_a_tool_with_hints_from_its_method(gateway: RunningGateway, era: Era) -> None:
    async with rest_service(orders) as service:
        await gateway.apply(gateway.entry("orders", service.url, server=described(ORDERS)))
        async with connect(gateway.url("orders"), era=era) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}

    assert sorted(tools) == ["createOrder", "deleteOrder", "getOrder", "listOrders"]
    hints = {name: tool.annotations for name, tool in tools.items()}
    assert {name: each.read_only_hint for name, each in hints.items() if each} == {
        "createOrder": False,
        "deleteOrder": False,
        "getOrder": True,
        "listOrders": True,
    }
    assert hints["deleteOrder"] is not None
    assert hints["deleteOrder"].idempotent_hint is True
    assert tools["createOrder"].input_schema["$defs"]["Item"]["properties"]["parts"]["items"] == {
        "$ref": "#/$defs/Item"
    }


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_becomes_one_request_and_its_answer_a_result(gateway: RunningGateway, era: Era) -> None:
    async with rest_service(orders) as service:
        await gateway.apply(gateway.entry("orders", f"{service.url}/v1/", server=described(ORDERS)))
        async with connect(gateway.url("orders"), era=era) as client:
            got = await client.call_tool("getOrder", {"id": "a b/ü"})
            listed = await client.call_tool("listOrders", {"status": "open", "tag": ["x&y", "z"], "X-Tenant": "t"})
            made = await client.call_tool("createOrder", {"body": {"items": [{"sku": "s"}]}})
            deleted = await client.call_tool("deleteOrder", {"id": "7"})

    assert service.lines == [
        "GET /v1/orders/a%20b%2F%C3%BC",
        "GET /v1/orders?status=open&tag=x%26y&tag=z",
        "POST /v1/orders",
        "DELETE /v1/orders/7",
    ]
    assert (got.structured_content, text_of(got)) == ({"id": 7}, '{"id": 7}')
    assert (listed.structured_content, text_of(listed)) == (None, '[{"id": 7}]')
    assert made.structured_content == {"id": 8, "items": [{"sku": "s"}]}
    assert text_of(deleted) == "HTTP 204 No Content"
    assert service.upstream.arrived[1].headers["X-Tenant"] == "t"
    assert not any(each.is_error for each in (got, listed, made, deleted))


@pytest.mark.parametrize("era", ERAS)
async def test_it_is_merged_with_a_server_that_speaks_mcp(gateway: RunningGateway, era: Era) -> None:
    async with start_mock_server() as mock, rest_service(orders) as service:
        entry, named = merged(gateway, {"mock": mock, "orders": f"{service.url}/v1"})
        servers = [
            each.model_copy(update=described(ORDERS)) if each.name == "orders" else each for each in entry.servers
        ]
        await gateway.apply((entry.model_copy(update={"servers": servers}), named))
        async with connect(gateway.url(), era=era) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            result = await client.call_tool("orders_getOrder", {"id": "7"})
            other = await client.call_tool("mock_get_users", {})
            with pytest.raises(MCPError, match=r"^Unknown tool: orders_nothing$"):  # as of one that a policy hides
                await client.call_tool("orders_nothing", {})

    assert {"orders_getOrder", "mock_get_users"} <= names
    assert result.structured_content == {"id": 7}
    assert not other.is_error


async def test_a_policy_governs_operations_as_it_does_tools(gateway: RunningGateway) -> None:
    readers = policy("readers", {"name": "read", "effect": "Allow", "tools": {"names": ["get*", "list*"]}})
    async with rest_service(orders) as service:
        await gateway.apply(gateway.entry("orders", service.url, [readers], server=described(ORDERS)))
        async with connect(gateway.url("orders"), era="modern") as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            with pytest.raises(MCPError, match="Unknown tool"):
                await client.call_tool("deleteOrder", {"id": "7"})

    assert names == {"getOrder", "listOrders"}
    assert service.lines == []


async def test_the_credential_of_the_server_is_sent_and_never_shown(gateway: RunningGateway) -> None:
    async def repeats(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return web.Response(text=f"refused: {arrived.headers['X-Api-Key']}", status=403)

    gateway.credentials["credential-key"] = b"a-key-of-the-gateway"
    static = {"header": "X-Api-Key", "prefix": "", "secret": "credential-key"}
    async with rest_service(repeats) as service:
        server = described(ORDERS, credential=UpstreamCredentialConfig.model_validate({"static": static}))
        await gateway.apply(gateway.entry("orders", service.url, server=server))
        async with connect(gateway.url("orders"), era="modern") as client:
            result = await client.call_tool("getOrder", {"id": "7"})

    assert service.upstream.arrived[0].headers["X-Api-Key"] == "a-key-of-the-gateway"
    assert (result.is_error, text_of(result)) == (True, "HTTP 403 Forbidden: refused: [credential]")


async def test_calls_go_to_each_of_its_endpoints(gateway: RunningGateway) -> None:
    async with rest_service(orders) as one, rest_service(orders) as two:
        places = [{"address": "127.0.0.1", "port": URL(each.url).port} for each in (one, two)]
        server = described(ORDERS, endpoints=places)
        await gateway.apply(gateway.entry("orders", "http://orders.example/v1", server=server))
        async with connect(gateway.url("orders"), era="modern") as client:
            while not (one.lines and two.lines):
                assert not (await client.call_tool("getOrder", {"id": "7"})).is_error

    assert {*one.lines, *two.lines} == {"GET /v1/orders/7"}
    assert {each.headers["Host"] for each in (*one.upstream.arrived, *two.upstream.arrived)} == {"orders.example"}


async def test_the_url_may_have_a_query_that_every_request_has(gateway: RunningGateway) -> None:
    async with rest_service(orders) as service:
        await gateway.apply(gateway.entry("orders", f"{service.url}/v1?tenant=a", server=described(ORDERS)))
        async with connect(gateway.url("orders"), era="legacy") as client:
            await client.call_tool("listOrders", {"status": "sent"})
            await client.call_tool("getOrder", {"id": "7"})

    assert service.lines == ["GET /v1/orders?tenant=a&status=sent", "GET /v1/orders/7?tenant=a"]


@pytest.mark.parametrize("era", ERAS)
async def test_what_it_does_not_offer_is_refused_as_any_server_does(gateway: RunningGateway, era: Era) -> None:
    async with rest_service(orders) as service:
        await gateway.apply(gateway.entry("orders", service.url, server=described(ORDERS)))
        async with connect(gateway.url("orders"), era=era) as client:
            assert client.server_info is not None
            assert client.server_info.name == "up"
            assert client.instructions == "Orders of the shop."
            with pytest.raises(MCPError):
                await client.list_prompts()
            with pytest.raises(MCPError):
                await client.call_tool("noSuchTool", {})

    assert service.lines == []


def text_of(result: Any) -> str:
    """The text of a result."""
    return str(result.content[0].text)


async def test_lists_are_answered_while_the_circuit_breaker_of_a_rest_service_refuses_calls(
    gateway: RunningGateway,
) -> None:
    async def fails(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return web.Response(status=503)

    breaker = {"error_percent": 50, "minimum_requests": 3, "interval": 60_000, "open_for": 600_000}
    async with rest_service(fails) as service, mcp_caller(gateway.url("orders")) as caller:
        server = {**described(ORDERS), "circuit_breaker": breaker}
        await gateway.apply(gateway.entry("orders", service.url, server=server))
        call = modern("tools/call", {"name": "listOrders", "arguments": {}})
        reasons = []
        for _ in range(4):
            assert len((await caller.post(modern("tools/list"))).result["tools"]) == 4
            reasons.append((await caller.post(call)).error["data"]["reason"])
    assert reasons == ["UpstreamUnavailable"] * 3 + ["CircuitOpen"]
    assert len(service.lines) == 3
