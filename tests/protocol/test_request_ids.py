"""One id twice in flight in a session is refused; where there is no session there is nothing to count ids in."""

import asyncio
import timeit
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from callers import Caller, calling, legacy, modern
from gateways import Door
from mcp_clients import eventually
from upstreams import Arrived, Upstream, answer, document, events, serving, with_handshake

from ostiary_gateway.line.exchange import Exchange
from ostiary_gateway.line.request_ids import RequestIds
from ostiary_gateway.session import Session

pytestmark = pytest.mark.usefixtures("two_proxies")

CALL = {"name": "slow", "arguments": {}}


class Gate:
    """A server whose tool waits; the answers to lists are events that come at once."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self._sessions = 0

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method == "tools/call":
            await self.open.wait()
        if arrived.method == "tools/list":
            async with events(request) as stream:
                await stream.send(answer(arrived, {"tools": []}))
            return stream.response
        return document(answer(arrived, {"content": []}))

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
async def caller(door: Door) -> AsyncIterator[Caller]:
    async with calling(door.url()) as caller:
        await caller.initialize()
        yield caller


async def in_flight(upstream: Upstream, calls: int) -> None:
    await eventually(lambda: upstream.count("tools/call") == calls)


@pytest.mark.parametrize("identifier", [7, "7", 0, "", -1])
async def test_one_id_twice_in_flight_is_refused_and_the_first_is_answered(
    door: Door, caller: Caller, upstream: Upstream, gate: Gate, identifier: Any
) -> None:
    first = asyncio.create_task(caller.post(legacy("tools/call", CALL, id=identifier)))
    await in_flight(upstream, 1)
    for method in ("tools/call", "ping"):
        reply = await caller.post(legacy(method, CALL, id=identifier))
        assert (reply.status, reply.json["error"]["code"], reply.json["id"]) == (400, -32600, identifier)
        assert "in flight" in reply.json["error"]["message"]
    assert upstream.count("tools/call") + upstream.count("ping") == 1
    gate.open.set()
    assert (await first).result == {"content": []}
    assert len(door.gateway.line.request_ids) == 0


async def test_afterwards_the_id_is_free_however_its_request_ended(
    door: Door, caller: Caller, upstream: Upstream, gate: Gate
) -> None:
    gate.open.set()
    for message in (legacy("tools/call", CALL, id=7), legacy("tools/list", id=7), legacy("ping", id=7)):
        for _ in range(2):
            assert (await caller.post(message)).status == 200
    assert (await caller.post(legacy("no/such", id=7))).error["code"] == -32601
    assert (await caller.post(legacy("ping", id=7), {"Accept": "x"})).status == 406
    assert (await caller.post(legacy("ping", id=7))).status == 200
    assert len(door.gateway.line.request_ids) == 0


async def test_a_number_and_its_text_are_two_ids(caller: Caller, upstream: Upstream, gate: Gate) -> None:
    calls = [asyncio.create_task(caller.post(legacy("tools/call", CALL, id=each))) for each in (7, "7")]
    await in_flight(upstream, 2)
    gate.open.set()
    assert [(await call).json["id"] for call in calls] == [7, "7"]


async def test_sessions_count_their_ids_each_by_itself(
    door: Door, caller: Caller, upstream: Upstream, gate: Gate
) -> None:
    async with calling(door.url()) as second, calling(door.url("other")) as other:
        await second.initialize()
        await other.initialize()
        calls = [asyncio.create_task(each.post(legacy("tools/call", CALL))) for each in (caller, second, other)]
        await in_flight(upstream, 3)
        gate.open.set()
        assert [(await call).status for call in calls] == [200, 200, 200]


@pytest.mark.parametrize("message", [modern("tools/call", CALL), legacy("tools/call", CALL)])
async def test_without_a_session_there_is_nothing_to_count_ids_in(
    door: Door, upstream: Upstream, gate: Gate, message: dict[str, Any]
) -> None:
    async with calling(door.url()) as caller:
        calls = [asyncio.create_task(caller.post(message)) for _ in range(2)]
        await in_flight(upstream, 2)
        gate.open.set()
        assert [(await call).status for call in calls] == [200, 200]


async def test_an_answer_to_the_server_may_bear_the_id_of_a_request_in_flight(
    caller: Caller, upstream: Upstream, gate: Gate
) -> None:
    """The server counts its own ids, and the two often meet."""
    first = asyncio.create_task(caller.post(legacy("tools/call", CALL, id=7)))
    await in_flight(upstream, 1)
    assert (await caller.post({"jsonrpc": "2.0", "id": 7, "result": {}})).status == 202
    gate.open.set()
    assert (await first).status == 200


async def test_a_legacy_caller_who_goes_leaves_his_request_in_flight_and_nothing_afterwards(
    door: Door, caller: Caller, upstream: Upstream, gate: Gate
) -> None:
    first = asyncio.create_task(caller.post(legacy("tools/call", CALL, id=7)))
    await in_flight(upstream, 1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert (await caller.post(legacy("tools/call", CALL, id=7))).error["code"] == -32600
    gate.open.set()
    await eventually(lambda: len(door.gateway.line.request_ids) == 0)
    assert (await caller.post(legacy("tools/call", CALL, id=7))).status == 200


def test_it_costs_next_to_nothing() -> None:
    proxy = SimpleNamespace(uid="0871f8e7-0000-0000-0000-000000000000")
    bare = SimpleNamespace(session=Session("s" * 40, "2025-11-25"), request_id=7, proxy=proxy, taken_id=None)
    exchange, ids = cast("Exchange", bare), RequestIds()

    def once() -> None:
        ids.take(exchange)
        ids.release(exchange)

    assert min(timeit.repeat(once, number=10_000, repeat=5)) / 10_000 < 2e-6  # 0.4 µs on the machine of the benchmarks
