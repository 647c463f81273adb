"""Filters the events of a response stream: each event becomes what its client may see.

A request has one response: the first that bears its id. Lists are filtered by the policy in force when they come.
"""

from collections.abc import Mapping
from typing import Any, Final

from ostiary_core import json_weight, strict_json
from ostiary_core.content.content_rules import ItemRules
from ostiary_core.mcp.methods import AuthorizationKind, Method
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway import sse
from ostiary_gateway.content.notification_tail import NotificationTail
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.pipeline import debug_recording, jsonrpc, server_revisions
from ostiary_gateway.pipeline.cache_scope import kept_private
from ostiary_gateway.pipeline.content.refused_questions import refusing_question
from ostiary_gateway.pipeline.content.shape_content import rules_of_response, shaping_response, shaping_streamed_content
from ostiary_gateway.pipeline.event_checks import check_lines, makes_resumable, without_comments, without_endpoint
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.json_response import report_response, with_own_id_and_state
from ostiary_gateway.pipeline.jsonrpc import ResponseSummary
from ostiary_gateway.pipeline.large_messages import LIGHT_BYTES, UNJUDGED, Steps, limit_of
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.limit_refusal import LimitError
from ostiary_gateway.pipeline.list_cache import LISTS, ListResponse
from ostiary_gateway.pipeline.list_changed_notifications import ACKNOWLEDGED
from ostiary_gateway.pipeline.list_filter import Reading, must_read, reading_for, shaping_streamed, shows_everything
from ostiary_gateway.pipeline.list_observation import observing
from ostiary_gateway.pipeline.lists.list_invalidation import note_message
from ostiary_gateway.pipeline.loop_stage import with_warning
from ostiary_gateway.pipeline.open_stream import OpenStream
from ostiary_gateway.pipeline.pinned_definitions.pinned_lists import approving_streamed
from ostiary_gateway.pipeline.quota_discovery import showing_quotas
from ostiary_gateway.pipeline.refusal_responses import error_message, message_for
from ostiary_gateway.pipeline.response_limits import note_result
from ostiary_gateway.pipeline.server_capabilities import with_list_changed
from ostiary_gateway.pipeline.session_header import HeaderSink, SealSession, session_header
from ostiary_gateway.pipeline.shown_list import report_list, showing_list
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
    and ``foreign_responses`` counts responses to other requests. ``to`` is where the stream goes.
    """

    __slots__ = (
        *("_exchange", "_leg", "_rules", "_seal", "_stream", "_tail", "_to", "_upstream", "_weight"),
        *("foreign_responses", "outcome", "resumable"),
    )

    def __init__(
        self,
        exchange: Exchange,
        leg: Leg,
        upstream: UpstreamResponse,
        *,
        stream: OpenStream | None,
        seal: SealSession,
        to: HeaderSink,
    ) -> None:
        self.outcome: ResponseSummary | None = None
        self.resumable, self.foreign_responses = False, 0
        self._exchange, self._leg = exchange, leg
        self._upstream, self._stream, self._seal, self._to = upstream, stream, seal, to
        self._weight = limit_of(exchange.snapshot.settings.bounds)
        self._rules: ItemRules | None = None  # those about content that the present event has to pass
        self._tail: NotificationTail | None = None

    @property
    def _visibility(self) -> Visibility:
        return self._exchange.visibility

    def filtering(self, block: bytes) -> Steps[bytes]:
        """Return a block as the client may see it; empty drops it.

        Raises:
            UpstreamFault: the event cannot be filtered.
        """
        if len(block) > LIGHT_BYTES:
            check_lines(block, most=self._weight // json_weight.UNIT)
            yield
        event = sse.read(block)
        block, data = event.block, event.data
        self.resumable = self.resumable or makes_resumable(event, self._exchange, self._leg)
        if event.id is not None and self._leg.event_ids is not None:
            block = sse.with_id(block, self._leg.event_ids(event.id))
        if not event.is_message and sse.is_endpoint(block):
            return without_endpoint(self._exchange)
        self._rules = rules_of_response(self._exchange, self._leg)
        if self._rules is not None:
            block = without_comments(block)
            data = data if event.is_message else None
        if data is None:
            return block or sse.KEEP_ALIVE
        known = self._cached(data)
        if known is not None and event.is_message:
            return (yield from self._filtering_known(block, data, known))
        try:
            is_light = len(data) <= LIGHT_BYTES and self._rules is None
            message = jsonrpc.read(data) if is_light else (yield from self._reading(data))
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
        return block if filtered is data and self._rules is None else sse.with_data(block, filtered)

    def _filtering_known(self, block: bytes, data: bytes, known: ListResponse) -> Steps[bytes]:
        """Return a list that was filtered before."""
        if (refused := self._refused_at_limit({}, len(data))) is not None:
            return sse.with_data(block, refused)
        self.outcome = known.outcome
        body = yield from self._showing_quotas(known.body)
        report_list(self._exchange, body, known.outcome)
        return block if body is data and self._rules is None else sse.with_data(block, body)

    def _reading(self, data: bytes) -> Steps[dict[str, Any]]:
        if self._rules is not None:
            return (yield from reading_for(None, data, self._visibility, limit=self._weight)).message
        limit = self._weight if self._must_read else self._weight * UNJUDGED
        return (yield from jsonrpc.reading_within(data, limit))

    @property
    def _must_read(self) -> bool:
        """Whether the policy filters the response."""
        request = self._exchange.message
        return request is not None and must_read(request.method, self._visibility)

    def _cached(self, data: bytes) -> ListResponse | None:
        """Return the filtered response if the list is cached and this is the first response."""
        request = self._exchange.message
        if self.outcome is not None or request is None or self._leg.translation is not None:
            return None
        exchange = self._exchange
        return LISTS.recall(request.method, data, self._visibility, exchange.request_id, sent_id=exchange.sent_id)

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
            data, message = yield from approving_streamed(self._exchange, self._leg.server, data, message)
            if shows_everything(self._visibility):
                return (yield from self._shaping_streamed(data, message))
            filtered = yield from shaping_streamed(data, message, self._visibility, limit=self._weight)
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
        return (yield from self._shaping_streamed(filtered.body, message if filtered.body is data else None))

    def _shaping_streamed(self, data: bytes, message: dict[str, Any] | None) -> Steps[bytes | None]:
        """Shape the contents of such a message.

        ``message`` is None where it has changed since it was read.
        """
        if self._rules is None:
            return data
        read = message if message is not None else strict_json.loads(data)
        self._tail = self._tail or NotificationTail()
        try:
            return (yield from shaping_streamed_content(self._exchange, self._rules, self._tail, data, read))
        except Refusal as refusal:
            yield from refusing_question(self._exchange, self._leg, read)
            return self._refused(refusal) if self._exchange.awaits_response else None

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
                yield from observing(self._exchange, self._leg.server, request.method, data, message)
            data = self._leg.translation.response(data, message)
        if (refused := self._refused_at_limit(message, len(data))) is not None:
            return refused
        method = request.method if request is not None else None
        if method is not None and method.authorization is _LIST:
            return (yield from self._filtering_list(method, self._own(data, message), message))
        return (yield from self._shaping_response(method, data, message))

    def _shaping_response(self, method: Method | None, data: bytes, message: dict[str, Any]) -> Steps[bytes]:
        """Return a response that is not a list as the client may read it."""
        refused = None
        if self._rules is not None:
            steps = shaping_response(self._exchange, self._leg, self._rules, data, message)
            data, message, refused = yield from steps
        data = yield from kept_private(self._exchange, self._own(data, message), message)
        data = self._response(method, data, message)
        self.outcome = refused or jsonrpc.outcome(message)
        return data

    def _own(self, data: bytes, message: dict[str, Any]) -> bytes:
        """Return a response with the caller's own id and state, and what it is warned of."""
        data = with_own_id_and_state(self._exchange, self._leg, data, message)
        return data if self._exchange.repetition is None else with_warning(self._exchange, data, message)

    def _refused_at_limit(self, message: dict[str, Any], size: int) -> bytes | None:
        """Return what stands in place of a response that is larger than a limit of a policy allows."""
        if self._exchange.limit_use is None:
            return None
        try:
            note_result(self._exchange, message, size)
        except LimitError as refusal:
            return self._refused(refusal)
        return None

    def _refused(self, refusal: Refusal) -> bytes | None:
        """Return the response to the request in place of the server's, if there is none already."""
        if self.outcome is not None:
            return None
        self.outcome = ResponseSummary(refusal.code, refusal.message)
        return strict_json.dumps(message_for(refusal, self._exchange.request_id))

    def _response(self, method: Method | None, data: bytes, message: dict[str, Any]) -> bytes:
        """Report a response that is not a list, and announce the session that it opens."""
        headers: Mapping[str, str] = {}
        if method is None or method.authorization is _LIFECYCLE or "error" in message:
            server_revisions.learn(self._exchange, message)
            headers = session_header(self._exchange, self._leg, self._upstream, message, self._seal)
            data = with_list_changed(self._exchange, data, message, in_session=bool(headers))
        report_response(self._exchange, message)
        if headers:
            self._to.add_headers(headers)
        return data

    def _filtering_list(self, method: Method, data: bytes, message: dict[str, Any]) -> Steps[bytes]:
        """Return a list as the client may see it."""
        reading = Reading(message, is_strict=self._rules is not None)
        if self._rules is None and must_read(method, self._visibility):
            reading = yield from reading_for(method, data, self._visibility, limit=self._weight)
        server_revisions.learn(self._exchange, message)
        is_own = self._leg.translation is None
        teaches = not is_own or (yield from observing(self._exchange, self._leg.server, method, data, message))
        shown = yield from showing_list(self._exchange, self._leg, method, data, reading, is_kept=not teaches)
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
