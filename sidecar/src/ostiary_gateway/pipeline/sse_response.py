"""Relays a response as a stream of events, each as the client may see it.

Only the event that is arriving is buffered. In the modern era a client that disconnects cancels its request (the server
detects it and cancels us). In the legacy era the upstream's work continues and its stream is read to the end, because
there a lost connection is not a cancellation.
"""

import asyncio
from collections.abc import Callable, Iterator
from itertools import islice
from time import monotonic
from typing import Final

from ostiary_core import strict_json
from ostiary_gateway import sse
from ostiary_gateway.errors import InputAsked, UpstreamFault
from ostiary_gateway.limits.checks import reserve_response_bytes
from ostiary_gateway.media_types import EVENT_STREAM_HEADERS
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.json_response import SealSession, opens_session
from ostiary_gateway.pipeline.jsonrpc import ResponseSummary
from ostiary_gateway.pipeline.large_messages import LARGE_MESSAGES, LIGHT_BYTES, at_once, in_slices
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.open_streams import OpenStream, listen_ended
from ostiary_gateway.pipeline.refusal_responses import error_message
from ostiary_gateway.pipeline.sse_filter import SseFilter
from ostiary_gateway.pipeline.sse_transport import DownstreamWriter, UpstreamEvents, is_light
from ostiary_gateway.threads import uncancel
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

#: After this many seconds of silence a comment is sent into a stream.
KEEP_ALIVE_SECONDS: Final = 15.0
#: A server should end its stream after the response, and has this many seconds to do so.
AFTERMATH_SECONDS: Final = 1.0
#: The most events of one chunk that are filtered before other requests are served.
BLOCKS_AT_ONCE: Final = 256


class EventRelay:
    """Relays one event stream.

    ``stream`` is set if it stays open and follows changes of the policy (a GET, a listen).
    ``ending`` returns, when the relay is cancelled, whether that is because the gateway's time to drain is over.

    Afterwards ``outcome`` is how the request was answered, None if it was not, and ``fault`` what the upstream did
    wrong after the stream had begun.
    """

    def __init__(
        self,
        exchange: Exchange,
        leg: Leg,
        response: UpstreamResponse,
        *,
        stream: OpenStream | None,
        seal: SealSession,
        ending: Callable[[], bool] = lambda: False,
    ) -> None:
        self.fault: UpstreamFault | None = None
        self._exchange = exchange
        self._server = leg.server
        self._upstream = response
        self._stream = stream
        self._ending = ending
        self._limit = exchange.snapshot.settings.bounds.message_bytes
        self._arriving = UpstreamEvents(limit=self._limit)
        self._downstream = leg.downstream or DownstreamWriter(exchange.request, EVENT_STREAM_HEADERS)
        self._downstream.stalled = response.hold_back
        if leg.bridge is not None:
            leg.downstream = self._downstream
        self._filter = SseFilter(
            exchange, leg, response, stream=stream, seal=seal, add_headers=self._downstream.add_headers
        )
        if stream is not None:
            stream.notices.ready = self._send_notices
        self._answered_at = 0.0
        #: A large event that waits for its turn, before what follows it.
        self._large: bytes | None = None
        #: What waits until the session's header is known.
        self._before_header = b""
        self._reserved = 0

    @property
    def outcome(self) -> ResponseSummary | None:
        """How the request was answered, None if it was not."""
        return self._filter.outcome

    async def run(self) -> None:
        """Relay until the upstream ends.

        Raises:
            UpstreamFault: the upstream failed before anything was sent to the client.
            InputAsked: the server of a bridged leg asks for input. The stream to the client stays open.
        """
        try:
            await self._relay()
            self._finish()
        except UpstreamFault as found:
            if not self._downstream.begun:
                raise
            self.fault = fault = self._server.as_seen(found)
            self._send_error(fault)
        except asyncio.CancelledError:
            if not self._downstream.begun or not self._ending():
                raise
            uncancel()
            self._send_cut_off()
        if self._stream is not None:
            self._stream.notices.close()  # nothing may follow the end
        self._downstream.end()
        await self._flush()

    async def _relay(self) -> None:
        if not opens_session(self._exchange):
            self._downstream.begin()
        # An end that has arrived already is empty: then response and end are sent in one piece.
        while chunk := await self._next_chunk() if (ready := self._upstream.ready()) is None else ready:
            await self._pass_all(self._arriving.feed(chunk))
            if self._filter.outcome is not None and self._aftermath_is_over():
                break
        if self._arriving.is_document and not self._arriving.splitter.between_blocks:
            await self._pass_all(iter((sse.event(self._arriving.splitter.rest()),)))
        if not self._downstream.begun:
            raise UpstreamFault(faults.RESET, "the stream ended without the answer")

    async def _pass_all(self, blocks: Iterator[bytes]) -> None:
        """Filter and send the events that a chunk has completed."""
        while await self._is_authenticated() and self._pass_on(blocks) and not self._is_ended:
            # A chunk of many tiny events takes long, while other requests wait. More chunks come meanwhile, so there
            # must be a flush: without it a slow client would never slow the upstream.
            await self._flush()
            if self._large is None:
                await asyncio.sleep(0)
            else:
                await self._pass_on_large(self._large)

    async def _is_authenticated(self) -> bool:
        """Authenticate an open stream's caller again if due; return whether it may continue."""
        if self._stream is not None and self._stream.unauthenticated:
            await self._stream.authenticate()
        return not self._is_ended

    async def _pass_on_large(self, block: bytes) -> None:
        """Filter a large event in slices, in its turn."""
        self._large = None
        async with LARGE_MESSAGES.turn(self._exchange.proxy.uid):
            # The policy may have changed while it waited.
            if not await self._is_authenticated():
                return
            if self._stream is not None:
                self._stream.settle()
            if self._is_ended:
                return
            filtered = await in_slices(self._filter.filtering(block))
        self._send_on(filtered)

    def _pass_on(self, blocks: Iterator[bytes]) -> bool:
        """Filter and send a number of events; return whether there may be more."""
        if self._stream is not None:
            self._stream.settle()
            if self._stream.ended:
                return False
        filtered, fault = self._filtered(islice(blocks, BLOCKS_AT_ONCE))
        self._send_on(b"".join(filtered))
        if fault is not None:
            raise fault
        if len(filtered) == BLOCKS_AT_ONCE or self._large is not None:
            return True
        self._reserve()
        self._send_notices()
        return False

    def _filtered(self, blocks: Iterator[bytes]) -> tuple[list[bytes], UpstreamFault | InputAsked | None]:
        """Filter events up to the first that fails or is large.

        What came before it is still to be sent.
        """
        filtered: list[bytes] = []
        try:
            for block in blocks:
                if len(block) > LIGHT_BYTES and not is_light(block):
                    self._large = block
                    break
                filtered.append(at_once(self._filter.filtering(block)))
        except (UpstreamFault, InputAsked) as fault:
            return filtered, fault
        return filtered, None

    def _send_on(self, filtered: bytes) -> None:
        self._before_header += filtered
        # The response to initialize waits until its revision is known: the session's header is sent before it.
        if self._downstream.begun or self._filter.outcome is not None:
            self._downstream.write(self._before_header)
            self._before_header = b""
        elif len(self._before_header) > self._limit:
            raise UpstreamFault(
                faults.TOO_LARGE, f"more than {self._limit} bytes came before the answer (bounds.messageBytes)"
            )

    @property
    def _is_ended(self) -> bool:
        """Whether we have ended the stream."""
        return self._stream is not None and self._stream.ended

    def _reserve(self) -> None:
        """Count what is buffered: an incomplete event, and what waits to be sent."""
        size = self._arriving.splitter.pending + len(self._before_header) + self._downstream.untaken
        if size != self._reserved:
            reserve_response_bytes(self._exchange.reservation, size - self._reserved)
            self._reserved = size

    async def _next_chunk(self) -> bytes:
        """Wait for the next chunk; empty at the end. Send comments while the upstream is silent."""
        since = self._answered_at or monotonic()
        while True:
            await self._flush()
            if self._downstream.is_given_up:
                raise UpstreamFault(faults.TIMEOUT, "the server did not end although its caller has gone")
            left = self._seconds_left(since=monotonic() - since)
            try:
                return await self._upstream.read_some(min(left, KEEP_ALIVE_SECONDS))
            except TimeoutError as error:
                if left > KEEP_ALIVE_SECONDS:
                    self._keep_alive()
                elif self._filter.outcome is not None:
                    return b""
                else:
                    raise faults.idle_timeout() from error
            except UpstreamFault:
                if self._filter.outcome is not None or self._is_ended:
                    return b""
                raise

    def _seconds_left(self, *, since: float) -> float:
        """Return how many seconds the upstream may still be silent."""
        if self._filter.outcome is not None:
            return max(0.0, AFTERMATH_SECONDS - since)
        return float("inf") if self._stream is not None else max(0.0, self._server.idle_seconds - since)

    def _aftermath_is_over(self) -> bool:
        """Return whether a server that continues after its response has used up its time."""
        now = monotonic()
        self._answered_at = self._answered_at or now
        return now - self._answered_at >= AFTERMATH_SECONDS

    def _send_notices(self) -> None:
        """Send our own notifications, as soon as the stream is between two events."""
        stream = self._stream
        if stream is None or self._filter.outcome is not None or not self._downstream.begun:
            return
        if stream.unauthenticated:
            return  # they are sent once it is authenticated
        stream.settle()
        if stream.ended:
            return
        if self._arriving.splitter.between_blocks and (notices := stream.notices.take()):
            self._downstream.write(notices)
            self._downstream.push()

    def _keep_alive(self) -> None:
        if self._downstream.begun and self._arriving.splitter.between_blocks:
            self._downstream.write(sse.KEEP_ALIVE)

    def _finish(self) -> None:
        """End a stream without a response: a listen that we end, or a fault of the upstream."""
        if self._filter.outcome is not None or not self._exchange.awaits_response:
            return
        if self._is_ended:
            self._downstream.write(sse.event(strict_json.dumps(listen_ended(self._exchange.request_id))))
            self._filter.outcome = ResponseSummary()
        elif self._filter.foreign_responses:
            raise UpstreamFault(faults.INVALID, "the stream held answers to other requests only")
        elif not self._filter.resumable:
            raise UpstreamFault(faults.RESET, "the stream ended without the answer")

    def _send_error(self, fault: UpstreamFault) -> None:
        """Send an error to a client that waits for a response, unless it can resume the stream."""
        answered = self._filter.outcome is not None
        if answered or not self._exchange.awaits_response or (self._filter.resumable and fault.kind == faults.RESET):
            return
        refusal = faults.refusal(fault)
        self._filter.outcome = ResponseSummary(refusal.code, refusal.message)
        self._downstream.write(sse.event(strict_json.dumps(error_message(refusal, self._exchange.request_id))))

    def _send_cut_off(self) -> None:
        """End a stream because the gateway stops.

        A client that can resume it will do so at another replica.
        """
        if self._exchange.awaits_response and self._filter.outcome is None and not self._filter.resumable:
            self.fault = faults.drain_expired()
            self._send_error(self.fault)

    async def _flush(self) -> None:
        """Send what was written; once the client has gone, the upstream is read to its end."""
        untaken = self._downstream.untaken
        await self._downstream.flush()
        if untaken:
            self._reserve()
