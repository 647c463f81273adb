"""A leg: the part of an exchange that one upstream server gets.

A request to a proxy with one server has one leg, which holds the caller's own message. Where several servers are behind
one endpoint, each leg holds the message as its server gets it, and says how its responses become the caller's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.session_ids import UpstreamSession
from ostiary_gateway.upstream.circuit_breaker import CircuitPermit
from ostiary_gateway.upstream.server import UpstreamServer

if TYPE_CHECKING:
    from ostiary_gateway.pipeline.caller_stream import CallerStream
    from ostiary_gateway.pipeline.continuations.request_states import RequestStates
    from ostiary_gateway.pipeline.exchange import Exchange
    from ostiary_gateway.pipeline.merged_sessions.event_ids import StreamOf
    from ostiary_gateway.pipeline.merged_sessions.session_vector import ClientDeclaration
    from ostiary_gateway.pipeline.pinned_sessions.stream_reopening import StreamReopening
    from ostiary_gateway.pipeline.retries.attempts import Attempts
    from ostiary_gateway.pipeline.services import PipelineServices
    from ostiary_gateway.pipeline.sse_transport import DownstreamWriter
    from ostiary_gateway.server.response import Response
    from ostiary_gateway.telemetry import ServerSpan


class Translation(Protocol):
    """Turns what one server sends into what the caller gets: names, URIs, forms of another era.

    It does no I/O. It is told each message once, as its server sent it, before any rule of a policy judges it.
    """

    def response(self, text: bytes, message: dict[str, Any]) -> bytes:
        """Return the response to the request.

        ``message`` is the parsed ``text``, and is changed in the same way.
        """

    def streamed(self, text: bytes, message: dict[str, Any]) -> bytes | None:
        """Return a notification or a request of the server; None drops it.

        ``message`` is changed in the same way.
        """


class Bridge(Protocol):
    """Carries a leg to a server of another protocol era than the caller's."""

    async def carry_out(
        self, exchange: "Exchange", leg: "Leg", span: "ServerSpan", services: "PipelineServices"
    ) -> "Response | None":
        """Return the response to the caller; None where it was sent as a stream.

        Raises:
            Refusal: the server failed before a response began.
            CallerGone: the caller disconnected.
        """


@dataclass(slots=True)
class Leg:
    """What one server gets of an exchange.

    ``message`` has the names, URIs and id that this server knows; None for GET and DELETE. ``session`` is the session
    at this server; None without one. ``translation`` is None where bytes pass as they came, and ``bridge`` where caller
    and server are of the same era. ``parameters`` are the mirrored parameters (``Mcp-Param-*``) that the gateway writes
    itself; None where those of the caller are forwarded. ``states`` seals a ``requestState`` of the server for the
    caller; None where it has none of its own. ``digest`` is what such a state is bound to of the request, whose
    params are freed when it is sent. ``downstream`` is the stream to the caller that the leg's
    events go to, once there is one. ``instead`` is the leg that takes its place if its server cannot be connected to.
    ``is_kept`` where its body may have to be sent again, which is ``sent`` then. ``last_event_id`` is the event
    after which its server resumes a stream, where the caller knows it by another id, and ``resumes`` the request of
    that stream. ``event_ids`` returns how the caller knows an event, or None where it cannot resume from it.
    ``on_stream`` is told the stream to the caller when it begins. ``permit`` is that of the server's circuit breaker,
    None without one. ``attempts`` are those to send it; None where its server has no policy that would send it again.
    ``declared`` is what a client declares that opens a session which may go on at another endpoint. ``reopening`` opens
    the leg's stream again where it breaks off. ``preferred`` is the key of the endpoint that has answered the leg, or a
    round of its call before: it may be the only one that can read the state that it has sent. ``is_answered_here``
    where the gateway itself made the answer, which says nothing of the server.
    """

    server: UpstreamServer
    message: Message | None
    session: UpstreamSession | None
    translation: Translation | None = None
    bridge: Bridge | None = None
    parameters: Mapping[str, str] | None = None
    downstream: "DownstreamWriter | None" = None
    instead: "Leg | None" = None
    states: "RequestStates | None" = None
    digest: bytes = b""
    is_kept: bool = False
    sent: bytes | None = None
    last_event_id: str | None = None
    resumes: "StreamOf | None" = None
    event_ids: Callable[[bytes], bytes | None] | None = None
    on_stream: "Callable[[CallerStream], None] | None" = None
    permit: CircuitPermit | None = None
    attempts: "Attempts | None" = None
    declared: "ClientDeclaration | None" = None
    preferred: bytes = b""
    reopening: "StreamReopening | None" = None
    is_answered_here: bool = False

    def succeeded(self) -> None:
        """Tell the server's health and its circuit breaker that it answered.

        Not where the gateway did so in its place.
        """
        if self.is_answered_here:
            return
        self.server.health.succeeded()
        if self.permit is not None:
            self.permit.succeeded()

    def failed(self, fault: UpstreamFault) -> None:
        """Tell the server's health and its circuit breaker that it failed."""
        self.server.health.failed(fault)
        if self.permit is not None:
            self.permit.failed(fault)
