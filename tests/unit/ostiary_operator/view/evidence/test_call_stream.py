"""Calls of all replicas as they come, over gaps and losses."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from evidence_replicas import NOW, KnownPorts, StartReplica, head
from mcp_clients import eventually
from timeouts import TIMEOUT_SECONDS

from ostiary_operator.view.evidence import call_stream
from ostiary_operator.view.evidence.call_stream import CallEvent, CallGap, ReplicaBack, ReplicaStream, follow
from ostiary_operator.view.evidence.gathered import ProblemKind, ReplicaProblem
from ostiary_operator.view.evidence.port_finders import EvidencePorts
from ostiary_operator.view.evidence.proxy_scope import ProxyScope
from ostiary_operator.view.evidence.reader import ObservedCall

ALL = ProxyScope()


class Replica:
    """A replica that numbers calls as gateways do; ``queries`` are what it was asked."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.queries: list[dict[str, str]] = []
        self.changed = asyncio.Event()
        self.is_ending = False
        self.since = NOW - 60_000

    def call(self, *, proxy: str = "sales/crm", **more: Any) -> None:
        number = len(self.calls) + 1
        self.calls.append({"kind": "Call", "number": number, "at": NOW, "proxy": proxy, **more})
        self.changed.set()

    def end(self) -> None:
        """End the stream, as a gateway that is stopped does."""
        self.is_ending = True
        self.changed.set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.queries.append(dict(request.query))
        if request.query.get("follow") != "true":
            return web.json_response(head(calls=[], last=len(self.calls)))
        return await self._stream(request)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        position = int(request.query["after"])
        response = web.StreamResponse()
        await response.prepare(request)
        first = {"kind": "Calls", **head(last=len(self.calls), since=self.since)}
        await response.write(json.dumps(first).encode() + b"\n\n")
        while not self.is_ending:
            for call in self.calls[position:]:
                await response.write(json.dumps(call).encode() + b"\n")
            position = len(self.calls)
            self.changed.clear()
            await self.changed.wait()
        self.is_ending = False
        return response


async def next_of(events: AsyncIterator[CallEvent]) -> CallEvent:
    return await asyncio.wait_for(anext(events), TIMEOUT_SECONDS)


def number(event: CallEvent) -> int:
    assert isinstance(event, ObservedCall), event
    return event.call.number


async def test_it_begins_now_and_yields_each_call_of_the_scope(
    http: aiohttp.ClientSession, start: StartReplica
) -> None:
    replica = Replica()
    replica.call()
    port = await start(replica.handle)
    async with aclosing(follow(http, KnownPorts(port), ProxyScope.of(["sales/crm"]))) as events:
        following = asyncio.ensure_future(next_of(events))
        await eventually(lambda: len(replica.queries) == 2)
        replica.call(proxy="hr/files")
        replica.call()
        assert number(await following) == 3
    assert replica.queries[1] == {"proxy": "sales/crm", "follow": "true", "after": "1"}


async def test_it_begins_behind_the_calls_that_are_known(http: aiohttp.ClientSession, start: StartReplica) -> None:
    replica = Replica()
    for _ in range(3):
        replica.call()
    port = await start(replica.handle)
    async with aclosing(follow(http, KnownPorts(port), ALL, after={"ostiary-system/default/gw-a": 1})) as events:
        assert [number(await next_of(events)) for _ in range(2)] == [2, 3]


async def test_a_replica_that_ends_is_named_once_and_asked_again_from_the_last_call(
    http: aiohttp.ClientSession, start: StartReplica
) -> None:
    replica = Replica()
    port = await start(replica.handle)
    async with aclosing(ReplicaStream(http, port, ALL, after=0, retry=0).events()) as events:
        replica.call()
        assert number(await next_of(events)) == 1
        replica.end()
        lost = await next_of(events)
        assert isinstance(lost, ReplicaProblem)
        assert (lost.replica, lost.kind) == ("gw-a", ProblemKind.UNREACHABLE)
        replica.call()
        assert await next_of(events) == ReplicaBack("ostiary-system/default", "gw-a", is_new=False)
        assert number(await next_of(events)) == 2


async def test_a_replica_that_was_started_again_counts_from_one(
    http: aiohttp.ClientSession, start: StartReplica
) -> None:
    replica = Replica()
    port = await start(replica.handle)
    stream = ReplicaStream(http, port, ALL, after=7, retry=0)
    async with aclosing(stream.events()) as events:
        assert await next_of(events) == ReplicaBack("ostiary-system/default", "gw-a", is_new=True)
        replica.call()
        assert number(await next_of(events)) == 1


async def test_a_process_that_has_come_further_than_the_one_before_it_is_shown_from_its_first_call(
    http: aiohttp.ClientSession, start: StartReplica
) -> None:
    replica = Replica()
    replica.call()
    port = await start(replica.handle)
    async with aclosing(ReplicaStream(http, port, ALL, after=0, retry=0).events()) as events:
        assert number(await next_of(events)) == 1
        replica.since = NOW
        replica.call()
        replica.calls[0]["name"] = "of the new process"
        replica.end()
        while not isinstance(event := await next_of(events), ReplicaBack):
            pass
        assert event.is_new
        assert [number(await next_of(events)) for _ in range(2)] == [1, 2]


async def test_gaps_are_told_and_lines_that_are_no_calls_are_left_out(
    http: aiohttp.ClientSession, start: StartReplica
) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        lines = [{"kind": "Call"}, [], 3, {"kind": "Call", "number": -1, "at": "x"}, {"kind": "Gap", "missed": 5}]
        await response.write(b"\n".join(json.dumps(line).encode() for line in lines) + b"\n\n")
        await asyncio.Event().wait()
        return response

    port = await start(handle)
    async with aclosing(follow(http, KnownPorts(port), ALL, after={"ostiary-system/default/gw-a": 0})) as events:
        assert await next_of(events) == CallGap("ostiary-system/default", "gw-a", 5)


async def test_a_gateway_of_a_tenant_cannot_show_calls_of_others(
    http: aiohttp.ClientSession, start: StartReplica
) -> None:
    replica = Replica()
    replica.call(proxy="hr/files")
    replica.call(proxy="sales/crm")
    port = await start(replica.handle, gateway="sales/own", only="sales")
    async with aclosing(follow(http, KnownPorts(port), ALL, after={"sales/own/gw-a": 0})) as events:
        assert number(await next_of(events)) == 2


async def test_replicas_that_come_are_followed_and_those_that_go_are_not(
    http: aiohttp.ClientSession, start: StartReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_stream, "REFRESH_SECONDS", 0.01)
    old, new = Replica(), Replica()
    finder = KnownPorts(await start(old.handle, "gw-old"))
    async with aclosing(follow(http, finder, ALL)) as events:
        following = asyncio.ensure_future(next_of(events))
        await eventually(lambda: len(old.queries) == 2)
        new.call()  # before it is found
        finder.found = EvidencePorts((await start(new.handle, "gw-new"),))
        event = await following
        assert isinstance(event, ObservedCall)
        assert event.replica == "gw-new"


async def test_while_replicas_cannot_be_looked_up_those_that_are_known_go_on(
    http: aiohttp.ClientSession, start: StartReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_stream, "REFRESH_SECONDS", 0.01)
    replica = Replica()
    finder = KnownPorts(await start(replica.handle))
    async with aclosing(follow(http, finder, ALL)) as events:
        following = asyncio.ensure_future(next_of(events))
        await eventually(lambda: len(replica.queries) == 2)
        problem = ReplicaProblem("", "", ProblemKind.UNREACHABLE, "the API server does not answer")
        finder.found = EvidencePorts((), (problem,))
        assert await following == problem
        replica.call()
        assert number(await next_of(events)) == 1
