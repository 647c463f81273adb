"""Ids of events in a session that may go on at another endpoint.

The id of an event says which of the sessions at the endpoints has it, and the request whose stream it is
(:mod:`..merged_sessions.event_ids`). A client that resumes a stream of an endpoint that is gone is told so at once:
another endpoint knows nothing of the call, and the client would wait until its own time is over.
"""

import hashlib
from functools import lru_cache

from ostiary_core import strict_json
from ostiary_gateway import sse
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.media_types import EVENT_STREAM_HEADERS
from ostiary_gateway.pipeline.merged_sessions.event_ids import EventIds, ResumedEvent, StreamOf, resumed_event
from ostiary_gateway.pipeline.refusal_responses import error_message
from ostiary_gateway.server.response import Response
from ostiary_gateway.session_ids import UpstreamSession
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.upstream import faults

_TAG_BYTES = 6
_REMEMBERED = 1024


class PinnedEventIds:
    """Exposes the ids of events on a stream of one session at an endpoint.

    ``last`` is the server's own id of the last event, None before any.
    """

    __slots__ = ("_expose", "last")

    def __init__(self, session: UpstreamSession, stream: StreamOf | None) -> None:
        self.last: bytes | None = None
        self._expose = EventIds(_tag(session.upstream_id), stream)

    def __call__(self, own: bytes) -> bytes | None:
        """Return the id of an event as the client gets it; None where it could not come back."""
        self.last = own
        return self._expose(own)


def event_of(exposed: str | None) -> ResumedEvent | None:
    """Return what the id of a client's last event says; None for any text that is not ours."""
    return resumed_event(exposed) if exposed is not None else None


def is_of(event: ResumedEvent, session: UpstreamSession) -> bool:
    """Return whether a session at an endpoint has an event."""
    return event.server == _tag(session.upstream_id)


def stream_is_lost(stream: StreamOf, span: ServerSpan) -> Response:
    """Return the response to a client that resumes a call at an endpoint that is gone.

    It is a stream with the error of that call.
    """
    fault = UpstreamFault(faults.RESET, "the endpoint that had the call is gone")
    refusal = faults.refusal(fault)
    span.respond(code=refusal.code, message=refusal.message)
    event = sse.event(strict_json.dumps(error_message(refusal, stream.identifier)))
    return Response(200, event, EVENT_STREAM_HEADERS)


@lru_cache(maxsize=_REMEMBERED)
def _tag(upstream_id: str) -> str:
    return hashlib.sha256(upstream_id.encode()).hexdigest()[: 2 * _TAG_BYTES]
