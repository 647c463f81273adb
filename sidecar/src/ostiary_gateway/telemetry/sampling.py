"""Which traces are recorded: the SDK's samplers, and a bound on what a caller may force.

A ``context.Decide`` is compiled once. The samplers that ``OTEL_TRACES_SAMPLER`` can name become plain functions, proved
equal to the SDK's objects by a property test; any other sampler is asked itself.
"""

import re
import time
from collections.abc import Callable
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_OFF,
    DEFAULT_ON,
    Decision,
    ParentBased,
    ParentBasedTraceIdRatio,
    Sampler,
    StaticSampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import NonRecordingSpan, SpanKind, TraceFlags, TraceState, set_span_in_context
from opentelemetry.trace import SpanContext as SDKSpanContext

from ostiary_gateway.telemetry.context import SAMPLED, Decide, SpanContext
from ostiary_gateway.telemetry.settings import SamplerName

_SAMPLERS: Final[dict[SamplerName, Sampler]] = {
    "always_on": ALWAYS_ON,
    "always_off": ALWAYS_OFF,
    "parentbased_always_on": DEFAULT_ON,
    "parentbased_always_off": DEFAULT_OFF,
}

_RATIO: Final = re.compile(r"TraceIdRatioBased\{([^}]+)\}")
_DELEGATES: Final = (
    "remoteParentSampled:AlwaysOnSampler,remoteParentNotSampled:AlwaysOffSampler,"
    "localParentSampled:AlwaysOnSampler,localParentNotSampled:AlwaysOffSampler}"
)
_PARENT: Final = re.compile(r"ParentBased\{root:(.*)," + re.escape(_DELEGATES))


def make_sampler(name: SamplerName, ratio: float) -> Sampler:
    """The SDK's sampler of this name; ``ratio`` (0 to 1) is for those that sample by trace id."""
    if name == "traceidratio":
        return TraceIdRatioBased(ratio)
    if name == "parentbased_traceidratio":
        return ParentBasedTraceIdRatio(ratio)
    return _SAMPLERS[name]


class RateLimit:
    """At most ``per_second`` grants a second, with bursts of one second's worth (a token bucket in two floats).

    Zero grants nothing, infinity everything. Not safe between threads: the gateway decides on its event loop.
    """

    __slots__ = ("_clock", "_interval", "_next", "refused")

    def __init__(self, per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 1.0 / per_second if per_second > 0 else float("inf")
        self._clock = clock
        self._next = float("-inf") if per_second > 0 else float("inf")
        self.refused = 0

    def grant(self) -> bool:
        """Take one token if there is one."""
        now = self._clock()
        # The bucket is a point in time: it may run ahead of the clock by one second, less the token we want.
        ahead = self._next if self._next > now else now
        if ahead - now > max(0.0, 1.0 - self._interval) + 1e-9:
            self.refused += 1
            return False
        self._next = ahead + self._interval
        return True


def compile_sampler(sampler: Sampler, remote_sampled: RateLimit) -> Decide:
    """The decision function of ``sampler``.

    A parent-based sampler lets every caller force recording by a flag. ``remote_sampled`` bounds that: beyond it such a
    trace is not recorded here, though its context still travels. With a root that records everything the flag asks for
    nothing more than everyone gets, and refusing it would lose exactly the traces that have a parent: then no bound.
    """
    text = sampler.get_description()
    if type(sampler) in (ParentBased, ParentBasedTraceIdRatio) and (match := _PARENT.fullmatch(text)):
        root = _static(match[1])
        if root is not None:
            return _parent_based(root, None if match[1] == "AlwaysOnSampler" else remote_sampled)
    if type(sampler) in (StaticSampler, TraceIdRatioBased) and (plain := _static(text)):
        return plain
    asked = _ask(sampler)
    return _bounded(asked, remote_sampled) if text.startswith("ParentBased{") else asked


def _static(description: str) -> Decide | None:
    if description == "AlwaysOnSampler":
        return lambda _parent, _trace_id, _name: True
    if description == "AlwaysOffSampler":
        return lambda _parent, _trace_id, _name: False
    if match := _RATIO.fullmatch(description):
        bound = TraceIdRatioBased.get_bound_for_rate(float(match[1]))
        return lambda _parent, trace_id, _name: int(trace_id[16:], 16) < bound
    return None


def _parent_based(root: Decide, limit: RateLimit | None) -> Decide:
    def decide(parent: SpanContext | None, trace_id: str, name: str) -> bool:
        if parent is None:
            return root(None, trace_id, name)
        if not parent.flags & SAMPLED:
            return False
        return limit is None or limit.grant()

    return decide


def _bounded(asked: Decide, limit: RateLimit) -> Decide:
    def decide(parent: SpanContext | None, trace_id: str, name: str) -> bool:
        if not asked(parent, trace_id, name):
            return False
        return parent is None or not parent.flags & SAMPLED or limit.grant()

    return decide


def _ask(sampler: Sampler) -> Decide:
    """Ask the SDK's object, with the parent as the SDK would hand it over. Only its decision is used."""

    def decide(parent: SpanContext | None, trace_id: str, name: str) -> bool:
        result = sampler.should_sample(sdk_context(parent), int(trace_id, 16), name, SpanKind.SERVER)
        return result.decision is Decision.RECORD_AND_SAMPLE

    return decide


def sdk_context(parent: SpanContext | None) -> Context:
    """The SDK's form of a remote parent."""
    if parent is None:
        return Context()
    span_context = SDKSpanContext(
        int(parent.trace_id, 16),
        int(parent.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(parent.flags),
        trace_state=TraceState.from_header([parent.tracestate]),
    )
    return set_span_in_context(NonRecordingSpan(span_context), Context())
