"""The SERVER span of one message: every stage of a request reports to it.

with telemetry.server_span(http_method="POST", traceparent=…) as span:
    span.routed(PROXY_ATTRIBUTES, revision=…)                       # route
    span.message(method="tools/call", target="echo", request_id=7, carrier_meta=meta)   # decode
    span.deny(policy=…, rule=…, reason=…, code=-31001)              # authorize
    with span.client(server_name=…, address=…, port=…) as upstream: # forward
        upstream.inject(headers); upstream.inject(meta)
        upstream.respond(…)
    span.respond(…)
"""

from collections.abc import Mapping
from time import perf_counter_ns, time_ns

from ostiary_core.content.record_masks import RecordMasks
from ostiary_core.policy.principal import Principal
from ostiary_gateway.errors import Refusal
from ostiary_gateway.telemetry import context, semantic_conventions
from ostiary_gateway.telemetry.client_span import ClientSpan
from ostiary_gateway.telemetry.context import RANDOM, SAMPLED, Decide, SpanContext
from ostiary_gateway.telemetry.server_span_content import ServerSpanContent
from ostiary_gateway.telemetry.span import Recorder, server_error_type
from ostiary_gateway.telemetry.span_record import AttributeValue


class ServerSpan(ServerSpanContent):
    """From a message's first byte until its response was relayed.

    Made by ``Telemetry.server_span``. One that never becomes a message (404, 401) is named by its HTTP method.
    """

    __slots__ = (
        "_joined",
        "_traceparent",
        "_tracestate",
        "http_status",
        "response_bytes",
        "sampled",
        "upstream",
    )

    def __init__(
        self,
        recorder: Recorder,
        http_method: str,
        traceparent: str | None,
        tracestate: str | None,
        attributes: dict[str, AttributeValue],
    ) -> None:
        self._start_ns = time_ns()
        self._started = perf_counter_ns()
        self._recorder = recorder
        self._http_method = http_method
        self._traceparent = traceparent
        self._tracestate = tracestate
        self._attributes = attributes
        self._flags = 0
        self._masks: RecordMasks | None = None
        self._description = ""
        self._settled = self._joined = False
        self._parent: SpanContext | None = None
        self._link: tuple[tuple[str, str], ...] = ()
        self._span_id = ""
        self._evidence: Mapping[str, str] | None = None
        self._revision = 0
        self._principal: Principal | None = None
        self._allowed: tuple[str | None, str | None, int | None] | None = None
        self.client_address = ""
        self.trace_id = self.tracestate = ""
        self.method = self.target = self.error_type = None
        self.rpc_code = None
        #: Whether the trace is exported; known after :meth:`message`.
        self.sampled = False
        #: For metrics: status and size of the response, 0 before there is one; and the request to the server.
        self.http_status = self.response_bytes = 0
        self.upstream: ClientSpan | None = None

    def routed(self, evidence: Mapping[str, str], *, revision: int, masks: RecordMasks | None = None) -> None:
        """Report the proxy: its attributes (read when the span ends), masks, config's revision."""
        self._masks = masks
        self._evidence = evidence
        self._revision = revision

    def authenticated(self, principal: Principal) -> None:
        """Report who sends the request, by the name that its policy gives it, never by a claim."""
        self._principal = principal

    def message(
        self,
        *,
        method: str,
        target: str | None = None,
        request_id: str | float | None = None,
        protocol_version: str | None = None,
        session_id: str | None = None,
        carrier_meta: object = None,
    ) -> None:
        """Report the message: join its trace, decide on sampling, and record what it is.

        All of it may be the caller's own text. ``target`` is the tool's or prompt's name or the resource's URI as the
        caller wrote it; ``carrier_meta`` is ``params._meta``, of any type.
        """
        self.method = method
        self.target = target
        self._join(carrier_meta)
        if self._masks is not None and target is not None:
            self.target = self._shown(target)
        self._request_id = request_id
        self._protocol_version = protocol_version
        self._session_id = session_id

    @property
    def content_limit(self) -> int:
        """The number of characters to capture of a call's arguments, and of its result; 0 for none."""
        return self._recorder.content_limit if self.sampled else 0

    def content(self, *, arguments: str, result: str) -> None:
        """Report a call's content as JSON within :attr:`content_limit`; an empty one is omitted."""
        attributes = self._attributes
        if attributes is None:
            return
        if arguments:
            attributes[semantic_conventions.GEN_AI_TOOL_CALL_ARGUMENTS] = arguments
        if result:
            attributes[semantic_conventions.GEN_AI_TOOL_CALL_RESULT] = result

    def _join(self, carrier_meta: object) -> None:
        """Choose the parent: ``_meta``, else the HTTP headers, else none; then decide on sampling.

        The context in ``_meta`` is the sender's span for this very message; that in the headers may be from a proxy in
        between, so where they differ the latter becomes a link.
        """
        self._joined = True
        parent = None
        if self._traceparent is not None:
            parent = context.parse(self._traceparent, self._tracestate)
        if type(carrier_meta) is dict and (sent := carrier_meta.get(context.TRACEPARENT)) is not None:
            meta = context.parse(sent, carrier_meta.get(context.TRACESTATE))
            if meta is not None:
                if parent is not None and parent[:2] != meta[:2]:
                    self._link = ((parent.trace_id, parent.span_id),)
                parent = meta
        self._parent = parent
        decide = self._recorder.decide
        if decide is None and parent is None:
            self._attributes = None
        else:
            self._decide(parent, decide)

    def _decide(self, parent: SpanContext | None, decide: Decide | None) -> None:
        if parent is not None:
            self.trace_id, _, flags, self.tracestate = parent
            self._flags = flags & RANDOM
        elif decide is not None:
            self.trace_id, self._flags = context.new_trace_id(), RANDOM
        if decide is not None and decide(parent, self.trace_id, self):
            self.sampled = True
            self._flags |= SAMPLED
        else:
            self._attributes = None

    def joined_trace(self) -> str:
        """Return the trace's id, or ""; a request without a message joins that of its headers."""
        if not self._joined:
            self._join(None)
        return self.trace_id

    def allow(self, *, policy: str | None = None, rule: str | None = None, generation: int | None = None) -> None:
        """Report that access was granted, and by which rule if one was needed."""
        self._allowed = policy, rule, generation

    def deny(
        self,
        *,
        policy: str | None = None,
        rule: str | None = None,
        generation: int | None = None,
        reason: str | None = None,
        code: int | None = None,
        message: str = "",
    ) -> None:
        """Report that access was refused.

        ``code`` and ``message`` are those of the caller's answer.
        """
        if self._attributes is not None:
            self._attributes |= self.access(semantic_conventions.DENY, policy, rule, generation)
            self.set(semantic_conventions.OSTIARY_ACCESS_REASON, reason)
        if code is not None:
            self.respond(code=code, message=message)

    def respond(
        self,
        *,
        code: int | None = None,
        message: str = "",
        is_error: bool = False,
        http_status: int | None = None,
    ) -> None:
        """Report the agent's answer.

        It is a result, a result with ``isError``, a JSON-RPC error, or an HTTP status alone.

        ``message`` is ``JSONRPCError.message``. ``http_status`` is for answers below MCP: from 400 on it is an error.
        """
        if code is not None:
            self.rpc_code = code
            error_type = server_error_type(code)
            if error_type is not None:
                self.fail(error_type, message)
        elif is_error:
            self.fail(semantic_conventions.TOOL_ERROR, message)
        elif http_status is not None:
            self.set(semantic_conventions.HTTP_RESPONSE_STATUS_CODE, http_status)
            if http_status >= 400:
                self.fail(str(http_status), message)

    def client(
        self,
        *,
        server_name: str | None = None,
        address: str | None = None,
        port: int | None = None,
        method: str | None = None,
        target: str | None = None,
        request_id: str | float | None = None,
        protocol_version: str | None = None,
        session_id: str | None = None,
    ) -> ClientSpan:
        """Begin the CLIENT span of one request to an upstream.

        Each retry and each server of a fan-out has its own.

        ``method`` and ``target`` are those sent to the upstream, where they differ from what the agent sent.
        """
        if not self._joined:
            self._join(None)
        child = ClientSpan(self, self._parent, method or self.method, target or self.target, self._http_method)
        self.upstream = child
        if self.sampled:
            child.describe(self.span_id, server_name, address, port, request_id, protocol_version, session_id)
        return child

    def end(self) -> None:
        """End the span before its block does; later reports are lost. Ending twice does nothing."""
        if not self._joined:
            self._join(None)
        if self._attributes is not None:
            super().end()

    def _broke_off(self, error: BaseException) -> None:
        # A refusal that is raised as an exception is an answer like any other.
        if isinstance(error, Refusal):
            self.respond(code=error.code, message=error.message, http_status=error.status)
        else:
            super()._broke_off(error)
