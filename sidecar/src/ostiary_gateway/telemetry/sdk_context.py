"""OpenTelemetry SDK samplers and propagators, for names that are not built in.

They are code of other authors on the way of a request: an exception of theirs counts as "not sampled" and "no context",
and is logged at a limited rate.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import Getter, TextMapPropagator
from opentelemetry.trace import NonRecordingSpan, SpanKind, TraceFlags, TraceState

from ostiary_core import sdk_components
from ostiary_gateway.telemetry import context, semantic_conventions
from ostiary_gateway.telemetry.context import Named, SpanContext
from ostiary_gateway.telemetry.throttled_warning import WarningLimiter

_log: Final = logging.getLogger(__name__)
_EMPTY: Final = Context()


def _context_of(parent: SpanContext | None) -> Context:
    if parent is None:
        return _EMPTY
    state = TraceState.from_header([parent.tracestate]) if parent.tracestate else None
    remote = trace.SpanContext(int(parent.trace_id, 16), int(parent.span_id, 16), True, TraceFlags(parent.flags), state)
    return trace.set_span_in_context(NonRecordingSpan(remote), _EMPTY)


class SdkSampler:
    """A sampler of the SDK's.

    It sees the parent, the trace id, the method, and the name of the tool or prompt.

    Raises:
        SdkComponentMissing: it is not installed, or refuses its argument.
    """

    def __init__(self, name: str, argument: str) -> None:
        factory: Any = sdk_components.load(sdk_components.SAMPLER, name, variable="OTEL_TRACES_SAMPLER")
        try:
            self._sampler = factory(argument or None)
        except Exception as error:
            raise sdk_components.SdkComponentMissing(
                f"OTEL_TRACES_SAMPLER names {name!r}, which does not accept OTEL_TRACES_SAMPLER_ARG: "
                f"{type(error).__name__}"
            ) from error
        self._warner = WarningLimiter(_log)

    def decide(self, parent: SpanContext | None, trace_id: str, message: Named | None = None, /) -> bool:
        """Return whether to record a trace."""
        method, target = (message.method, message.target) if message is not None else (None, None)
        attributes = {semantic_conventions.MCP_METHOD_NAME: method} if method is not None else {}
        if method in semantic_conventions.NAMED_TARGETS and target is not None:
            attributes[semantic_conventions.TARGET_ATTRIBUTES[method]] = target
        name = " ".join(filter(None, (method, target if method in semantic_conventions.NAMED_TARGETS else None)))
        try:
            result = self._sampler.should_sample(
                _context_of(parent), int(trace_id, 16), name, SpanKind.SERVER, attributes
            )
            return bool(result.decision.is_sampled())
        except Exception as error:  # noqa: BLE001  see above
            self._warner.warn("the sampler failed: %s", type(error).__name__, error=error)
            return False


class _Headers(Getter[Mapping[str, str]]):
    """Reads headers, whose names the gateway keeps in lower case."""

    def get(self, carrier: Mapping[str, str], key: str) -> list[str] | None:
        value = carrier.get(key.lower())
        return None if value is None else [value]

    def keys(self, carrier: Mapping[str, str]) -> list[str]:
        return list(carrier)


class SdkPropagators:
    """Propagators of the SDK's, for HTTP headers.

    ``_meta`` always holds W3C trace context, as MCP demands.

    Raises:
        SdkComponentMissing: one is not installed.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._propagator = CompositePropagator([_propagator(name) for name in names if name != "none"])
        self._getter = _Headers()
        self._warner = WarningLimiter(_log)

    def extract(self, headers: Mapping[str, str]) -> tuple[str | None, str | None]:
        """Return the context in a request's headers as ``traceparent`` and ``tracestate``.

        Both are None where there is none.
        """
        try:
            found = trace.get_current_span(self._propagator.extract(headers, _EMPTY, self._getter)).get_span_context()
        except Exception as error:  # noqa: BLE001  see above
            self._warner.warn("the propagators failed: %s", type(error).__name__, error=error)
            return None, None
        if not found.is_valid:
            return None, None
        parent = SpanContext(f"{found.trace_id:032x}", f"{found.span_id:016x}", int(found.trace_flags), "")
        return parent.traceparent(), found.trace_state.to_header() or None

    def inject(self, members: Mapping[str, str]) -> dict[str, str]:
        """Return the headers for an upstream, from the members of a W3C context."""
        parent = context.parse(members.get(context.TRACEPARENT), members.get(context.TRACESTATE))
        headers: dict[str, str] = {}
        if parent is None:
            return headers
        try:
            self._propagator.inject(headers, _context_of(parent))
        except Exception as error:  # noqa: BLE001  see above
            self._warner.warn("the propagators failed: %s", type(error).__name__, error=error)
            return {}
        return headers


def _propagator(name: str) -> TextMapPropagator:
    found: Any = sdk_components.load(sdk_components.PROPAGATOR, name, variable="OTEL_PROPAGATORS")
    propagator: TextMapPropagator = found() if isinstance(found, type) else found
    return propagator
