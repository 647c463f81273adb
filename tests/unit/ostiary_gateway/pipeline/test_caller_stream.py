"""One stream that several servers feed: whole events, at the pace of its caller."""

import asyncio
from typing import Any, cast

from gateways import BOUNDS

from ostiary_gateway.limits.reservation import Reservation
from ostiary_gateway.pipeline.caller_stream import CallerStream
from ostiary_gateway.pipeline.exchange import Exchange


class Caller:
    """A connection, and what of a request and a snapshot a stream reads."""

    def __init__(self) -> None:
        self.connection = self
        self.settings = self
        self.bounds = BOUNDS
        self.minor_version = 1
        self.response_headers = None
        self.lost = False
        self.stalled_since: float | None = None
        self.stream: Any = None
        self.written = b""
        self.waiting = 0
        self.most_waiting = 0
        self.takes = asyncio.Event()

    def keeps_connection(self) -> bool:
        return True

    def write(self, data: bytes) -> None:
        self.written += data

    async def drained(self) -> None:
        self.waiting += 1
        self.most_waiting = max(self.waiting, self.most_waiting)
        await self.takes.wait()
        self.waiting -= 1


class Reader:
    """A server whose event has arrived in part, or not at all."""

    def __init__(self, *, is_between_events: bool = True) -> None:
        self.is_between_events = is_between_events


def stream_to(caller: Caller) -> CallerStream:
    anything = cast("Any", caller)
    return CallerStream(Exchange(anything, anything, anything, reservation=Reservation()), stream=None)


async def test_events_of_several_servers_are_whole_and_in_the_order_of_their_arrival() -> None:
    caller = Caller()
    stream = stream_to(caller)
    stream.readers += [Reader(), Reader()]
    stream.begin()
    for event in (b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"):
        stream.send_on(event)
        await stream.flush()
    await stream.end()

    bodies = [piece for piece in caller.written.split(b"\r\n") if piece.startswith(b"data")]
    assert bodies == [b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"]


async def test_one_server_at_a_time_waits_for_a_slow_caller() -> None:
    caller = Caller()
    stream = stream_to(caller)
    stream.readers += [Reader(), Reader(), Reader()]
    stream.begin()
    caller.stalled_since = 1.0
    flushing = [asyncio.create_task(stream.flush()) for _ in range(3)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert caller.waiting == 1
    caller.takes.set()
    await asyncio.gather(*flushing)

    assert caller.most_waiting == 1


async def test_a_caller_that_has_gone_holds_up_no_server() -> None:
    caller = Caller()
    stream = stream_to(caller)
    stream.readers += [Reader(), Reader()]
    stream.begin()
    caller.lost = True
    stream.send_on(b"data: lost\n\n")
    await asyncio.gather(stream.flush(), stream.flush())

    assert stream.downstream.gone
    assert caller.written == b""
