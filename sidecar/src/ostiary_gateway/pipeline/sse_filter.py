"""Filters the events of a response stream: each event becomes what its client may see.

A request has one response: the first that bears its id. Lists are filtered by the policy in force when they come.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from ostiary_core import json_weight, strict_json
from ostiary_core.mcp.methods import AuthorizationKind, Method
from ostiary_core.mcp.protocol_revisions import LEGACY
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway import sse
from ostiary_gateway.config.observed_items import OFFERED
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline import debug_recording, jsonrpc, server_revisions
from ostiary_gateway.pipeline.cache_scope import kept_private
from ostiary_gateway.pipeline.empty_list_causes import cause_of_empty, explained, listed_items
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.json_response import report_list, report_response, with_own_id_and_state
from ostiary_gateway.pipeline.jsonrpc import ResponseSummary
from ostiary_gateway.pipeline.large_messages import LIGHT_BYTES, UNJUDGED, Steps, limit_of
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.limit_refusal import LimitError
from ostiary_gateway.pipeline.list_cache import LISTS, ListResponse
from ostiary_gateway.pipeline.list_changed_notifications import ACKNOWLEDGED
from ostiary_gateway.pipeline.list_filter import (
    Shaped,
    must_filter,
    reading_for,
    shaping,
    shaping_streamed,
    shows_everything,
)
from ostiary_gateway.pipeline.list_observation import observe
from ostiary_gateway.pipeline.lists.list_invalidation import note_message
from ostiary_gateway.pipeline.loop_stage import with_warning
from ostiary_gateway.pipeline.open_stream import OpenStream
from ostiary_gateway.pipeline.quota_discovery import showing_quotas
from ostiary_gateway.pipeline.refusal_responses import error_message, message_for
from ostiary_gateway.pipeline.response_limits import note_result
from ostiary_gateway.pipeline.server_capabilities import with_list_changed
from ostiary_gateway.pipeline.session_header import SealSession, session_header
from ostiary_gateway.pipeline.upstream_ids import with_original_ids
from ostiary_gateway.telemetry.dropped_items import DROPPED
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

_LIST: Final = AuthorizationKind.LIST
_LIFECYCLE: Final = AuthorizationKind.ALWAYS


class SseFilter:
    """Filters the events of one stream.

    ``stream`` is set if it stays open and follows changes of the policy.

    ``outcome`` is the response to the request once it has come. ``resumable`` once the client can resume the stream,
    and ``foreign_responses`` counts responses to other requests. ``add_headers`` adds headers to the HTTP response.
    """

    def __init__(
        self,
        exchange: Exchange,
        leg: Leg,
        upstream: UpstreamResponse,
        *,
        stream: OpenStream | None,
        seal: SealSession,
        add_headers: Callable[[Mapping[str, str]], None],
    ) -> None:
        self.outcome: ResponseSummary | None = None
        self.resumable = False
        self.foreign_responses = 0
        self._exchange = exchange
        self._leg = leg
        self._upstream = upstream
        self._stream = stream
        self._seal = seal
        self._add_headers = add_headers
        self._weight = limit_of(exchange.snapshot.settings.bounds)

    @property
    def _visibility(self) -> Visibility:
        return self._exchange.visibility

    def filtering(self, block: bytes) -> Steps[bytes]:
        """Return a block as the client may see it; empty drops it.

        Raises:
            UpstreamFault: the event cannot be filtered.
        """
        if len(block) > LIGHT_BYTES:
            self._check_lines(block)
            yield
        event = sse.read(block)
        block, data = event.block, event.data
        self._note_resumability(event)
        if event.id is not None and self._leg.event_ids is not None:
            block = sse.with_id(block, self._leg.event_ids(event.id))
        if data is None:
            return block
        if not event.is_message and sse.is_endpoint(block):
            return self._without_endpoint()
        known = self._cached(data)
        if known is not None and event.is_message:
            return (yield from self._filtering_known(block, data, known))
        try:
            message = jsonrpc.read(data) if len(data) <= LIGHT_BYTES else (yield from self._reading(data))
        except UpstreamFault:
            if event.is_message:
                raise
            # An event of another type, a ping: clients ignore it. What a careless client might parse is not passed on.
            return sse.KEEP_ALIVE if b"{" in data else block
        filtered = yield from self._filtering_message(event, data, message)
        return b"" if filtered is None else self._event(block, data, message, filtered)

    def _event(self, block: bytes, data: bytes, message: dict[str, Any], filtered: bytes) -> bytes:
        """Return a block with a message as the client may see it."""
        if self._exchange.debug is not None and ("method" in message or not self._exchange.awaits_response):
            debug_recording.sent(self._exchange, self._exchange.debug, filtered)
        if self._leg.bridge is not None:
            return sse.event(filtered)  # without its id: a bridged stream cannot be resumed
        return block if filtered is data else sse.with_data(block, filtered)

    def _filtering_known(self, block: bytes, data: bytes, known: ListResponse) -> Steps[bytes]:
        """Return a list that was filtered before."""
        if (refused := self._refused_at_limit({}, len(data))) is not None:
            return sse.with_data(block, refused)
        self.outcome = known.outcome
        body = yield from self._showing_quotas(known.body)
        report_list(self._exchange, body, known.outcome)
        return block if body is data else sse.with_data(block, body)

    def _reading(self, data: bytes) -> Steps[dict[str, Any]]:
        return jsonrpc.reading_within(data, self._weight if self._must_filter else self._weight * UNJUDGED)

    @property
    def _must_filter(self) -> bool:
        """Whether the policy filters the response."""
        request = self._exchange.message
        return request is not None and must_filter(request.method, self._visibility)

    def _check_lines(self, block: bytes) -> None:
        most = self._weight // json_weight.UNIT
        if sse.line_ends(block) > most:
            raise UpstreamFault(faults.TOO_LARGE, f"an event has more than {most} lines (bounds.messageValues)")

    def _without_endpoint(self) -> bytes:
        """Drop the server's own address: what a client posts there would bypass the gateway.

        Raises:
            UpstreamFault: the server supports only that old transport, so the client would wait for nothing.
        """
        if self._exchange.message is None and self._exchange.session is None:
            raise UpstreamFault(faults.INVALID, "the server speaks HTTP+SSE (2024-11-05), which is not supported")
        return b""

    def _cached(self, data: bytes) -> ListResponse | None:
        """Return the filtered response if the list is cached and this is the first response."""
        request = self._exchange.message
        if self.outcome is not None or request is None or self._leg.translation is not None:
            return None
        exchange = self._exchange
        return LISTS.recall(request.method, data, self._visibility, exchange.request_id, sent_id=exchange.sent_id)

    def _note_resumability(self, event: sse.Event) -> None:
        """Note that a legacy stream can be resumed, since its events have ids.

        The newest revision has no resuming.
        """
        message = self._exchange.message
        if event.id and message is not None and message.era is LEGACY and self._leg.bridge is None:
            self.resumable = self.resumable or b"\0" not in event.id  # clients ignore an id with NUL

    def _filtering_message(self, event: sse.Event, data: bytes, message: dict[str, Any]) -> Steps[bytes | None]:
        if self._exchange.proxy.list_cache is not None:
            note_message(self._leg, message)
        # Clients see no response in an event of another type; it is filtered all the same, for careless ones.
        # Nor does a leg without a message respond: it is one of several that tell a listen of changes.
        awaits = self._exchange.awaits_response and self._leg.message is not None
        if awaits and jsonrpc.is_response(message) and event.is_message:
            return (yield from self._filtering_response(data, message))
        translation = self._leg.translation
        translated = data if translation is None else translation.streamed(data, message)
        return None if translated is None else (yield from self._filtering_streamed(translated, message))

    def _filtering_streamed(self, data: bytes, message: dict[str, Any]) -> Steps[bytes | None]:
        """Filter a message that is not the response to the request."""
        if self._stream is not None and message.get("method") == ACKNOWLEDGED:
            if self._stream.notices.is_acknowledged:
                return None  # the stream goes on in another response than it began in
            data = self._stream.notices.acknowledged(data, message, self._exchange.governed_lists)
        try:
            if self._exchange.session is not None:
                data = with_original_ids(data, message, responses_too=not self._exchange.awaits_response)
            visibility = self._visibility
            if shows_everything(visibility):
                return data
            filtered = yield from shaping_streamed(data, message, visibility, limit=self._weight)
        except UpstreamFault as fault:
            if "method" in message and "id" not in message:
                return None  # a notification that cannot be filtered is dropped: no one waits for it
            if self._exchange.awaits_response or not jsonrpc.is_response(message):
                raise
            # One request waits for this response, and others for what comes after it.
            return strict_json.dumps(error_message(faults.refusal(fault), jsonrpc.id_of(message)))
        if filtered is None:
            return None
        if filtered.dropped:
            DROPPED.note(self._exchange.proxy.identity, filtered.dropped)
        return filtered.body

    def _filtering_response(self, data: bytes, message: dict[str, Any]) -> Steps[bytes | None]:
        """Filter the response to the request.

        Drop responses to other requests, and all but the first.
        """
        request = self._exchange.message
        if not jsonrpc.is_response_to(message, self._exchange.upstream_id):
            self.foreign_responses += 1
            return None
        if self._leg.reopening is not None and "result" in message:
            return None  # the end of a listen at one endpoint: it goes on at another
        if self.outcome is not None:
            return None
        if self._leg.translation is not None:
            if request is not None and request.method is not None:
                observe(self._leg.server, request.method, data, message)
            data = self._leg.translation.response(data, message)
        if (refused := self._refused_at_limit(message, len(data))) is not None:
            return refused
        data = with_own_id_and_state(self._exchange, self._leg, data, message)
        if self._exchange.repetition is not None:
            data = with_warning(self._exchange, data, message)
        method = request.method if request is not None else None
        if method is None or method.authorization is not _LIST:
            data = yield from kept_private(self._exchange, data, message)
            return self._response(method, data, message)
        return (yield from self._filtering_list(method, data, message))

    def _refused_at_limit(self, message: dict[str, Any], size: int) -> bytes | None:
        """Return what stands in place of a response that is larger than a limit of a policy allows."""
        if self._exchange.limit_use is None:
            return None
        try:
            note_result(self._exchange, message, size)
        except LimitError as refusal:
            self.outcome = ResponseSummary(refusal.code, refusal.message)
            return strict_json.dumps(message_for(refusal, self._exchange.request_id))
        return None

    def _response(self, method: Method | None, data: bytes, message: dict[str, Any]) -> bytes:
        """Return a response that is not a list: no rule removes anything from it."""
        headers: Mapping[str, str] = {}
        if method is None or method.authorization is _LIFECYCLE or "error" in message:
            server_revisions.learn(self._exchange, message)
            headers = session_header(self._exchange, self._upstream, message, self._seal)
            data = with_list_changed(self._exchange, data, message, in_session=bool(headers))
        report_response(self._exchange, message)
        self.outcome = jsonrpc.outcome(message)
        if headers:
            self._add_headers(headers)
        return data

    def _filtering_list(self, method: Method, data: bytes, message: dict[str, Any]) -> Steps[bytes]:
        """Return a list as the client may see it."""
        visibility = self._visibility  # the same one for all steps: the policy may change after any of them
        reading = None
        if must_filter(method, visibility):
            reading = yield from reading_for(method, data, visibility, limit=self._weight)
        server_revisions.learn(self._exchange, message)
        teaches = self._leg.translation is not None or observe(self._leg.server, method, data, message)
        OFFERED.learn(self._exchange.proxy, self._exchange.message, method, message)
        if len(data) > LIGHT_BYTES:
            yield
        read, listed = reading.message if reading is not None else message, listed_items(method, message)
        filtered = (yield from shaping(method, data, reading, visibility)) if reading is not None else Shaped(data)
        if filtered.dropped:
            DROPPED.note(self._exchange.proxy.identity, filtered.dropped)
        empty = cause_of_empty(self._exchange, method, read, listed=listed)
        body = yield from kept_private(self._exchange, explained(filtered.body, read, empty), message)
        shown = ListResponse(body, jsonrpc.outcome(message, dropped=len(filtered.dropped), empty=empty))
        if len(data) > LIGHT_BYTES:
            yield
        if not teaches:
            LISTS.keep(method, data, shown, visibility, self._exchange.request_id)
        self.outcome = shown.outcome
        body = yield from self._showing_quotas(shown.body)
        report_list(self._exchange, body, shown.outcome)
        return body

    def _showing_quotas(self, text: bytes) -> Steps[bytes]:
        """Hide or annotate the tools of a list that the caller has exhausted."""
        use = self._exchange.limit_use
        if use is None or use.find_exhausted is None:
            return text
        return (yield from showing_quotas(text, use.find_exhausted, use.taken_at))
