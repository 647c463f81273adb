"""Shape: decide in which form a response reaches the caller, and report how it ended.

The two forms are a JSON document (:mod:`.json_response`) and a stream of events (:mod:`.sse_response`).
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.media_types import EVENT_STREAM
from ostiary_gateway.pipeline import record
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.json_response import relay_document
from ostiary_gateway.pipeline.jsonrpc import ResponseSummary
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.lists.list_invalidation import note_outcome
from ostiary_gateway.pipeline.open_stream import OpenStream
from ostiary_gateway.pipeline.open_streams import OpenStreams
from ostiary_gateway.pipeline.pinned_sessions.pinned_session import seal_pinned
from ostiary_gateway.pipeline.response_head import no_stream
from ostiary_gateway.pipeline.session_header import SealSession
from ostiary_gateway.pipeline.sse_response import EventRelay, OnEnd
from ostiary_gateway.pipeline.whole_stream import WholeStreamRelay, whole_events
from ostiary_gateway.seal import Sealer
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response
from ostiary_gateway.session_ids import UpstreamSession, seal_session
from ostiary_gateway.telemetry import ClientSpan, ServerSpan
from ostiary_gateway.telemetry.session_counts import SESSIONS
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse


class ResponseShaper:
    """Shapes the responses of one gateway.

    ``snapshot`` returns the config in force, None while the gateway drains; ``is_cut_off`` says whether a request was
    cancelled because the drain period is over.
    """

    def __init__(
        self,
        *,
        sealer: Sealer,
        streams: OpenStreams,
        snapshot: Callable[[], Snapshot | None],
        is_cut_off: Callable[[Request], bool],
    ) -> None:
        self._sealer = sealer
        self._streams = streams
        self._snapshot = snapshot
        self._is_cut_off = is_cut_off
        # Made once: of thousands of open streams each would keep bound methods of its own.
        self._seal: SealSession = self._sealed
        self._on_end: OnEnd = self._ended

    def shape(
        self, exchange: Exchange, leg: Leg, response: UpstreamResponse, span: ServerSpan, client: ClientSpan
    ) -> Awaitable[Response | None]:
        """Return what to await for the response to the caller.

        That is None where it was sent as a stream. This is no coroutine of its own: thousands of streams pass here.

        Raises:
            Refusal: a GET was not answered with a stream.
            UpstreamFault: the response is not one to the request.
        """
        if _is_relayed(exchange, response):
            relay = self._relay_stream if exchange.awaits_response and not exchange.stays_open else self._relay_events
            return relay(exchange, leg, response, span, client)
        return self._shape_document(exchange, leg, response, span, client)

    async def _shape_document(
        self, exchange: Exchange, leg: Leg, response: UpstreamResponse, span: ServerSpan, client: ClientSpan
    ) -> Response:
        if response.status >= 400 and leg.message is not None:
            leg.server.eras.note_refused(leg.message.era)
        if exchange.request.method == "DELETE":
            leg.succeeded()
            if exchange.session is not None and response.status < 300:
                SESSIONS.note_ended(exchange.proxy.identity)
            return Response(response.status)
        if exchange.awaits_response:
            document, outcome = await relay_document(exchange, leg, response, seal=self._seal)
            record.answered(span, client, outcome)
            if exchange.proxy.list_cache is not None:
                note_outcome(leg, outcome, document.body)
            if outcome.reason:
                _record_result(exchange, leg, outcome)
            else:
                leg.succeeded()
            return document
        if exchange.message is not None:
            leg.succeeded()
            return Response(202)  # a notification, or a client's response, gets no other response
        raise no_stream()

    async def _relay_stream(
        self, exchange: Exchange, leg: Leg, response: UpstreamResponse, span: ServerSpan, client: ClientSpan
    ) -> None:
        """Relay the response to a request, at once where it has come whole."""
        events = whole_events(exchange, leg, response)
        if events is None:
            await self._relay_events(exchange, leg, response, span, client)
            return
        relay = WholeStreamRelay(exchange, leg, response, events=events, seal=self._seal)
        try:
            relay.run()
        finally:
            _record_events(exchange, leg, relay, span, client)

    def _relay_events(
        self, exchange: Exchange, leg: Leg, response: UpstreamResponse, span: ServerSpan, client: ClientSpan
    ) -> Awaitable[None]:
        stream = OpenStream(exchange.proxy, exchange, response) if exchange.stays_open else None
        relay = EventRelay(exchange, leg, response, stream=stream, seal=self._seal)
        if stream is not None:
            leg.succeeded()
            exchange.request.connection.accept_no_more()
            response.forget_headers()
            self._streams.opened(stream, self._snapshot())
        return relay.run(span, client, is_cut_off=self._is_cut_off, on_end=self._on_end)

    def _ended(self, relay: EventRelay, span: ServerSpan, client: ClientSpan) -> None:
        if relay.stream is not None:
            self._streams.closed(relay.stream)
        _record_events(relay.exchange, relay.leg, relay, span, client)

    def _sealed(self, exchange: Exchange, leg: Leg, session: UpstreamSession, result: Mapping[str, Any]) -> str:
        SESSIONS.note_opened(exchange.proxy.identity)
        if leg.declared is not None:
            return seal_pinned(self._sealer, exchange, leg.server, leg.declared, session, result)
        return seal_session(self._sealer, session, proxy_uid=exchange.proxy.uid, principal=exchange.principal.id)


def _record_events(
    exchange: Exchange, leg: Leg, relay: EventRelay | WholeStreamRelay, span: ServerSpan, client: ClientSpan
) -> None:
    """Report how a request was answered in a stream."""
    outcome = relay.outcome
    exchange.is_answered = outcome is not None
    record.answered(span, client, outcome, relay.fault)
    if relay.fault is not None:
        leg.failed(relay.fault)
    elif outcome is not None:
        _record_result(exchange, leg, outcome)


def _is_relayed(exchange: Exchange, response: UpstreamResponse) -> bool:
    """Return whether a response goes to the caller as a stream of events."""
    if response.content_type != EVENT_STREAM or response.status >= 300 or exchange.request.method == "DELETE":
        return False
    return exchange.message is None or exchange.awaits_response


def _record_result(exchange: Exchange, leg: Leg, outcome: ResponseSummary) -> None:
    """Report to the server's health that it answered, perhaps with a gateway's refusal.

    A server that leads into a loop counts as faulty. Only a request that came without a mark proves that: a caller may
    have invented the mark that it sends, and must not be able to have this proxy, or one behind it, reported as faulty.
    """
    if outcome.reason == faults.LOOP and not exchange.passed:
        leg.failed(UpstreamFault(faults.LOOP, "requests to it come back to this MCPProxy, or go on without end"))
    else:
        leg.succeeded()
