"""What both kinds of spans share: attributes, times, and which results are errors.

A span that is not recorded (not sampled, or tracing is off) keeps no attributes: each report costs one comparison.

**The SERVER side** (the gateway answers an agent). The five codes of :data:`CALLER_CODES` say that the message
itself was wrong: the code is recorded, but the span is no error. Every other code is an error, and its number as
text is the ``error.type``.

*Our own refusals count as errors.* -31001 (denied) is the caller's fault as -32602 is, but the list of such codes is
closed, and operators look for refusals: as an error, a refusal appears in every view by ``error.type``, and its
number distinguishes it from real faults (-31003, -31004) and from failed tools, even where the caller gets
``isError`` in place of that code. Views that should not count refusals exclude that one value, or read
``ostiary.access.decision``. A name that the caller may not even see is answered with -32602 exactly as an unknown
name is; then only the decision's attributes show the difference.

**The CLIENT side** (the gateway calls an upstream). Every code is an error.

A response with ``isError`` is ``tool_error`` on both. Responses below MCP (401, 404, a redirect) are named by their
HTTP status. A caller that disconnected before its response is ``caller_left``; after the response, the response's
own result is reported, however soon the caller disconnects. A request that its caller cancelled, and that was not
answered with a result, is ``cancelled``. Other exceptions are named by their class; every kind of timeout is
``timeout``. The text of an exception is never recorded: it may quote what a caller or an upstream sent.
"""

import asyncio
from collections.abc import Callable, Mapping
from time import perf_counter_ns
from types import TracebackType
from typing import Final, Protocol, Self

from ostiary_core.content.record_masks import RecordMasks
from ostiary_gateway.errors import CallerGone, UpstreamFault
from ostiary_gateway.telemetry import semantic_conventions, span_record
from ostiary_gateway.telemetry.context import Decide
from ostiary_gateway.telemetry.span_record import AttributeValue, PlainRecord
from ostiary_gateway.telemetry.span_templates import SpanTemplates

#: Parse error, invalid request, method not found, invalid params, resource not found (legacy).
CALLER_CODES: Final = frozenset((-32700, -32600, -32601, -32602, -32002))


class Propagators(Protocol):
    """Other formats of the trace context in HTTP headers."""

    def inject(self, members: Mapping[str, str]) -> dict[str, str]:
        """Return the headers for an upstream, from the members of a W3C context."""


class Recorder(Protocol):
    """What a span needs from its owner."""

    #: Decides which traces are recorded; ``None`` if tracing is off: then a caller's context is passed unchanged.
    decide: Decide | None
    #: The longest text of a caller in an attribute, in characters.
    text_limit: int
    #: The longest captured content in an attribute, in characters; 0 where none is captured.
    content_limit: int
    #: The most attributes of one span.
    count_limit: int
    #: What encodes usual spans at once; None where records of them are exported.
    templates: SpanTemplates | None
    #: Takes a span that has ended, encoded by a template.
    encoded: Callable[[bytes], None]

    @property
    def propagators(self) -> Propagators | None:
        """What writes HTTP headers for upstreams.

        Set where propagators are configured that are not built in.
        """

    def ended(self, span: PlainRecord) -> None:
        """Take a span that has ended."""


class Span:
    """A span, and its context manager, which ends it and records an exception."""

    __slots__ = (
        "_attributes",
        "_description",
        "_flags",
        "_masks",
        "_recorder",
        "_settled",
        "_start_ns",
        "_started",
        "error_type",
        "method",
        "rpc_code",
        "target",
        "trace_id",
        "tracestate",
    )

    # The subclasses set these themselves: chained constructors would cost as much as the rest of a span.
    _recorder: Recorder
    _attributes: dict[str, AttributeValue] | None
    _description: str
    #: The start: nanoseconds since the epoch, and the same instant on the monotonic clock.
    _start_ns: int
    _started: int
    _flags: int
    #: The masks of texts of callers and servers; None where the proxy has none.
    _masks: RecordMasks | None
    #: Whether an exception that leaves the block is irrelevant to the result of the operation.
    _settled: bool
    #: The trace's id, "" while it is not known, or if tracing is off and the caller sent none.
    trace_id: str
    #: The vendors' state of the trace, "" for none.
    tracestate: str
    #: The MCP method, as it was received or is sent.
    method: str | None
    #: The tool, prompt or resource, likewise.
    target: str | None
    #: ``error.type`` so far; set whether or not the span is recorded, since metrics read it.
    error_type: str | None
    #: The JSON-RPC error code of the response, if it is an error.
    rpc_code: int | None

    @property
    def recording(self) -> bool:
        """Whether attributes are kept: check it before computing a costly one."""
        return self._attributes is not None

    @property
    def start_ns(self) -> int:
        """The time of the start, in nanoseconds since the epoch."""
        return self._start_ns

    @property
    def description(self) -> str:
        """What was told with the failure, if anything was."""
        return self._description

    @property
    def elapsed(self) -> float:
        """Seconds since the span began."""
        return (perf_counter_ns() - self._started) / 1e9

    def set(self, key: str, value: AttributeValue | None) -> None:
        """Set one attribute; ``None`` sets nothing, and long text is cut."""
        attributes = self._attributes
        if attributes is None or value is None:
            return
        if type(value) is str and len(value) > self._recorder.text_limit:
            value = value[: self._recorder.text_limit]
        attributes[key] = value

    def fail(self, error_type: str, description: str = "", *, code: int | None = None) -> None:
        """Report that the operation failed for this reason, whatever else is reported.

        ``error_type`` must have few different values. ``description`` goes into traces: it must not hold a secret.
        """
        self.error_type = error_type
        self._description = self._shown(description)[: self._recorder.text_limit]
        if code is not None:
            self.rpc_code = code

    def _shown(self, text: str) -> str:
        """Return a text of a caller or server as the span may show it."""
        if self._masks is None or self._attributes is None or not text:
            return text
        return self._masks.text(text, limit=self._recorder.text_limit)

    def begin_again(self) -> None:
        """Forget how an attempt ended that is not the answer: another one follows."""
        self.error_type = self.rpc_code = None
        self._description = ""

    def settle(self) -> None:
        """Make the reports so far final, whatever leaves the block.

        The caller may disconnect once it has its response.
        """
        self._settled = True

    def end(self) -> None:
        """End the span before its block does; later reports are lost. Ending twice does nothing."""
        attributes = self._attributes
        if attributes is None:
            return
        self._attributes = None
        recorder, end_ns = self._recorder, self._start_ns + perf_counter_ns() - self._started
        templates = recorder.templates
        if templates is not None and not attributes and self.error_type is None and self.rpc_code is None:
            encoded = self._by_template(templates, end_ns)
            if encoded is not None:
                recorder.encoded(encoded)
                return
        recorder.ended(self._record(attributes, end_ns))

    def _by_template(self, templates: SpanTemplates, end_ns: int) -> bytes | None:
        """Return the span encoded, None where it is too unusual for a template. It has no error."""
        raise NotImplementedError

    def _record(self, attributes: dict[str, AttributeValue], end_ns: int) -> PlainRecord:
        """Return the span as a record, with these attributes besides its own."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # An earlier report is closer to the cause than the exception that followed from it.
        if error is not None and self.error_type is None and self.rpc_code is None and not self._settled:
            self._broke_off(error)
        self.end()

    def _broke_off(self, error: BaseException) -> None:
        self.error_type = exception_type(error)

    def _outcome(self, attributes: dict[str, AttributeValue]) -> tuple[int, int]:
        """Write the result into ``attributes``.

        Return the status and the number of attributes beyond the limit.
        """
        if self.rpc_code is not None:
            attributes[semantic_conventions.RPC_RESPONSE_STATUS_CODE] = str(self.rpc_code)
        status = span_record.UNSET
        if self.error_type is not None:
            attributes[semantic_conventions.ERROR_TYPE] = self.error_type
            status = span_record.ERROR
        surplus = len(attributes) - self._recorder.count_limit
        if surplus <= 0:
            return status, 0
        for _ in range(surplus):
            attributes.popitem()
        return status, surplus

    def _cut(self, text: str) -> str:
        return text[: self._recorder.text_limit]


def server_error_type(code: int) -> str | None:
    """The ``error.type`` of a JSON-RPC code in our response, ``None`` if it is no error here."""
    return None if code in CALLER_CODES else str(code)


def exception_type(error: BaseException) -> str:
    """The ``error.type`` of an exception.

    It is a fault's kind, ``caller_left``, ``timeout``, or the class's name.
    """
    if isinstance(error, UpstreamFault):
        return error.kind
    if isinstance(error, asyncio.CancelledError | CallerGone):
        return semantic_conventions.CALLER_LEFT
    if isinstance(error, TimeoutError):
        return semantic_conventions.TIMEOUT
    return type(error).__name__
