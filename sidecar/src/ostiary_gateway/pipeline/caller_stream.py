"""The writing half of a relayed stream: events to one caller, at its pace.

One or several readers feed it (:mod:`.leg_events`), each with whole events, so that they may come in any order.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from ostiary_gateway import sse
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.limits.checks import reserve_response_bytes
from ostiary_gateway.media_types import EVENT_STREAM_HEADERS
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.open_stream import OpenStream
from ostiary_gateway.pipeline.sse_transport import DownstreamWriter
from ostiary_gateway.upstream import faults


class EventSource(Protocol):
    """What feeds a stream."""

    @property
    def is_between_events(self) -> bool:
        """Whether no part of an event has arrived: nothing of our own is sent between its parts."""


class CallerStream:
    """One event stream to the caller of an exchange.

    ``stream`` is set if it stays open and follows changes of the policy (a GET, a listen). ``downstream`` is the writer
    of a stream that has begun before.

    ``waits_for_event``: it begins with the first event, so that a request can be sent again until then.

    ``is_answered`` once the response to the request was written: nothing of our own may follow it.
    """

    __slots__ = (
        "_before_header",
        "_exchange",
        "_limit",
        "_reserved",
        "_turn",
        "downstream",
        "is_answered",
        "readers",
        "stream",
        "waits_for_event",
    )

    def __init__(
        self,
        exchange: Exchange,
        *,
        stream: OpenStream | None,
        downstream: DownstreamWriter | None = None,
        waits_for_event: bool = False,
    ) -> None:
        self.waits_for_event = waits_for_event
        self.is_answered = False
        self.stream = stream
        #: What feeds the stream, with whole events each.
        self.readers: list[EventSource] = []
        self._exchange = exchange
        self._limit = exchange.snapshot.settings.bounds.message_bytes
        self.downstream = downstream or DownstreamWriter(exchange.request, EVENT_STREAM_HEADERS)
        #: What waits until the session's header is known.
        self._before_header = b""
        self._reserved = 0
        #: Made where several feed the stream: most have one.
        self._turn: asyncio.Lock | None = None
        if stream is not None:
            stream.notices.sender = self

    @property
    def begun(self) -> bool:
        """Whether status and headers are fixed."""
        return self.downstream.begun

    @property
    def is_given_up(self) -> bool:
        """Whether the caller has been gone for so long that nothing is read for it any more."""
        return self.downstream.is_given_up

    @property
    def is_ended(self) -> bool:
        """Whether we have ended the stream."""
        return self.stream is not None and self.stream.ended

    def add_headers(self, headers: Mapping[str, str]) -> None:
        """Add headers, before the stream has begun."""
        self.downstream.add_headers(headers)

    def begin(self) -> None:
        """Fix status and headers."""
        self.downstream.begin()

    async def is_authenticated(self) -> bool:
        """Authenticate an open stream's caller again if due; return whether it may continue."""
        if self.stream is not None and self.stream.unauthenticated:
            await self.stream.authenticate()
        return not self.is_ended

    def settle(self) -> bool:
        """Authorize an open stream again if due; return whether it may continue."""
        if self.stream is not None:
            self.stream.settle()
        return not self.is_ended

    def send_on(self, events: bytes) -> None:
        """Write whole events; :meth:`flush` sends them.

        Raises:
            UpstreamFault: too much came before the response to initialize, whose headers come first.
        """
        if self.waits_for_event and events:
            self.downstream.begin()
        self._before_header += events
        # The response to initialize waits until its revision is known: the session's header is sent before it.
        if self.downstream.begun or self.is_answered:
            self.downstream.write(self._before_header)
            self._before_header = b""
        elif len(self._before_header) > self._limit:
            raise UpstreamFault(
                faults.TOO_LARGE, f"more than {self._limit} bytes came before the answer (bounds.messageBytes)"
            )

    def write_own(self, message: bytes) -> None:
        """Write a message of our own as an event."""
        self.downstream.write(sse.event(message))

    def send_notices(self) -> None:
        """Send our own notifications, if the stream takes any now."""
        stream = self.stream
        if stream is None or self.is_answered or not self.downstream.begun:
            return
        if stream.unauthenticated:
            return  # they are sent once it is authenticated
        stream.settle()
        if stream.ended or not all(reader.is_between_events for reader in self.readers):
            return
        if notices := stream.notices.take():
            self.downstream.write(notices)
            self.downstream.push()

    def keep_alive(self) -> None:
        """Write a comment: the stream is silent, not dead."""
        if self.waits_for_event:
            self.downstream.begin()  # some callers, and proxies before us, give up without a head
        if self.downstream.begun:
            self.downstream.write(sse.KEEP_ALIVE)

    def reserve(self) -> None:
        """Count what waits for the session's header or for the caller.

        Raises:
            UpstreamFault: the gateway may hold no more.
        """
        size = len(self._before_header) + self.downstream.untaken
        if size != self._reserved:
            reserve_response_bytes(self._exchange.reservation, size - self._reserved)
            self._reserved = size

    async def flush(self) -> None:
        """Send what was written; once the caller has disconnected, it is dropped."""
        untaken = self.downstream.untaken
        if len(self.readers) > 1:
            self._turn = self._turn or asyncio.Lock()
            async with self._turn:  # one of them at a time waits for a slow caller
                await self.downstream.flush()
        else:
            await self.downstream.flush()
        if untaken:
            self.reserve()

    async def end(self) -> None:
        """Complete the stream: nothing follows."""
        if self.stream is not None:
            self.stream.notices.close()
        self.downstream.end()
        await self.flush()
