"""Requests that failed are sent again where that does no harm, and nothing else is."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from faulty_endpoints import Fault, FaultyServer, faulty_endpoints
from gateways import RunningGateway, running_gateway
from mcp_caller import MODERN, Reply, legacy, mcp_caller, modern
from mcp_clients import eventually

CALL = {"name": "get_users", "arguments": {"a": "b" * 1000}}
READS: dict[str, dict[str, Any]] = {
    "tools/list": {},
    "resources/list": {},
    "resources/templates/list": {},
    "prompts/list": {},
    "resources/read": {"uri": "file:///a"},
    "prompts/get": {"name": "greet"},
    "completion/complete": {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "a", "value": "b"}},
}
#: A server that fails so has received the request, and nothing has reached the caller.
AFTER_SENDING = [
    Fault.CLOSE_UNREAD,
    Fault.RESET,
    Fault.HALF_HEAD,
    Fault.NO_BODY,
    Fault.HALF_BODY,
    Fault.NO_EVENT,
    Fault.HALF_EVENT,
    Fault.BAD_GATEWAY,
    Fault.UNAVAILABLE,
    Fault.UNAVAILABLE_JSON,
    Fault.GATEWAY_TIMEOUT,
]
#: What is no sign that a server is not there.
ANSWERS = [Fault.SERVER_ERROR, Fault.OVERLOAD, Fault.NOT_HTTP, Fault.OTHER_ID, Fault.RPC_ERROR, Fault.TOOL_ERROR]


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway() as gateway:
        yield gateway


@pytest.fixture
async def server() -> AsyncIterator[FaultyServer]:
    async with faulty_endpoints(3) as server:
        yield server


async def post(gateway: RunningGateway, message: dict[str, Any]) -> Reply:
    async with mcp_caller(gateway.url()) as caller:
        reply = await caller.post(message)
    await eventually(lambda: gateway.app.pipeline.limiter.requests == 0)
    return reply


async def serve(gateway: RunningGateway, server: FaultyServer, *, revision: str | None = MODERN, **retry: Any) -> None:
    document = server.document(**retry) | {"protocol_version": revision}
    await gateway.apply(gateway.entry("mock", server.url, server=document))


@pytest.mark.parametrize("fault", AFTER_SENDING)
@pytest.mark.parametrize("method", READS)
async def test_a_read_that_failed_is_sent_to_another_endpoint(
    gateway: RunningGateway, server: FaultyServer, method: str, fault: Fault
) -> None:
    await serve(gateway, server)
    server.plan(fault)
    reply = await post(gateway, modern(method, READS[method], id=7))
    assert reply.json["id"] == 7
    assert reply.result
    places = server.places(method)
    assert len(places) == (1 if fault is Fault.CLOSE_UNREAD else 2) == len(set(places))


@pytest.mark.parametrize("fault", AFTER_SENDING)
async def test_a_call_that_was_sent_is_never_sent_again(
    gateway: RunningGateway, server: FaultyServer, fault: Fault
) -> None:
    await serve(gateway, server)
    server.plan(fault)
    reply = await post(gateway, modern("tools/call", CALL))
    assert reply.error
    assert server.count("tools/call") == (0 if fault is Fault.CLOSE_UNREAD else 1)


@pytest.mark.parametrize("fault", AFTER_SENDING)
async def test_a_call_is_sent_again_where_the_name_of_its_tool_allows_it(
    gateway: RunningGateway, server: FaultyServer, fault: Fault
) -> None:
    await serve(gateway, server, tools={"names": ["get_*"]})
    server.plan(fault)
    assert (await post(gateway, modern("tools/call", CALL))).result
    first, last = (server.received[0][1], server.received[-1][1])
    assert {**first["params"], "_meta": None} == {**last["params"], "_meta": None} == {**CALL, "_meta": None}
    server.plan(fault)
    assert (await post(gateway, modern("tools/call", {**CALL, "name": "create_user"}))).error
    assert server.count("tools/call") <= 1


async def test_a_call_is_sent_again_where_its_server_lists_the_hint(
    gateway: RunningGateway, server: FaultyServer
) -> None:
    await serve(gateway, server, tools={"hints": ["readOnlyHint"]})
    tools = [
        {"name": "get_users", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}},
        {"name": "create_user", "inputSchema": {"type": "object"}, "annotations": {"idempotentHint": True}},
    ]
    server.result["tools"] = tools
    server.plan(Fault.RESET)
    assert "error" in (await post(gateway, modern("tools/call", CALL))).json  # it has listed nothing yet
    await post(gateway, modern("tools/list"))
    server.plan(Fault.RESET)
    assert (await post(gateway, modern("tools/call", CALL))).result
    server.plan(Fault.RESET)
    assert "error" in (await post(gateway, modern("tools/call", {**CALL, "name": "create_user"}))).json
    assert server.count("tools/call") == 1


@pytest.mark.parametrize("fault", ANSWERS)
async def test_an_answer_is_no_reason_to_send_a_request_again(
    gateway: RunningGateway, server: FaultyServer, fault: Fault
) -> None:
    await serve(gateway, server, tools={"names": ["*"]})
    for method, params in [("tools/call", CALL), ("resources/read", READS["resources/read"])]:
        server.plan(fault)
        await post(gateway, modern(method, params))
        assert server.count(method) == 1


@pytest.mark.parametrize("method", ["tools/call", "resources/read", "prompts/get"])
@pytest.mark.parametrize("member", [{"requestState": "x"}, {"inputResponses": {}}])
async def test_a_request_with_what_was_asked_for_is_never_sent_again(
    gateway: RunningGateway, server: FaultyServer, method: str, member: dict[str, Any]
) -> None:
    await serve(gateway, server, tools={"names": ["*"]})
    server.plan(Fault.RESET)
    params = CALL if method == "tools/call" else READS[method]
    await post(gateway, modern(method, {**params, **member}))
    assert server.count(method) <= 1


async def test_whatever_was_not_sent_goes_to_an_endpoint_that_is_there(gateway: RunningGateway) -> None:
    async with faulty_endpoints(1, dead=12) as server:
        await serve(gateway, server)
        for number in range(20):
            server.plan()
            assert (await post(gateway, modern("tools/call", CALL, id=number))).result
            assert server.count("tools/call") == 1


async def test_without_attempts_only_what_was_not_sent_goes_to_another_endpoint(gateway: RunningGateway) -> None:
    async with faulty_endpoints(1, dead=5) as server:
        await serve(gateway, server, attempts=0, tools={"names": ["*"]})
        for _ in range(5):
            server.plan()
            assert (await post(gateway, modern("tools/call", CALL))).result
        for method, params in [("tools/call", CALL), ("resources/read", READS["resources/read"])]:
            server.plan(Fault.BAD_GATEWAY, Fault.BAD_GATEWAY)
            assert (await post(gateway, modern(method, params))).error
            assert server.count(method) == 1


async def test_as_many_attempts_follow_as_the_policy_has(gateway: RunningGateway, server: FaultyServer) -> None:
    await serve(gateway, server, attempts=3)
    server.plan(*[Fault.BAD_GATEWAY] * 10)
    assert (await post(gateway, modern("tools/list"))).error["data"]["reason"] == "UpstreamUnavailable"
    assert server.count("tools/list") == 4
    server.plan(*[Fault.BAD_GATEWAY] * 3)
    assert (await post(gateway, modern("tools/list"))).result


async def test_the_budget_of_a_server_bounds_what_is_sent_again(gateway: RunningGateway, server: FaultyServer) -> None:
    await serve(gateway, server, attempts=1, budget={"percent": 1, "interval": 3_600_000})
    server.plan(*[Fault.BAD_GATEWAY] * 100)
    for _ in range(20):
        await post(gateway, modern("tools/list"))
    assert server.count("tools/list") == 30


async def test_nothing_is_sent_again_when_a_byte_has_reached_the_caller(
    gateway: RunningGateway, server: FaultyServer
) -> None:
    await serve(gateway, server, tools={"names": ["*"]})
    for method, params in [("tools/call", CALL), ("resources/read", READS["resources/read"])]:
        server.plan(Fault.PROGRESS)
        reply = await post(gateway, modern(method, params))
        assert [message.get("method") for message in reply.messages] == ["notifications/progress", None]
        assert reply.error["data"]["reason"] == "UpstreamReset"
        assert server.count(method) == 1


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.BAD_GATEWAY])
async def test_a_notification_is_not_sent_again(gateway: RunningGateway, server: FaultyServer, fault: Fault) -> None:
    await serve(gateway, server, revision=None, tools={"names": ["*"]})
    server.plan(fault)
    await post(gateway, legacy("notifications/initialized", id=None))
    assert server.count("notifications/initialized") == 1
