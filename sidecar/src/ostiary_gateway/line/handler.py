"""The request's line, whole: every request of the data port passes here, from top to bottom."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import aiohttp
from aiohttp import web

from ostiary_core.mcp.methods import Judgement
from ostiary_core.mcp.revisions import Era
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.line import record
from ostiary_gateway.line.authorize import authorize
from ostiary_gateway.line.body import check_accept, check_head, read_body
from ostiary_gateway.line.exchange import Exchange
from ostiary_gateway.line.forward import EVENT_STREAM, content_type, forward
from ostiary_gateway.line.frame import frame, legacy_revision, parse
from ostiary_gateway.line.identify import check_origin, open_session
from ostiary_gateway.line.limit import Occupancy
from ostiary_gateway.line.receive import receive
from ostiary_gateway.line.refusals import response_for
from ostiary_gateway.line.relay import EventRelay, relay_json
from ostiary_gateway.line.route import route
from ostiary_gateway.line.select import select
from ostiary_gateway.line.streams import OpenStream, OpenStreams
from ostiary_gateway.server import Callers
from ostiary_gateway.session import Sealer, Session
from ostiary_gateway.telemetry import ClientSpan, ServerSpan, Telemetry
from ostiary_gateway.upstream import faults


class RequestLine:
    """Takes each request along its line.

    ``snapshot`` returns the config in force, or None before there is one; ``loopback`` says that we listen on loopback
    only; ``callers`` ends the work of those who go away.
    """

    def __init__(
        self,
        *,
        snapshot: Callable[[], Snapshot | None],
        sealer: Sealer,
        telemetry: Telemetry,
        loopback: bool,
        callers: Callers,
    ) -> None:
        self.occupancy = Occupancy()
        self.streams = OpenStreams()
        self.draining = False
        self.observe: record.Observe | None = None
        self._snapshot = snapshot
        self._sealer = sealer
        self._telemetry = telemetry
        self._loopback = loopback
        self._callers = callers

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request: receive, route, identify, frame, authorize, limit, select, forward, shape, record."""
        headers = request.headers
        exchange: Exchange | None = None
        with self._telemetry.server_span(
            http_method=request.method,
            traceparent=headers.get("traceparent"),
            tracestate=headers.get("tracestate"),
        ) as span:
            try:
                receive(request)
                exchange = Exchange(request, self._in_force())
                exchange.proxy = route(request, exchange.snapshot)
                record.routed(span, exchange)
                check_origin(request, exchange.snapshot, loopback=self._loopback)
                await self._frame(exchange)
                record.framed(span, exchange)
                if exchange.message is not None:
                    exchange.decision = authorize(exchange.message, exchange.proxy.visibility)
                record.authorized(span, exchange)
                with self._limit(exchange):
                    exchange.server = select(exchange.proxy)
                    return await self._forward_and_shape(exchange, span)
            except Refusal as refusal:
                record.refused(span, refusal)
                return response_for(refusal, exchange.message if exchange is not None else None)
            finally:
                record.counted(span, exchange, self.observe)

    def _in_force(self) -> Snapshot:
        snapshot = self._snapshot()
        if snapshot is None or self.draining:
            reason = "Draining" if self.draining else "NotReady"
            words = "This gateway is shutting down" if self.draining else "This gateway holds no config yet"
            raise Refusal(503, reason, words, headers={"Retry-After": "1", "Connection": "close"})
        return snapshot

    async def _frame(self, exchange: Exchange) -> None:
        """Read the message, if the request carries one, and open the session that it belongs to."""
        request = exchange.request
        exchange.sealed_session = request.headers.get("Mcp-Session-Id", "")
        if request.method == "POST":
            check_head(request)
            text = await read_body(request, limit=exchange.snapshot.settings.bounds.request_bytes)
            exchange.message = frame(parse(text), request.headers, lambda: self._open_session(exchange))
            return
        legacy_revision(request.headers, self._open_session(exchange))
        if request.method == "GET":
            check_accept(request, EVENT_STREAM)

    def _open_session(self, exchange: Exchange) -> Session | None:
        exchange.session = open_session(exchange, self._sealer)
        return exchange.session

    def _limit(self, exchange: Exchange) -> AbstractContextManager[None]:
        bounds = exchange.snapshot.settings.bounds
        if stays_open(exchange):
            return self.occupancy.stream(bounds)
        return self.occupancy.request(bounds)

    async def _forward_and_shape(self, exchange: Exchange, span: ServerSpan) -> web.StreamResponse:
        """Through the door and back."""
        bound = self._callers.bound(exchange.request) if ends_with_caller(exchange) else nullcontext()
        with bound, record.contact(span, exchange) as client:
            try:
                response = await forward(exchange, client)
                try:
                    return await self._shape(exchange, response, span, client)
                finally:
                    # Read to its end, a response has given its connection back; any other is closed with it.
                    response.release() if response.content.at_eof() else response.close()
            except UpstreamFault as fault:
                record.failed(client, fault)
                raise faults.refusal(fault) from fault

    async def _shape(
        self, exchange: Exchange, response: aiohttp.ClientResponse, span: ServerSpan, client: ClientSpan
    ) -> web.StreamResponse:
        if exchange.request.method == "DELETE" or response.status in (202, 204):
            return web.Response(status=response.status)
        if content_type(response) == EVENT_STREAM:
            return await self._relay_events(exchange, response, span, client)
        answer, outcome = await relay_json(exchange, response, seal=lambda session: self._seal(exchange, session))
        record.answered(span, client, outcome)
        return answer

    async def _relay_events(
        self, exchange: Exchange, response: aiohttp.ClientResponse, span: ServerSpan, client: ClientSpan
    ) -> web.StreamResponse:
        stream = OpenStream(exchange.routed, exchange.message, response) if stays_open(exchange) else None
        relay = EventRelay(exchange, response, stream=stream, seal=lambda session: self._seal(exchange, session))
        with self.streams.holding(stream):
            try:
                return await relay.run()
            finally:
                record.answered(span, client, relay.outcome)

    def _seal(self, exchange: Exchange, session: Session) -> str:
        return self._sealer.seal(session, proxy_uid=exchange.routed.uid, principal=exchange.principal)


def stays_open(exchange: Exchange) -> bool:
    """Whether this opens a stream that may stay for days: a legacy GET, a modern listen."""
    message = exchange.message
    if message is None:
        return exchange.request.method == "GET"
    return message.method is not None and message.method.judgement is Judgement.LISTEN


def ends_with_caller(exchange: Exchange) -> bool:
    """Whether losing the caller ends the work upstream: not for legacy messages (specification, Disconnection)."""
    message = exchange.message
    return message is None or message.era is Era.MODERN
