"""Relays a stream that has arrived whole with its head: a response of one event or few.

Most servers of the handshake revisions answer a call with a stream that holds nothing but the response. What a caller
gets is the same as from :class:`~.sse_response.EventRelay`, byte by byte; but nothing has to be awaited for it, and
none of what that keeps for a stream that goes on is made.
"""

from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

from ostiary_core import strict_json
from ostiary_gateway import sse
from ostiary_gateway.errors import CallerGone, UpstreamFault
from ostiary_gateway.media_types import EVENT_STREAM_HEADERS
from ostiary_gateway.pipeline.event_checks import check_end
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.jsonrpc import ResponseSummary
from ostiary_gateway.pipeline.large_messages import LIGHT_BYTES, at_once
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.refusal_responses import error_message
from ostiary_gateway.pipeline.session_header import SealSession, opens_session
from ostiary_gateway.pipeline.sse_filter import SseFilter
from ostiary_gateway.pipeline.sse_transport import UpstreamEvents
from ostiary_gateway.server.response import ResponseStream
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

#: The most events of a stream that is relayed at once.
_FEW: Final = 16
#: The first byte of a stream that is neither JSON nor begins with a byte order mark: that of a field's name.
_FIELDS: Final = (b"e", b"d", b"i")


def whole_events(exchange: Exchange, leg: Leg, response: UpstreamResponse) -> Sequence[bytes] | None:
    """Return the events of a response that can be relayed at once, else None.

    It has arrived whole, and nothing is awaited for its request: no scorer, no bridge, no other server in one stream.
    Nothing is taken from the response where it is None.
    """
    visibility = exchange.proxy.visibility
    if visibility.content is not None or visibility.definitions is not None or not _is_simple(exchange, leg):
        return None
    limit = min(LIGHT_BYTES, exchange.snapshot.settings.bounds.message_bytes)
    text = response.at_hand(limit)
    if text is None:
        return None
    events = _events(text, limit)
    if events is None:
        response.put_back(text)
    return events


def _is_simple(exchange: Exchange, leg: Leg) -> bool:
    """Return whether nothing but the response of one server goes into the stream, at once."""
    if leg.bridge is not None or leg.downstream is not None or leg.on_stream is not None or leg.reopening is not None:
        return False
    is_repeatable = leg.attempts is not None and leg.attempts.repeats
    return not (is_repeatable or exchange.stays_open or opens_session(exchange))


def _events(text: bytes, limit: int) -> Sequence[bytes] | None:
    """Return the events of a text.

    It is None where there are many, the last one is not whole, or the text is no such stream.
    """
    if 0 < text.find(b"\n\n") == len(text) - 2 and b"\r" not in text and text.startswith(_FIELDS):
        return (text,)
    arriving = UpstreamEvents(limit=limit)
    found = list(islice(arriving.feed(text), _FEW + 1))
    if arriving.is_document is not False or len(found) > _FEW or not arriving.between_blocks:
        return None
    return found


class WholeStreamRelay:
    """Relays a stream that has arrived whole.

    Afterwards ``outcome`` is how the request was answered, None if it was not, and ``fault`` what the upstream did
    wrong.
    """

    def __init__(
        self, exchange: Exchange, leg: Leg, response: UpstreamResponse, *, events: Sequence[bytes], seal: SealSession
    ) -> None:
        self.outcome: ResponseSummary | None = None
        self.fault: UpstreamFault | None = None
        self._exchange = exchange
        self._server = leg.server
        self._events = events
        self._caller = ResponseStream(exchange.request, EVENT_STREAM_HEADERS)
        self._filter = SseFilter(exchange, leg, response, stream=None, seal=seal, to=self._caller)

    def run(self) -> None:
        """Send the events as the caller may see them, and end the stream.

        Nothing happens where the caller has disconnected.
        """
        filtered = self._filtered()
        self.outcome = self._filter.outcome
        own = self._own_error()
        self._caller.begin()
        self._caller.write(b"".join(filtered))
        self._caller.write(own)
        self._caller.end()
        with suppress(CallerGone):  # its outcome is recorded all the same, as where a stream was read to its end
            self._caller.send()

    def _filtered(self) -> list[bytes]:
        """Filter events, up to the first that fails."""
        filtered: list[bytes] = []
        try:
            filtered.extend(at_once(self._filter.filtering(event)) for event in self._events)
            if self._filter.outcome is None and self._exchange.awaits_response:
                check_end(foreign_responses=self._filter.foreign_responses, is_resumable=self._filter.resumable)
        except UpstreamFault as found:
            self.fault = self._server.as_seen(found)
        return filtered

    def _own_error(self) -> bytes:
        """Return the event that stands in place of the response.

        It is empty where the response has come, or the caller can resume the stream.
        """
        fault = self.fault
        if fault is None or self.outcome is not None or not self._exchange.awaits_response:
            return b""
        if self._filter.resumable and fault.kind == faults.RESET:
            return b""
        refusal = faults.refusal(fault)
        self.outcome = ResponseSummary(refusal.code, refusal.message)
        return sse.event(strict_json.dumps(error_message(refusal, self._exchange.request_id)))
