"""Viewers of the same proxies share a stream of calls, and get only what they may see."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing

import pytest
from mcp_clients import eventually
from timeouts import TIMEOUT_SECONDS

from ostiary_core.evidence.recorded_call import RecordedCall
from ostiary_operator.console.sources import call_tails
from ostiary_operator.console.sources.call_tails import CallTails
from ostiary_operator.view.evidence.call_stream import CallEvent, CallGap, ReplicaBack
from ostiary_operator.view.evidence.gathered import ProblemKind, ReplicaProblem
from ostiary_operator.view.evidence.proxy_scope import ProxyScope
from ostiary_operator.view.evidence.reader import ObservedCall

ALL, CRM, FILES = ProxyScope(), ProxyScope.of(["sales/crm"]), ProxyScope.of(["hr/files"])


class Gateways:
    """What gateways send: each open stream gets every call. ``opened`` are the scopes of all streams so far."""

    def __init__(self) -> None:
        self.opened: list[tuple[ProxyScope, dict[str, int]]] = []
        self.queues: list[asyncio.Queue[CallEvent | Exception]] = []
        self._number = 0

    async def follow(self, scope: ProxyScope, after: Mapping[str, int]) -> AsyncGenerator[CallEvent, None]:
        self.opened.append((scope, dict(after)))
        queue: asyncio.Queue[CallEvent | Exception] = asyncio.Queue()
        self.queues.append(queue)
        try:
            while True:
                event = await queue.get()
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.queues.remove(queue)

    def call(self, proxy: str = "sales/crm") -> None:
        self._number += 1
        self.send(ObservedCall("system/default", "gw-a", RecordedCall(number=self._number, at=1, proxy=proxy)))

    def send(self, event: CallEvent | Exception) -> None:
        for queue in self.queues:
            queue.put_nowait(event)


@pytest.fixture
def gateways() -> Gateways:
    return Gateways()


@pytest.fixture
async def viewers(gateways: Gateways) -> AsyncIterator["Viewers"]:
    async with AsyncExitStack() as stack:
        yield Viewers(gateways, stack, CallTails(gateways.follow, most=2))


class Viewers:
    """Opens tails, and waits until each has joined a stream."""

    def __init__(self, gateways: Gateways, stack: AsyncExitStack, tails: CallTails) -> None:
        self._gateways = gateways
        self._stack = stack
        self._tails = tails

    async def open(self, scope: ProxyScope, **after: int) -> "Viewer":
        tail = self._tails.tail(scope, after={"system/default/gw-a": after["known"]} if after else {})
        viewer = Viewer(await self._stack.enter_async_context(aclosing(tail)))
        await eventually(lambda: bool(self._gateways.queues))
        return viewer


class Viewer:
    """Reads a tail, one event at a time, from before they come."""

    def __init__(self, tail: AsyncGenerator[CallEvent, None]) -> None:
        self.tail = tail
        self._next = asyncio.ensure_future(anext(tail))

    async def event(self) -> CallEvent:
        event = await asyncio.wait_for(self._next, TIMEOUT_SECONDS)
        self._next = asyncio.ensure_future(anext(self.tail))
        return event

    async def number(self) -> int:
        event = await self.event()
        assert isinstance(event, ObservedCall), event
        return event.call.number

    async def leave(self) -> None:
        self._next.cancel()
        await asyncio.gather(self._next, return_exceptions=True)
        await self.tail.aclose()


async def test_what_a_viewer_knows_of_a_process_says_nothing_of_the_next_one(
    gateways: Gateways, viewers: Viewers
) -> None:
    viewer = await viewers.open(ProxyScope.of(["sales/crm"]), known=40)
    gateways.send(ReplicaBack("system/default", "gw-a", is_new=True))
    assert isinstance(await viewer.event(), ReplicaBack)
    gateways.call("hr/files")
    gateways.call()
    assert await viewer.number() == 2
    await viewer.leave()


async def test_viewers_of_the_same_proxies_share_a_stream(gateways: Gateways, viewers: Viewers) -> None:
    one, other = await viewers.open(CRM), await viewers.open(CRM)
    gateways.call()
    assert (await one.number(), await other.number()) == (1, 1)
    assert [scope for scope, _ in gateways.opened] == [CRM]
    for each in (one, other):
        await each.leave()


async def test_a_stream_ends_with_its_last_viewer(gateways: Gateways, viewers: Viewers) -> None:
    one, other = await viewers.open(CRM), await viewers.open(CRM)
    await one.leave()
    assert len(gateways.queues) == 1
    await other.leave()
    assert gateways.queues == []


async def test_beyond_its_streams_viewers_share_one_of_all_calls_and_see_only_theirs(
    gateways: Gateways, viewers: Viewers
) -> None:
    opened = [await viewers.open(CRM), await viewers.open(FILES)]
    api = await viewers.open(ProxyScope.of(["sales/api"]))
    await eventually(lambda: len(gateways.queues) == 3)
    gateways.call("hr/files")
    gateways.call("sales/api")
    assert [scope for scope, _ in gateways.opened] == [CRM, FILES, ALL]
    assert await api.number() == 2
    for each in (*opened, api):
        await each.leave()


async def test_a_stream_of_all_calls_tells_its_viewers_nothing_of_the_gateways_of_others(
    gateways: Gateways, viewers: Viewers
) -> None:
    opened = [await viewers.open(CRM), await viewers.open(FILES)]
    api, everything = await viewers.open(ProxyScope.of(["sales/api"])), await viewers.open(ALL)
    await eventually(lambda: len(gateways.queues) == 3)
    problem = ReplicaProblem("hr/gateway", "gw-hr", ProblemKind.UNREACHABLE, "it ended the stream")
    for event in (problem, CallGap("hr/gateway", "gw-hr", 86_421)):
        gateways.send(event)
    gateways.call("sales/api")
    assert await everything.event() == problem
    assert await api.number() == 1
    for each in (*opened, api, everything):
        await each.leave()


async def test_one_who_joins_gets_the_calls_that_they_do_not_know(gateways: Gateways, viewers: Viewers) -> None:
    first = await viewers.open(CRM)
    for _ in range(3):
        gateways.call()
    assert [await first.number() for _ in range(3)] == [1, 2, 3]
    second = await viewers.open(CRM, known=2)
    assert await second.number() == 3
    for each in (first, second):
        await each.leave()


async def test_the_first_viewer_says_where_the_stream_begins(gateways: Gateways, viewers: Viewers) -> None:
    viewer = await viewers.open(CRM, known=7)
    assert gateways.opened == [(CRM, {"system/default/gw-a": 7})]
    await viewer.leave()


async def test_a_slow_viewer_misses_calls_is_told_how_many_and_holds_up_no_other(
    gateways: Gateways, viewers: Viewers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_tails, "MOST_WAITING", 2)
    slow, quick = await viewers.open(CRM), await viewers.open(CRM)
    for number in range(1, 6):
        gateways.call()
        assert await quick.number() == number
    assert await slow.number() == 1
    assert await slow.event() == CallGap("", "", 2)
    assert [await slow.number() for _ in range(2)] == [4, 5]
    for each in (slow, quick):
        await each.leave()


async def test_what_ends_a_stream_is_told_to_its_viewers(gateways: Gateways, viewers: Viewers) -> None:
    viewer = await viewers.open(CRM)
    gateways.send(RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        await viewer.event()


async def test_one_who_begins_now_gets_no_calls_of_before(gateways: Gateways, viewers: Viewers) -> None:
    first = await viewers.open(CRM)
    gateways.call()
    assert await first.number() == 1
    second = await viewers.open(CRM)
    gateways.call()
    assert (await first.number(), await second.number()) == (2, 2)
    for each in (first, second):
        await each.leave()


async def test_calls_of_a_replica_that_was_started_again_are_shown(gateways: Gateways, viewers: Viewers) -> None:
    viewer = await viewers.open(CRM, known=40)
    gateways.call()
    gateways.call()
    assert [await viewer.number() for _ in range(2)] == [1, 2]
    await viewer.leave()
