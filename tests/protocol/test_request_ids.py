"""One id twice in flight in a session: the second gets another id upstream, and each caller its own id back.

Without a session there is nothing to count ids in, and all are sent as they came.
"""

import asyncio
import timeit
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from gateways import RunningGateway
from mcp_caller import McpCaller, legacy, mcp_caller, modern
from mcp_clients import eventually
from upstreams import Arrived, Upstream, answer, document, events, serving, with_handshake

from ostiary_core.mcp.methods import METHODS
from ostiary_core.mcp.protocol_revisions import LEGACY
from ostiary_gateway.pipeline import upstream_ids
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.request_ids import RequestIds
from ostiary_gateway.session_ids import UpstreamSession

pytestmark = pytest.mark.usefixtures("two_proxies")

CALL = {"name": "slow", "arguments": {}}


class Gate:
    """A server whose tool waits, and tells what it was called with; the answers to lists are events that come at once,
    behind those of the test.
    """

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.events: list[dict[str, Any]] = []
        self._sessions = 0

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method == "tools/call":
            await self.open.wait()
        if arrived.method in ("tools/list", "GET"):
            async with events(request) as stream:
                for event in self.events:
                    await stream.send({"jsonrpc": "2.0", **event})
                if arrived.method == "tools/list":
                    await stream.send(answer(arrived, {"tools": []}))
            return stream.response
        return document(answer(arrived, {"content": [], "n": arrived.message.get("params", {}).get("n")}))

    async def __call__(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        self._sessions += arrived.method == "initialize"
        return await with_handshake(self.script, session=f"session-{self._sessions}")(request, arrived)


@pytest.fixture
async def gate() -> Gate:
    return Gate()


@pytest.fixture
async def upstream(gate: Gate) -> AsyncIterator[Upstream]:
    async with serving(gate) as upstream:
        yield upstream
        gate.open.set()


@pytest.fixture
async def caller(gateway: RunningGateway) -> AsyncIterator[McpCaller]:
    async with mcp_caller(gateway.url()) as caller:
        await caller.initialize()
        yield caller


async def in_flight(upstream: Upstream, calls: int) -> None:
    await eventually(lambda: upstream.count("tools/call") == calls)


@pytest.mark.parametrize("identifier", [1, "1", 0, "", -1, 'ü\n"', 2**63])
async def test_two_calls_in_flight_with_one_id_have_two_ids_upstream_and_each_gets_its_own_response(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, gate: Gate, identifier: Any
) -> None:
    calls = [asyncio.create_task(caller.post(legacy("tools/call", {**CALL, "n": n}, id=identifier))) for n in range(3)]
    await in_flight(upstream, 3)
    listed = await caller.post(legacy("tools/list", id=identifier))
    gate.open.set()
    replies = [*(await asyncio.gather(*calls)), listed]
    assert [reply.status for reply in replies] == [200] * 4
    assert [(reply.messages[-1]["id"], type(reply.messages[-1]["id"])) for reply in replies] == [
        (identifier, type(identifier))
    ] * 4
    assert [reply.result["n"] for reply in replies[:3]] == [0, 1, 2]
    sent = [each.message["id"] for each in upstream.arrived if each.method in ("tools/call", "tools/list")]
    assert sent[0] == identifier
    assert len(set(sent)) == 4
    assert len(gateway.app.pipeline.request_ids) == 0


async def test_a_number_and_its_text_are_two_upstream_for_servers_exist_that_keep_ids_as_text(
    caller: McpCaller, upstream: Upstream, gate: Gate
) -> None:
    calls = [asyncio.create_task(caller.post(legacy("tools/call", CALL, id=each))) for each in (7, "7")]
    await in_flight(upstream, 2)
    gate.open.set()
    assert [(await call).json["id"] for call in calls] == [7, "7"]
    assert len({str(each.message["id"]) for each in upstream.arrived if each.method == "tools/call"}) == 2


async def test_an_id_that_looks_like_one_of_ours_is_returned_unchanged(
    caller: McpCaller, upstream: Upstream, gate: Gate
) -> None:
    gate.open.set()
    identifier = upstream_ids.substitute(5)
    assert (await caller.post(legacy("tools/call", CALL, id=identifier))).json["id"] == identifier
    assert (await upstream.first("tools/call")).message["id"] != identifier


@pytest.mark.parametrize("identifier", [1, "a"])
async def test_a_cancellation_reaches_every_request_with_the_id(
    caller: McpCaller, upstream: Upstream, gate: Gate, identifier: Any
) -> None:
    calls = [asyncio.create_task(caller.post(legacy("tools/call", CALL, id=identifier))) for _ in range(3)]
    await in_flight(upstream, 3)
    cancelled = legacy("notifications/cancelled", {"requestId": identifier, "reason": "enough"}, id=None)
    assert (await caller.post(cancelled)).status == 202
    named = [each.message["params"] for each in upstream.arrived if each.method == "notifications/cancelled"]
    sent = {each.message["id"] for each in upstream.arrived if each.method == "tools/call"}
    assert {each["requestId"] for each in named} == sent
    assert len(named) == 3
    assert {each["reason"] for each in named} == {"enough"}
    gate.open.set()
    await asyncio.gather(*calls)


@pytest.mark.parametrize("named", [2, "1", 1.0, True, None, [1]])
async def test_a_cancellation_of_anything_else_passes_unchanged(
    caller: McpCaller, upstream: Upstream, gate: Gate, named: Any
) -> None:
    calls = [asyncio.create_task(caller.post(legacy("tools/call", CALL, id=1))) for _ in range(2)]
    await in_flight(upstream, 2)
    await caller.post(legacy("notifications/cancelled", {"requestId": named}, id=None))
    cancelled_ids = [each.message["params"]["requestId"] for each in upstream.arrived if "cancelled" in each.method]
    assert [(each, type(each)) for each in cancelled_ids] == [(named, type(named))]
    gate.open.set()
    await asyncio.gather(*calls)


async def test_progress_has_the_callers_own_token_on_either_stream(
    caller: McpCaller, upstream: Upstream, gate: Gate
) -> None:
    params = {**CALL, "_meta": {"progressToken": 5}}
    calls = [asyncio.create_task(caller.post(legacy("tools/call", params, id=each))) for each in (1, 2)]
    await in_flight(upstream, 2)
    tokens = [each.message["params"]["_meta"]["progressToken"] for each in upstream.arrived if "call" in each.method]
    assert tokens[0] == 5
    assert tokens[1] != 5
    gate.events = [{"method": "notifications/progress", "params": {"progressToken": each}} for each in tokens]
    async with caller.listen() as stream:
        received = [await stream.message() for _ in tokens]
    assert [each["params"]["progressToken"] for each in received] == [5, 5]
    reply = await caller.post(legacy("tools/list", id=3))
    assert [each["params"]["progressToken"] for each in reply.messages[:-1]] == [5, 5]
    gate.open.set()
    await asyncio.gather(*calls)


@pytest.mark.parametrize("token", ["n99999999999999999999", "s\ud800"])
async def test_a_name_of_our_form_that_stands_for_nothing_is_no_accident(
    caller: McpCaller, upstream: Upstream, gate: Gate, token: str
) -> None:
    name = f"ostiary-0123456789ab-0-{token}"
    gate.events = [
        {"method": "notifications/progress", "params": {"progressToken": name}},
        {"id": name, "result": {"content": []}},
        {"method": "notifications/tools/list_changed"},
    ]
    assert (await caller.post(legacy("tools/list"))).result == {"tools": []}
    async with caller.listen() as stream:
        while (received := await stream.message()).get("method") != "notifications/tools/list_changed":
            assert received["error"]["code"] == -31005


async def test_a_response_on_a_resumed_stream_has_the_callers_own_id(
    caller: McpCaller, upstream: Upstream, gate: Gate
) -> None:
    calls = [asyncio.create_task(caller.post(legacy("tools/call", CALL, id=each))) for each in (1, 1)]
    await in_flight(upstream, 2)
    sent = [each.message["id"] for each in upstream.arrived if each.method == "tools/call"]
    gate.open.set()
    await asyncio.gather(*calls)
    gate.events = [{"id": each, "result": {"content": [], "of": each}} for each in sent]
    async with caller.listen({"Last-Event-ID": "1"}) as stream:
        received = [await stream.message() for _ in sent]
    assert [each["id"] for each in received] == [1, 1]
    assert [each["result"]["of"] for each in received] == sent


async def test_an_answer_to_another_request_of_the_same_id_is_not_taken(
    caller: McpCaller, upstream: Upstream, gate: Gate
) -> None:
    first = asyncio.create_task(caller.post(legacy("tools/call", CALL, id=1)))
    await in_flight(upstream, 1)
    gate.events = [{"id": upstream_ids.substitute(1), "result": {"content": ["of another"]}}]
    second = await caller.post(legacy("tools/list", id=1))
    assert "result" in second.messages[0]
    assert second.result == {"tools": []}
    gate.open.set()
    await first


async def test_afterwards_the_id_is_free_however_its_request_ended(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, gate: Gate
) -> None:
    gate.open.set()
    for message in (legacy("tools/call", CALL, id=7), legacy("tools/list", id=7), legacy("ping", id=7)):
        for _ in range(2):
            assert (await caller.post(message)).status == 200
    assert (await caller.post(legacy("no/such", id=7))).error["code"] == -32601
    assert (await caller.post(legacy("ping", id=7), {"Accept": "x"})).status == 406
    assert (await caller.post(legacy("ping", id=7))).status == 200
    assert len(gateway.app.pipeline.request_ids) == 0


async def test_sessions_count_their_ids_each_by_itself(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, gate: Gate
) -> None:
    async with mcp_caller(gateway.url()) as second, mcp_caller(gateway.url("other")) as other:
        await second.initialize()
        await other.initialize()
        calls = [asyncio.create_task(each.post(legacy("tools/call", CALL))) for each in (caller, second, other)]
        await in_flight(upstream, 3)
        gate.open.set()
        assert [(await call).status for call in calls] == [200, 200, 200]


@pytest.mark.parametrize("message", [modern("tools/call", CALL), legacy("tools/call", CALL)])
async def test_without_a_session_there_is_nothing_to_count_ids_in(
    gateway: RunningGateway, upstream: Upstream, gate: Gate, message: dict[str, Any]
) -> None:
    async with mcp_caller(gateway.url()) as caller:
        calls = [asyncio.create_task(caller.post(message)) for _ in range(2)]
        await in_flight(upstream, 2)
        gate.open.set()
        assert [(await call).status for call in calls] == [200, 200]


async def test_a_response_to_the_server_may_have_the_id_of_a_request_in_flight(
    caller: McpCaller, upstream: Upstream, gate: Gate
) -> None:
    """The server counts its own ids, and the two often meet."""
    first = asyncio.create_task(caller.post(legacy("tools/call", CALL, id=7)))
    await in_flight(upstream, 1)
    assert (await caller.post({"jsonrpc": "2.0", "id": 7, "result": {}})).status == 202
    gate.open.set()
    assert (await first).status == 200


async def test_a_legacy_caller_that_disconnects_leaves_its_request_in_flight_and_nothing_afterwards(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, gate: Gate
) -> None:
    first = asyncio.create_task(caller.post(legacy("tools/call", CALL, id=7)))
    await in_flight(upstream, 1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second = asyncio.create_task(caller.post(legacy("tools/call", CALL, id=7)))
    await in_flight(upstream, 2)
    gate.open.set()
    assert (await second).json["id"] == 7
    await eventually(lambda: len(gateway.app.pipeline.request_ids) == 0)


def test_it_costs_next_to_nothing() -> None:
    method = METHODS["tools/call"]
    proxy = SimpleNamespace(uid="0871f8e7-0000-0000-0000-000000000000")
    message = Message(legacy("tools/call", {"_meta": {}}, id=7), LEGACY, "2025-11-25", method, 7)
    session = UpstreamSession("s" * 40, "2025-11-25")
    bare = SimpleNamespace(session=session, proxy=proxy, message=message, taken_id=None, taken_token=None)
    exchange, ids = cast("Exchange", bare), RequestIds()

    def once() -> None:
        ids.take(exchange)
        ids.release(exchange)

    assert min(timeit.repeat(once, number=10_000, repeat=5)) / 10_000 < 6e-6  # 1 µs on the machine of the benchmarks
