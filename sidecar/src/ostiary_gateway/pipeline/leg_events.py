"""The reading half of a relayed stream: the events of one server for one caller.

Only the event that is arriving is buffered. The events go to a :class:`~.caller_stream.CallerStream`, which may be fed
by several servers.
"""

import asyncio
from collections.abc import Iterator
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Final

from ostiary_gateway import sse
from ostiary_gateway.errors import InputAsked, UpstreamFault
from ostiary_gateway.limits.checks import reserve_response_bytes
from ostiary_gateway.pipeline.caller_stream import CallerStream
from ostiary_gateway.pipeline.event_checks import check_end
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.jsonrpc import ResponseSummary
from ostiary_gateway.pipeline.large_messages import LARGE_MESSAGES, LIGHT_BYTES, SLICE_SECONDS
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.running_steps import RunningSteps
from ostiary_gateway.pipeline.session_header import SealSession
from ostiary_gateway.pipeline.sse_filter import SseFilter
from ostiary_gateway.pipeline.sse_transport import UpstreamEvents, is_light
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

if TYPE_CHECKING:
    from ostiary_gateway.pipeline.pinned_sessions.stream_reopening import StreamReopening

#: After this many seconds of silence a comment is sent into a stream.
KEEP_ALIVE_SECONDS: Final = 15.0
#: A server should end its stream after the response, and has this many seconds to do so.
AFTERMATH_SECONDS: Final = 1.0
#: The most events of one chunk that are filtered before other requests are served.
BLOCKS_AT_ONCE: Final = 256
_FOREVER: Final = float("inf")


class LegEvents:
    """Reads the events of one leg's response into a stream to the caller.

    Afterwards ``outcome`` is how the request was answered by this server, None if it was not.
    """

    __slots__ = (
        "_answered_at",
        "_arriving",
        "_exchange",
        "_filter",
        "_is_reopened",
        "_large",
        "_left",
        "_reopening",
        "_reserved",
        "_server",
        "_silent_since",
        "_to",
        "_upstream",
        "_waiting",
    )

    def __init__(
        self, exchange: Exchange, leg: Leg, response: UpstreamResponse, *, to: CallerStream, seal: SealSession
    ) -> None:
        self._exchange = exchange
        self._server = leg.server
        self._reopening = leg.reopening
        self._upstream, self._to = response, to
        to.readers.append(self)
        self._arriving = UpstreamEvents(limit=exchange.snapshot.settings.bounds.message_bytes)
        self._filter = SseFilter(exchange, leg, response, stream=to.stream, seal=seal, to=to)
        self._answered_at = 0.0
        #: Since when nothing has come, 0 while something comes; and how many seconds that might last.
        self._silent_since = self._left = 0.0
        #: A large event that waits for its turn, and one whose filtering waits for something, such as a scorer.
        self._large: bytes | None = None
        self._waiting: RunningSteps[bytes] | None = None
        self._reserved = 0
        self._is_reopened = False

    @property
    def outcome(self) -> ResponseSummary | None:
        """How the request was answered, None if it was not."""
        return self._filter.outcome

    @property
    def is_resumable(self) -> bool:
        """Whether the client can resume this server's part of the stream."""
        return self._filter.resumable

    @property
    def is_between_events(self) -> bool:
        """Whether no part of an event has arrived."""
        return self._arriving.between_blocks

    def check_end(self) -> None:
        """Check that a stream that has ended may end so, where a response is due.

        Raises:
            UpstreamFault: it ended without the response, and cannot be resumed.
        """
        check_end(foreign_responses=self._filter.foreign_responses, is_resumable=self._filter.resumable)

    async def run(self) -> None:
        """Pass on events to the end, as :meth:`pass_on` does; it raises the same."""
        has_come = True
        while (more := await self.pass_on(has_come=has_come)) is not None:
            has_come = await more

    async def pass_on(self, *, has_come: bool) -> asyncio.Future[bool] | None:
        """Pass on what has arrived, and return what to await for more; None at the end.

        ``has_come`` is the result of what was awaited last, True at first. The caller awaits in its own frame: that may
        be for days, with thousands of others. A stream that goes on at another endpoint is read there.

        Raises:
            UpstreamFault: the server failed.
            InputAsked: the server of a bridged leg asks for input. The stream to the caller stays open.
        """
        if (reopening := self._reopening) is None:
            return await self._pass_on_arrived(has_come=has_come)
        while True:
            try:
                more = await self._pass_on_arrived(has_come=has_come)
            except UpstreamFault as fault:
                if fault.kind != faults.RESET:
                    raise
                self._server.health.absorbed(fault)
                more = None
            if more is not None or self.outcome is not None or not await self._goes_on(reopening):
                return more
            has_come = True

    async def _goes_on(self, reopening: "StreamReopening") -> bool:
        """Return whether another response takes the place of the one that has ended."""
        self._upstream.close()
        found = await reopening.response_for(self._to)
        if found is None:
            return False
        self._upstream, self._large, self._waiting = found, None, None
        self._arriving = UpstreamEvents(limit=self._exchange.snapshot.settings.bounds.message_bytes)
        self._reserve()
        self._silent_since, self._is_reopened = 0.0, True
        return True

    async def _pass_on_arrived(self, *, has_come: bool) -> asyncio.Future[bool] | None:
        while has_come or self._bears_silence():
            # An end that has arrived already is empty: then response and end are sent in one piece.
            if (chunk := self._upstream.ready()) is None:
                await self._to.flush()
                chunk = self._next_chunk()
            if chunk is None:
                return self._more()
            if not chunk:
                break
            self._silent_since, has_come = 0.0, True
            await self._pass_all(self._arriving.feed(chunk))
            if self._filter.outcome is not None and self._aftermath_is_over():
                break
        if self._arriving.is_document and not self._arriving.between_blocks:
            await self._pass_all(iter((sse.event(self._arriving.rest()),)))
        return None

    def _more(self) -> asyncio.Future[bool]:
        self._silent_since = self._silent_since or self._answered_at or monotonic()
        self._left = self._seconds_left(since=monotonic() - self._silent_since)
        return self._upstream.arrival(min(self._left, KEEP_ALIVE_SECONDS))

    async def _pass_all(self, blocks: Iterator[bytes]) -> None:
        """Filter and send the events that a chunk has completed."""
        while await self._to.is_authenticated() and self._pass_on(blocks) and not self._to.is_ended:
            # A chunk of many tiny events takes long, while other requests wait. More chunks come meanwhile, so there
            # must be a flush: without it a slow client would never slow the upstream.
            await self._to.flush()
            if self._waiting is not None:
                await self._pass_on_waiting(self._waiting)
            elif self._large is None:
                await asyncio.sleep(0)
            else:
                await self._pass_on_large(self._large)

    async def _pass_on_large(self, block: bytes) -> None:
        """Filter a large event in slices, in its turn."""
        self._large = None
        running = RunningSteps(self._filter.filtering(block))
        while not running.is_done:
            async with LARGE_MESSAGES.turn(self._exchange.proxy.uid):
                # The policy may have changed while it waited.
                if not await self._to.is_authenticated() or not self._to.settle():
                    return
                await running.slices(SLICE_SECONDS)
            if not running.is_done:
                await running.awaited()  # others have the turn meanwhile
        self._send_on(running.result())

    async def _pass_on_waiting(self, running: RunningSteps[bytes]) -> None:
        """Finish the filtering of an event that waits for something, and send it."""
        self._waiting = None
        self._send_on(await running.soon())

    def _pass_on(self, blocks: Iterator[bytes]) -> bool:
        """Filter and send a number of events; return whether there may be more."""
        if not self._to.settle():
            return False
        filtered, fault = self._filtered(islice(blocks, BLOCKS_AT_ONCE))
        self._send_on(b"".join(filtered))
        if fault is not None:
            raise fault
        if len(filtered) == BLOCKS_AT_ONCE or self._large is not None or self._waiting is not None:
            return True
        self._reserve()
        self._to.send_notices()
        return False

    def _filtered(self, blocks: Iterator[bytes]) -> tuple[list[bytes], UpstreamFault | InputAsked | None]:
        """Filter events up to the first that fails, is large, or waits for something.

        What came before it is still to be sent.
        """
        filtered: list[bytes] = []
        try:
            for block in blocks:
                if len(block) > LIGHT_BYTES and not is_light(block):
                    self._large = block
                    break
                running = RunningSteps(self._filter.filtering(block))
                if not running.advance():
                    self._waiting = running
                    break
                filtered.append(running.result())
        except (UpstreamFault, InputAsked) as fault:
            return filtered, fault
        return filtered, None

    def _send_on(self, filtered: bytes) -> None:
        if self._filter.outcome is not None:
            self._to.is_answered = True
        self._to.send_on(filtered)

    def _reserve(self) -> None:
        """Count what is buffered: an incomplete event, and what waits to be sent."""
        size = self._arriving.pending
        if size != self._reserved:
            reserve_response_bytes(self._exchange.reservation, size - self._reserved)
            self._reserved = size
        self._to.reserve()

    def leave(self) -> None:
        """Feed the stream no more, and release what is buffered of an event that broke off."""
        self._to.readers.remove(self)
        if self._is_reopened:
            self._upstream.close()
        reserve_response_bytes(self._exchange.reservation, -self._reserved)
        self._reserved = 0

    def _next_chunk(self) -> bytes | None:
        """Return what has arrived: empty at the end, None if it must be awaited.

        Raises:
            UpstreamFault: the server failed, or its caller has been gone for too long.
        """
        if self._to.is_given_up:
            raise UpstreamFault(faults.TIMEOUT, "the server did not end although its caller has gone")
        chunk = self._upstream.ready()
        if chunk is not None or self._upstream.fault is None:
            return chunk
        if self._filter.outcome is None and not self._to.is_ended:
            raise self._upstream.fault
        return b""

    def _bears_silence(self) -> bool:
        """Return whether to wait longer for a silent server, and send a comment meanwhile.

        Raises:
            UpstreamFault: it has been silent for too long, and has not answered.
        """
        if self._left > KEEP_ALIVE_SECONDS:
            self._keep_alive()
            return True
        if self._filter.outcome is None:
            raise faults.idle_timeout()
        return False

    def _seconds_left(self, *, since: float) -> float:
        """Return how many seconds the upstream may still be silent."""
        if self._filter.outcome is not None:
            return max(0.0, AFTERMATH_SECONDS - since)
        return _FOREVER if self._to.stream is not None else max(0.0, self._server.idle_seconds - since)

    def _aftermath_is_over(self) -> bool:
        """Return whether a server that continues after its response has used up its time."""
        now = monotonic()
        self._answered_at = self._answered_at or now
        return now - self._answered_at >= AFTERMATH_SECONDS

    def _keep_alive(self) -> None:
        if self.is_between_events:
            self._to.keep_alive()
