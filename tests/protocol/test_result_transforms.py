"""What policies set and remove in results, as callers get them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway, policy
from mcp_caller import McpCaller, modern
from mcp_clients import ERAS, Era, connect
from modern_server import complete, modern_server
from upstreams import Arrived, Upstream, events

from ostiary_core.contract.transforms import TransformConfig

ALLOWED = {"name": "all", "effect": "Allow"}
STRUCTURED = {"name": "Ada", "internal": {"cost": 3}, "rows": [1, 2]}
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "region": {"type": "string"}},
    "required": ["name"],
}


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async def respond(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        name = arrived.message["params"].get("name")
        result = {"resultType": "complete", "content": [], "structuredContent": STRUCTURED}
        if name == "asks":
            elicit = {"method": "elicitation/create", "params": {"message": "m", "requestedSchema": {"type": "object"}}}
            result = {"resultType": "input_required", "inputRequests": {"q": elicit}}
        if name != "stream":
            return complete(arrived, result)
        async with events(request) as stream:
            await stream.send({"jsonrpc": "2.0", "id": arrived.message["id"], "result": result})
        return stream.response

    tools = [{"name": name, "inputSchema": {"type": "object"}, "outputSchema": SCHEMA} for name in ("find", "stream")]
    async with modern_server(respond, tools=tools) as served:
        yield served


async def apply(gateway: RunningGateway, upstream: Upstream, *transforms: dict[str, Any]) -> None:
    given = [TransformConfig.model_validate({"name": f"t{n}", "results": each}) for n, each in enumerate(transforms)]
    policies = [policy("shape", ALLOWED).model_copy(update={"transforms": given})]
    await gateway.apply(gateway.entry("mock", upstream.url, policies))


def at(*place: str, value: str) -> dict[str, Any]:
    return {"path": list(place), "value": value}


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    return modern("tools/call", {"name": tool, "arguments": arguments})


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("tool", ["find", "stream"])
async def test_an_unchanged_client_of_the_sdk_gets_transformed_results(
    gateway: RunningGateway, upstream: Upstream, era: Era, tool: str
) -> None:
    removes = {"remove": [["structuredContent", "internal"]]}
    sets = {"set": [at("structuredContent", "region", value="'from ' + string(args.q)")]}
    await apply(gateway, upstream, removes, sets)
    async with connect(gateway.url(), era=era) as client:
        result = await client.call_tool(tool, {"q": "eu"})
    assert result.structured_content == {"name": "Ada", "rows": [1, 2], "region": "from eu"}


async def test_a_result_that_cannot_be_changed_is_withheld(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream
) -> None:
    await apply(gateway, upstream, {"set": [at("structuredContent", "region", value="result.nope")]})
    result = (await caller.post(call("find"))).result
    assert result["isError"] is True
    assert "structuredContent" not in result
    assert "Ada" not in str(result)


async def test_a_question_of_a_server_is_no_result_yet(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream
) -> None:
    await apply(gateway, upstream, {"set": [at("structuredContent", "region", value="'eu'")]})
    message = call("asks")
    message["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = {"elicitation": {}}
    result = (await caller.post(message)).result
    assert result["resultType"] == "input_required"
    assert "structuredContent" not in result


async def test_an_error_stays_what_it_is(gateway: RunningGateway, caller: McpCaller) -> None:
    async def failing(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        error = {"code": -32000, "message": "no"}
        return web.json_response({"jsonrpc": "2.0", "id": arrived.message["id"], "error": error})

    async with modern_server(failing) as upstream:
        await apply(gateway, upstream, {"set": [at("structuredContent", "region", value="'eu'")]})
        assert (await caller.post(call("find"))).error["code"] == -32000


@pytest.mark.parametrize("tool", ["find", "stream"])
@pytest.mark.parametrize(
    "change",
    [{"remove": [["structuredContent", "name"]]}, {"set": [at("structuredContent", "name", value="7")]}],
)
async def test_a_result_that_a_change_makes_invalid_for_its_client_is_withheld(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, tool: str, change: dict[str, Any]
) -> None:
    await apply(gateway, upstream, change)
    result = (await caller.post(call(tool))).result
    assert result["isError"] is True
    assert "structuredContent" not in result
