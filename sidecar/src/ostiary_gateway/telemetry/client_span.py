"""The CLIENT span of one request to an upstream."""

from collections.abc import Mapping, MutableMapping
from time import perf_counter_ns
from typing import Any, Final

from ostiary_gateway.telemetry import context, semantic_conventions, span_record
from ostiary_gateway.telemetry.context import SpanContext
from ostiary_gateway.telemetry.message_attributes import KNOWN_METHODS, message_attributes, own_attributes, span_name
from ostiary_gateway.telemetry.otlp.encoder import encode_by_template, template_of
from ostiary_gateway.telemetry.span import Span
from ostiary_gateway.telemetry.span_record import AttributeValue, PlainRecord
from ostiary_gateway.telemetry.span_templates import CLIENT_SESSION, SpanTemplates, keep, own_bytes

#: Attributes that a span has besides those of its template, at most.
_MOST_OWN: Final = 2


class ClientSpan(Span):
    """From sending a message to an upstream until its response or failure.

    Made by ``ServerSpan.client``.
    """

    __slots__ = (
        "_http_method",
        "_parent_id",
        "_peer",
        "_protocol_version",
        "_request_id",
        "_sent",
        "_server",
        "_session_id",
        "context",
        "seconds",
        "span_id",
    )

    def __init__(
        self,
        parent: Span,
        inbound: SpanContext | None,
        method: str | None,
        target: str | None,
        http_method: str,
    ) -> None:
        #: When the request was sent, on the monotonic clock, and how long it took: metrics need them in any case.
        self._sent = perf_counter_ns()
        self.seconds = 0.0
        # The other times are taken when the span is recorded: without recording they are not needed.
        self._start_ns = parent._start_ns
        self._started = parent._started
        self._recorder = recorder = parent._recorder
        self.trace_id = trace_id = parent.trace_id
        self.tracestate = tracestate = parent.tracestate
        self._flags = flags = parent._flags
        self._masks = parent._masks
        #: This span's id, 16 hex digits; "" if tracing is off.
        self.span_id = ""
        #: ``traceparent`` and ``tracestate`` for the upstream, in headers and ``_meta``. If tracing is off they are the
        #: caller's own; there are none if the caller sent no valid ones.
        self.context: Mapping[str, str] = context.NONE
        if recorder.decide is not None:
            self.span_id = span_id = context.new_span_id()
            # Only two flags exist, see ServerSpan._decide.
            self.context = context.members(f"00-{trace_id}-{span_id}-0{flags}", tracestate)
        elif inbound is not None:
            self.context = context.members(inbound.traceparent(), tracestate)
        self.method = method
        self.target = target
        self._attributes = None
        self._peer: tuple[str, int] | None = None
        self._parent_id = ""
        self._description = ""
        self._settled = False
        self._http_method = http_method
        self.error_type = None
        self.rpc_code = None

    def headers(self) -> Mapping[str, str]:
        """Return the context for the upstream's HTTP headers, in the formats that are configured."""
        propagators = self._recorder.propagators
        return self.context if propagators is None else propagators.inject(self.context)

    def inject(self, carrier: MutableMapping[str, Any]) -> None:
        """Replace the caller's context and baggage by ours in outgoing headers or ``_meta``."""
        context.inject(carrier, self.context)

    def reach(self, peer: tuple[str, int] | None) -> None:
        """Report address and port of the endpoint that has the request, where a server has several."""
        if peer is not None:
            self._peer = peer

    def respond(
        self,
        *,
        code: int | None = None,
        message: str = "",
        is_error: bool = False,
        http_status: int | None = None,
        protocol_version: str | None = None,
    ) -> None:
        """Report the upstream's response.

        It is a result, a result with ``isError``, a JSON-RPC error, or an HTTP status.

        Every JSON-RPC code is an error on this side. An ``http_status`` from 300 on is one too, unless a code explains
        it. ``message`` is the upstream's ``JSONRPCError.message``; it is cut.
        """
        if code is not None:
            self.fail(str(code), message, code=code)
        elif is_error:
            self.fail(semantic_conventions.TOOL_ERROR, message)
        elif http_status is not None and http_status >= 300:
            self.fail(str(http_status), message)
        if http_status is not None:
            self.set(semantic_conventions.HTTP_RESPONSE_STATUS_CODE, http_status)
        if protocol_version is not None:
            self.set(semantic_conventions.MCP_PROTOCOL_VERSION, protocol_version)

    def describe(
        self,
        parent_id: str,
        server_name: str | None,
        address: str | None,
        port: int | None,
        request_id: str | float | None,
        protocol_version: str | None,
        session_id: str | None,
    ) -> None:
        """Start recording, as a child of this SERVER span, with what is known of the request."""
        self._parent_id = parent_id
        now = self._sent
        # On the parent's clock: the wall clock may have been set meanwhile.
        self._start_ns += now - self._started
        self._started = now
        if self.target is not None and self._masks is not None:
            self.target = self._masks.text(self.target, limit=self._recorder.text_limit)
        self._server = server_name, address, port
        self._request_id = request_id
        self._protocol_version = protocol_version
        self._session_id = session_id
        self._attributes = {}

    def end(self) -> None:
        """End the span before its block does; later reports are lost. Ending twice does nothing."""
        if not self.seconds:
            self.seconds = (perf_counter_ns() - self._sent) / 1e9
        if self._attributes is not None:
            super().end()

    def _by_template(self, templates: SpanTemplates, end_ns: int) -> bytes | None:
        if self.method is None or self.tracestate:
            return None
        key = (self.method, self.target, self._protocol_version, self._server, self._peer)
        found = templates.client.get(key) or self._new_template(templates, key)
        if found is None:
            return None
        return encode_by_template(
            found,
            trace_id=self.trace_id,
            span_id=self.span_id,
            parent_span_id=self._parent_id,
            start_ns=self._start_ns,
            end_ns=end_ns,
            more=own_bytes(self._request_id, self._session_id, CLIENT_SESSION, self._recorder.text_limit),
        )

    def _new_template(self, templates: SpanTemplates, key: tuple[Any, ...]) -> bytes | None:
        attributes = self._common_attributes()
        if self.method not in KNOWN_METHODS or len(attributes) + _MOST_OWN > self._recorder.count_limit:
            return None
        name = span_name(self.method, self.target, None, http_method=self._http_method)
        made = template_of(name, attributes, kind=span_record.CLIENT, parent_is_remote=False)
        return keep(templates.client, key, made)

    def _common_attributes(self) -> dict[str, AttributeValue]:
        """The attributes of all requests for one tool to one endpoint of a server."""
        limit = self._recorder.text_limit
        found = message_attributes(self.method, self.target, self._protocol_version, limit=limit)
        if self.method is None:
            # A stream, the end of a session, or a response to the server: it has no MCP method.
            found[semantic_conventions.HTTP_REQUEST_METHOD] = semantic_conventions.http_span_name(self._http_method)
        if self.method == "tools/call":
            found[semantic_conventions.OPENINFERENCE_SPAN_KIND] = semantic_conventions.CHAIN
        name, address, port = self._server
        if name is not None:
            found[semantic_conventions.OSTIARY_SERVER_NAME] = name
        if address is not None:
            found[semantic_conventions.SERVER_ADDRESS] = address
        if port is not None:
            found[semantic_conventions.SERVER_PORT] = port
        if self._peer is not None:
            found[semantic_conventions.NETWORK_PEER_ADDRESS] = self._cut(self._peer[0])
            found[semantic_conventions.NETWORK_PEER_PORT] = self._peer[1]
        return found

    def _record(self, attributes: dict[str, AttributeValue], end_ns: int) -> PlainRecord:
        limit = self._recorder.text_limit
        own = own_attributes(self._request_id, CLIENT_SESSION, self._session_id, limit=limit)
        found = self._common_attributes() | attributes | own
        status, dropped = self._outcome(found)
        return (
            self.trace_id,
            self.span_id,
            self._parent_id,
            False,
            self.tracestate,
            span_name(self.method, self.target, self.rpc_code, http_method=self._http_method),
            span_record.CLIENT,
            self._start_ns,
            end_ns,
            found,
            status,
            self._description,
            (),
            dropped,
        )
