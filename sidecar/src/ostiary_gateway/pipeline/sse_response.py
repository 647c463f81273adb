"""Relays one server's response as a stream of events, each as the client may see it.

In the modern era a client that disconnects cancels its request (the server detects it and cancels us). In the legacy
era the upstream's work continues and its stream is read to the end, because there a lost connection is not a
cancellation.
"""

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from ostiary_core import strict_json
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.caller_stream import CallerStream
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.jsonrpc import ResponseSummary
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.leg_events import LegEvents
from ostiary_gateway.pipeline.open_stream import OpenStream, listen_ended
from ostiary_gateway.pipeline.refusal_responses import error_message
from ostiary_gateway.pipeline.session_header import SealSession, opens_session
from ostiary_gateway.server.request import Request
from ostiary_gateway.telemetry import ClientSpan, ServerSpan
from ostiary_gateway.threads import uncancel
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

IsCutOff: TypeAlias = Callable[[Request], bool]
OnEnd: TypeAlias = "Callable[[EventRelay, ServerSpan, ClientSpan], None]"


class EventRelay:
    """Relays one event stream.

    ``stream`` is set if it stays open and follows changes of the policy (a GET, a listen).

    Afterwards ``outcome`` is how the request was answered, None if it was not, and ``fault`` what the upstream did
    wrong after the stream had begun.
    """

    __slots__ = ("_caller", "_events", "_own", "exchange", "fault", "leg")

    def __init__(
        self,
        exchange: Exchange,
        leg: Leg,
        response: UpstreamResponse,
        *,
        stream: OpenStream | None,
        seal: SealSession,
    ) -> None:
        self.fault: UpstreamFault | None = None
        self.exchange = exchange
        self.leg = leg
        is_repeatable = leg.attempts is not None and leg.attempts.repeats and stream is None
        self._caller = CallerStream(
            exchange,
            stream=stream,
            downstream=leg.downstream,
            waits_for_event=is_repeatable and not opens_session(exchange),
        )
        self._caller.downstream.source = response
        if leg.bridge is not None:
            leg.downstream = self._caller.downstream
        if leg.on_stream is not None:
            leg.on_stream(self._caller)
        self._events = LegEvents(exchange, leg, response, to=self._caller, seal=seal)
        #: How we answered in place of the server.
        self._own: ResponseSummary | None = None

    @property
    def outcome(self) -> ResponseSummary | None:
        """How the request was answered, None if it was not."""
        return self._own or self._events.outcome

    @property
    def stream(self) -> OpenStream | None:
        """The stream if it stays open."""
        return self._caller.stream

    async def run(self, span: ServerSpan, client: ClientSpan, *, is_cut_off: IsCutOff, on_end: OnEnd) -> None:
        """Relay until the upstream ends; then call ``on_end``, however it ended.

        ``is_cut_off`` says, when the relay of a request is cancelled, whether the gateway's time to drain is over. Both
        are the same for all streams, and this is the only frame of a stream that waits: there are thousands of them.

        Raises:
            UpstreamFault: the upstream failed before anything was sent to the client.
            InputAsked: the server of a bridged leg asks for input. The stream to the client stays open.
        """
        try:
            try:
                if not self._caller.waits_for_event and not opens_session(self.exchange):
                    self._caller.begin()
                has_come = True
                while (more := await self._events.pass_on(has_come=has_come)) is not None:
                    has_come = await more
                self._finish()
            except UpstreamFault as found:
                if not self._caller.begun:
                    raise
                self.fault = self.leg.server.as_seen(found)
                self._send_error(self.fault)
            except asyncio.CancelledError:
                if not self._caller.begun or not is_cut_off(self.exchange.request):
                    raise
                uncancel()
                self._send_cut_off()
            finally:
                self._events.leave()  # the two refer to each other: the garbage collector would have to find them
            await self._caller.end()
        finally:
            on_end(self, span, client)

    def _finish(self) -> None:
        """End a stream without a response: a listen that we end, or a fault of the upstream.

        Raises:
            UpstreamFault: the response to the request is missing.
        """
        if not self._caller.begun:
            raise UpstreamFault(faults.RESET, "the stream ended without the answer")
        if self.outcome is not None or not self.exchange.awaits_response:
            return
        if self._caller.is_ended:
            self._caller.write_own(strict_json.dumps(listen_ended(self.exchange.request_id)))
            self._own = ResponseSummary()
        else:
            self._events.check_end()

    def _send_error(self, fault: UpstreamFault) -> None:
        """Send an error to a client that waits for a response, unless it can resume the stream."""
        is_answered = self.outcome is not None or not self.exchange.awaits_response
        if is_answered or (self._events.is_resumable and fault.kind == faults.RESET):
            return
        refusal = faults.refusal(fault)
        self._own = ResponseSummary(refusal.code, refusal.message)
        self._caller.write_own(strict_json.dumps(error_message(refusal, self.exchange.request_id)))

    def _send_cut_off(self) -> None:
        """End a stream because the gateway stops.

        A client that can resume it will do so at another replica.
        """
        if self.exchange.awaits_response and self.outcome is None and not self._events.is_resumable:
            self.fault = faults.drain_expired()
            self._send_error(self.fault)
