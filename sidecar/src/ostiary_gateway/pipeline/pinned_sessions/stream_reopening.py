"""Opens a stream that stays open again, at another endpoint, where its own one ends.

A client that has opened a GET, or ``subscriptions/listen``, notices nothing but that lists may have changed: what the
server said meanwhile was not heard. Where the stream cannot be opened again it ends, as if its server had ended it, and
the client opens another one.
"""

import asyncio
import random
from time import monotonic
from typing import TYPE_CHECKING, Final

from ostiary_core.mcp.methods import Primitive
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.media_types import EVENT_STREAM
from ostiary_gateway.pipeline import record
from ostiary_gateway.pipeline.caller_stream import CallerStream
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.forward import forward
from ostiary_gateway.pipeline.http_checks import is_session_not_found
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.leg_events import KEEP_ALIVE_SECONDS
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector
from ostiary_gateway.pipeline.pinned_sessions.handshake_terms import promised_lists
from ostiary_gateway.pipeline.pinned_sessions.pinned_events import PinnedEventIds
from ostiary_gateway.pipeline.pinned_sessions.session_endpoint import is_lost
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.session_ids import UpstreamSession
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.upstream.endpoint import UpstreamEndpoint
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

if TYPE_CHECKING:
    from ostiary_gateway.pipeline.send_and_shape import Opened

#: Seconds before a stream is opened again that ended soon after it was opened: at first, and at most.
_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 60.0
#: A stream that was open for so many seconds was a good one: it is opened again at once.
_GOOD_SECONDS: Final = 30.0


class StreamReopening:
    """Opens the stream of one leg again, as often as it breaks off.

    ``opened`` opens it where a bridge makes the response.
    """

    def __init__(self, exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices) -> None:
        self.opened: Opened | None = None
        self._exchange = exchange
        self._leg = leg
        self._span = span
        self._services = services
        self._since = monotonic()
        self._pause = 0.0
        self._failed: set[UpstreamEndpoint] = set()

    async def response_for(self, to: CallerStream) -> UpstreamResponse | None:
        """Return the response that a caller's stream goes on with; None where it ends."""
        stream = to.stream
        if stream is None or to.is_ended or to.downstream.gone:
            return None
        opening = asyncio.ensure_future(self._opened())
        stream.response = _Cancelled(opening)
        response = None
        try:
            while not (await asyncio.wait({opening}, timeout=KEEP_ALIVE_SECONDS))[0]:
                to.keep_alive()
                await to.flush()
            response = None if opening.cancelled() else opening.result()
        finally:
            if response is None:
                _discard(opening)
        if response is None:
            stream.ended = True  # a listen gets its result
            return None
        stream.response = to.downstream.source = response
        stream.notices.owe(self._lists)
        return response

    @property
    def _lists(self) -> frozenset[Primitive]:
        """The lists whose changes the client expects to be told of."""
        vector = self._exchange.session
        terms = vector.terms if isinstance(vector, SessionVector) else b""
        return promised_lists(terms) if terms else frozenset(Primitive)

    async def _opened(self) -> UpstreamResponse | None:
        """Open the stream, however often that takes; None where there is none any more."""
        if monotonic() - self._since >= _GOOD_SECONDS:
            self._pause = 0.0
        while True:
            await asyncio.sleep(self._pause + random.uniform(0, self._pause))  # noqa: S311  not security relevant
            self._pause = min(max(2 * self._pause, _FIRST_PAUSE), _LONGEST_PAUSE)
            try:
                response = await self._open()
            except UpstreamFault as fault:
                if not self._may_move and is_lost(fault, self._leg.session):
                    return None  # the client finds out that its session is lost
                continue
            except Refusal:
                return None  # it has none any more, or the session has ended
            if response.status < 300 and response.content_type == EVENT_STREAM:
                self._since = monotonic()
                return response
            response.close()
            return None

    @property
    def _may_move(self) -> bool:
        """Whether its session could go on at another endpoint."""
        return isinstance(self._exchange.session, SessionVector)

    async def _open(self) -> UpstreamResponse:
        """Open it once, in the session with the server if there is one.

        Raises:
            UpstreamFault: the server failed.
            Refusal: it gives no such stream.
        """
        vector, leg, sessions = self._exchange.session, self._leg, self._services.sessions
        if leg.bridge is not None or not isinstance(vector, SessionVector):
            return await self._send()
        session = await sessions.obtain(self._exchange, leg.server, span=self._span)
        self._enter(session)
        try:
            return await self._send()
        except UpstreamFault as fault:
            if session is None or not is_lost(fault, session):
                raise
        except Refusal as refusal:
            if session is None or not is_session_not_found(refusal):
                raise
        self._enter(await sessions.renewed(self._exchange, leg.server, session, span=self._span))
        return await self._send()

    def _enter(self, session: UpstreamSession | None) -> None:
        """Go on in a session, after the last event if it is the same one."""
        leg, ids = self._leg, self._leg.event_ids
        is_same, leg.session = session == leg.session, session
        last = ids.last if isinstance(ids, PinnedEventIds) else None
        leg.last_event_id = last.decode("ascii", "replace") if is_same and last is not None else ""
        if session is not None and not is_same:
            leg.event_ids = PinnedEventIds(session, None)

    def _choose(self) -> UpstreamEndpoint | None:
        """Choose an endpoint that has not failed just now, where no session is bound to one."""
        leg, endpoints = self._leg, self._leg.server.endpoints
        leg.attempts = None  # each is a request of its own
        if endpoints is None or (leg.session is not None and leg.session.endpoint):
            return None
        chosen = endpoints.pick(excluded=self._failed)
        leg.preferred = chosen.key
        return chosen

    async def _send(self) -> UpstreamResponse:
        chosen = self._choose()
        with record.begin_client_span(self._span, self._exchange, self._leg) as client:
            try:
                if self.opened is not None:
                    response = await self.opened(client)
                else:
                    response = await forward(self._exchange, self._leg, client)
            except UpstreamFault as fault:
                record.failed(client, fault)
                self._leg.server.health.absorbed(fault)
                if chosen is not None:
                    self._failed.add(chosen)
                raise
            self._failed.clear()
            client.respond(http_status=response.status)
            return response


class _Cancelled:
    """The response of a stream that is being opened: to close it is to open it no more."""

    def __init__(self, opening: "asyncio.Future[UpstreamResponse | None]") -> None:
        self._opening = opening

    def close(self) -> None:
        """Open it no more."""
        self._opening.cancel()


def _discard(opening: "asyncio.Future[UpstreamResponse | None]") -> None:
    """Close what is being opened and will not be read."""

    def close(done: "asyncio.Future[UpstreamResponse | None]") -> None:
        if not done.cancelled() and done.exception() is None and (response := done.result()) is not None:
            response.close()

    opening.cancel()
    opening.add_done_callback(close)
