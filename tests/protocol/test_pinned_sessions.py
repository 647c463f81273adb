"""A session stays at the endpoint that opened it, and goes on at another one when that is gone."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from endpoint_scenes import EndpointPool, RunningEndpoint, endpoint_scenes
from gateways import RunningGateway
from mcp_caller import LEGACY, McpCaller, legacy, mcp_caller
from mcp_clients import eventually

from ostiary_gateway.upstream.endpoint_place import EndpointPlace

CALL = legacy("tools/call", {"name": "search", "arguments": {}}, id=7)
LEVEL = legacy("logging/setLevel", {"level": "warning"})
CLIENT = {
    "protocolVersion": LEGACY,
    "capabilities": {"elicitation": {}, "roots": {"listChanged": True}},
    "clientInfo": {"name": "agent", "version": "9"},
}


@pytest.fixture
async def pool() -> AsyncIterator[EndpointPool]:
    async with endpoint_scenes("a", "b", "c") as pool:
        yield pool


@pytest.fixture(autouse=True)
async def proxy(gateway: RunningGateway, pool: EndpointPool) -> None:
    await gateway.apply(pool.entry(gateway))


async def opened(caller: McpCaller, pool: EndpointPool) -> RunningEndpoint:
    """Open a session; return the endpoint that has it."""
    caller.session = (await caller.post(legacy("initialize", CLIENT))).headers["Mcp-Session-Id"]
    await caller.post(legacy("notifications/initialized", id=None))
    [found] = [each for each in pool if each.upstream.count("initialize")]
    return found


async def test_every_request_of_a_session_reaches_the_endpoint_that_opened_it(
    caller: McpCaller, pool: EndpointPool
) -> None:
    endpoint = await opened(caller, pool)

    counts = [(await caller.post(CALL)).result["count"] for _ in range(20)]

    assert counts == list(range(1, 21))
    assert caller.session is not None
    assert caller.session.startswith("2.")
    assert [each for each in pool if each.upstream.arrived] == [endpoint]


async def test_a_session_goes_on_elsewhere_when_its_endpoint_is_gone(caller: McpCaller, pool: EndpointPool) -> None:
    endpoint = await opened(caller, pool)
    assert (await caller.post(LEVEL)).result == {}
    for uri in ("file://a", "file://b"):
        assert (await caller.post(legacy("resources/subscribe", {"uri": uri}))).result == {}
    assert (await caller.post(legacy("resources/unsubscribe", {"uri": "file://a"}))).result == {}
    await endpoint.stop()

    replies = [await caller.post(CALL) for _ in range(3)]

    assert [reply.result["count"] for reply in replies] == [1, 2, 3]
    [other] = [each for each in pool if each is not endpoint and each.upstream.arrived]
    handshake, done, *replayed = [each for each in other.upstream.arrived if each.method != "tools/call"]
    assert {name: handshake.message["params"][name] for name in CLIENT} == CLIENT
    assert done.method == "notifications/initialized"
    assert {each.method: _own(each.message) for each in replayed} == {
        "logging/setLevel": {"level": "warning"},
        "resources/subscribe": {"uri": "file://b"},
    }


def _own(message: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in message.get("params", {}).items() if name != "_meta"}


async def test_a_session_that_its_endpoint_has_forgotten_is_opened_again(caller: McpCaller, pool: EndpointPool) -> None:
    endpoint = await opened(caller, pool)
    endpoint.scene.forget()

    reply = await caller.post(CALL)

    assert reply.result["count"] == 1
    assert sum(each.upstream.count("initialize") for each in pool) == 2


async def test_an_endpoint_that_offers_less_than_was_promised_ends_the_session(
    caller: McpCaller, pool: EndpointPool
) -> None:
    endpoint = await opened(caller, pool)
    for each in pool:
        each.scene.capabilities = {"tools": {}}
    await endpoint.stop()

    assert (await caller.post(CALL)).status == 404
    assert sum(each.upstream.count("DELETE") for each in pool) == 1


async def test_what_a_client_only_tells_its_server_opens_no_session(caller: McpCaller, pool: EndpointPool) -> None:
    endpoint = await opened(caller, pool)
    await endpoint.stop()

    cancelled = await caller.post(legacy("notifications/cancelled", {"requestId": 7}, id=None))
    answered = await caller.post({"jsonrpc": "2.0", "id": "of-the-server", "result": {}})
    ended = await caller.request("DELETE")

    assert [cancelled.status, answered.status, ended.status] == [202, 202, 200]
    assert sum(each.upstream.count("initialize") for each in pool) == 1
    assert (await caller.post(CALL)).status == 404


async def test_the_stream_of_a_session_goes_on_elsewhere(caller: McpCaller, pool: EndpointPool) -> None:
    endpoint = await opened(caller, pool)
    async with caller.listen() as stream:
        await eventually(lambda: bool(endpoint.scene.streams))
        await endpoint.scene.streams[0].send(legacy("notifications/message", {"data": "from the first"}, id=None))
        assert (await stream.message())["params"]["data"] == "from the first"

        await endpoint.stop()
        await eventually(lambda: any(each.scene.streams for each in pool if each is not endpoint))
        [other] = [each for each in pool if each is not endpoint and each.scene.streams]
        await other.scene.streams[0].send(legacy("notifications/message", {"data": "from another"}, id=None))

        heard = [await stream.message() for _ in range(2)]
        assert {each["method"] for each in heard} == {"notifications/message", "notifications/tools/list_changed"}
    assert (await caller.post(CALL)).result["by"] == other.scene.name


async def test_a_stream_that_its_endpoint_ends_is_opened_again_after_its_last_event(
    caller: McpCaller, pool: EndpointPool
) -> None:
    endpoint = await opened(caller, pool)
    async with caller.listen() as stream:
        await eventually(lambda: bool(endpoint.scene.streams))
        await endpoint.scene.streams[0].send(legacy("notifications/message", {"data": "one"}, id=None), id="event-1")
        assert (await stream.message())["params"]["data"] == "one"

        endpoint.scene.end_streams()
        await eventually(lambda: endpoint.upstream.count("GET") == 2)

        assert endpoint.upstream.arrived[-1].headers["Last-Event-ID"] == "event-1"
        assert sum(each.upstream.count("initialize") for each in pool) == 1


async def test_the_stream_of_a_session_ends_with_its_session(caller: McpCaller, pool: EndpointPool) -> None:
    endpoint = await opened(caller, pool)
    async with caller.listen() as stream:
        await eventually(lambda: bool(endpoint.scene.streams))
        assert (await caller.request("DELETE")).status == 200
        endpoint.scene.end_streams()
        assert await stream.ended()
    assert endpoint.upstream.count("GET") == 1


async def test_a_client_that_resumes_a_stream_resumes_it_where_it_is(caller: McpCaller, pool: EndpointPool) -> None:
    endpoint = await opened(caller, pool)
    async with caller.listen() as stream:
        await eventually(lambda: bool(endpoint.scene.streams))
        await endpoint.scene.streams[0].send(legacy("notifications/message", {"data": "one"}, id=None), id="event-1")
        block = await stream.block() or ""
    [seen] = [line.removeprefix("id:").strip() for line in block.splitlines() if line.startswith("id:")]
    assert seen.endswith(".event-1")

    async with caller.listen({"Last-Event-ID": seen}):
        await eventually(lambda: endpoint.upstream.count("GET") == 2)
    assert endpoint.upstream.arrived[-1].headers["Last-Event-ID"] == "event-1"

    await endpoint.stop()
    async with caller.listen({"Last-Event-ID": seen}):
        await eventually(lambda: any(each.scene.streams for each in pool if each is not endpoint))
    [other] = [each for each in pool if each is not endpoint and each.upstream.arrived]
    assert "Last-Event-ID" not in other.upstream.arrived[-1].headers


async def test_a_client_that_resumes_a_call_at_an_endpoint_that_is_gone_is_told_so_at_once(
    caller: McpCaller, pool: EndpointPool
) -> None:
    endpoint = await opened(caller, pool)
    endpoint.scene.streams_calls = True
    async with caller.stream(CALL) as call:
        block = await call.block() or ""
        [seen] = [line.removeprefix("id:").strip() for line in block.splitlines() if line.startswith("id:")]
        await endpoint.stop()
        assert await call.ended()

    async with caller.listen({"Last-Event-ID": seen}) as resumed:
        told = await resumed.message()
        assert await resumed.ended()

    assert told["id"] == 7
    assert told["error"]["code"] == -31003
    assert told["error"]["data"]["reason"] == "UpstreamReset"


async def test_a_session_of_a_gateway_without_notes_stays_at_its_endpoint_and_ends_with_it(
    gateway: RunningGateway, caller: McpCaller, pool: EndpointPool
) -> None:
    gateway.settings = gateway.settings.model_copy(update={"session_notes": "None"})
    await gateway.apply(pool.entry(gateway))
    endpoint = await opened(caller, pool)
    assert caller.session is not None
    assert caller.session.startswith("1.")

    assert [(await caller.post(CALL)).result["count"] for _ in range(9)] == list(range(1, 10))
    async with caller.listen() as stream:
        await eventually(lambda: bool(endpoint.scene.streams))
        await endpoint.stop()
        assert await stream.ended()
    assert (await caller.post(CALL)).status == 404


async def test_a_session_with_an_id_that_leaves_no_room_stays_at_its_endpoint(
    caller: McpCaller, pool: EndpointPool
) -> None:
    for each in pool:
        each.scene.session = "{name}-{number}-" + "x" * 4000
    await opened(caller, pool)
    assert caller.session is not None
    assert caller.session.startswith("1.")

    assert [(await caller.post(CALL)).result["count"] for _ in range(9)] == list(range(1, 10))


async def test_a_draining_endpoint_gets_what_its_sessions_send_and_no_new_session(
    gateway: RunningGateway, caller: McpCaller, pool: EndpointPool
) -> None:
    endpoint = await opened(caller, pool)
    draining = {each: each is endpoint for each in pool}
    tell(gateway, draining)

    for _ in range(6):
        async with mcp_caller(gateway.url()) as other:
            await other.initialize()
            assert (await other.post(CALL)).result["by"] != endpoint.scene.name
    assert (await caller.post(CALL)).result["by"] == endpoint.scene.name

    tell(gateway, {each: False for each in pool if each is not endpoint})  # it is gone, and serves all the same
    assert (await caller.post(CALL)).result["by"] != endpoint.scene.name


def tell(gateway: RunningGateway, draining: dict[RunningEndpoint, bool]) -> None:
    """Tell the gateway which endpoints there are, as discovery does."""
    snapshot = gateway.app.store.snapshot
    assert snapshot is not None
    [server] = snapshot.proxies["default/mock"].servers
    assert server.endpoints is not None
    places = [EndpointPlace("127.0.0.1", each.config.port, is_draining=is_) for each, is_ in draining.items()]
    server.endpoints.set_places(places)


async def test_requests_of_one_session_that_find_its_endpoint_gone_at_the_same_time_share_one_handshake(
    caller: McpCaller, pool: EndpointPool
) -> None:
    endpoint = await opened(caller, pool)
    await endpoint.stop()

    replies = await asyncio.gather(*(caller.post({**CALL, "id": number}) for number in range(20)))

    assert sorted(reply.result["count"] for reply in replies) == list(range(1, 21))
    assert sum(each.upstream.count("initialize") for each in pool) == 2


async def test_a_list_that_breaks_off_at_a_killed_endpoint_comes_from_another(
    caller: McpCaller, pool: EndpointPool
) -> None:
    endpoint = await opened(caller, pool)
    endpoint.scene.gate = asyncio.Event()
    listing = asyncio.create_task(caller.post(legacy("tools/list", id=8)))
    calling = asyncio.create_task(caller.post(CALL))
    await endpoint.upstream.first("tools/list")
    await endpoint.upstream.first("tools/call")

    await endpoint.stop()

    assert (await listing).result == {}
    assert (await calling).error["data"]["reason"] == "UpstreamReset"  # it may have been carried out
    assert (await caller.post(CALL)).result["count"] == 1


async def test_a_server_that_forgets_every_session_is_not_asked_for_ever(caller: McpCaller, pool: EndpointPool) -> None:
    await opened(caller, pool)
    for each in pool:
        each.scene.is_forgetful = True

    reply = await caller.post(CALL)

    assert reply.error["code"] == -31003
    assert sum(each.upstream.count("tools/call") for each in pool) == 3
    assert sum(each.upstream.count("initialize") for each in pool) == 3
