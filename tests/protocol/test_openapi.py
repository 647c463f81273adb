"""A REST service as an MCP server: each operation of its OpenAPI document is a tool, in both eras."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway, running_gateway
from mcp_clients import ERAS, Era, connect
from rest_services import ORDERS, described, rest_service
from upstreams import Arrived


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


def text_of(result: Any) -> str:
    """The text of a result."""
    return str(result.content[0].text)
