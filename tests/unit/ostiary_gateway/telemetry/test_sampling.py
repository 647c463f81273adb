"""Which traces are recorded, and how far a caller can force it."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_OFF,
    DEFAULT_ON,
    Decision,
    ParentBasedTraceIdRatio,
    Sampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import NonRecordingSpan, TraceFlags, set_span_in_context
from opentelemetry.trace import SpanContext as SDKSpanContext

from ostiary_gateway.telemetry.configuration import SamplerName
from ostiary_gateway.telemetry.context import SpanContext
from ostiary_gateway.telemetry.sampling import RateLimit, make_sampler

FIXED: Mapping[SamplerName, Sampler] = {
    "always_on": ALWAYS_ON,
    "always_off": ALWAYS_OFF,
    "parentbased_always_on": DEFAULT_ON,
    "parentbased_always_off": DEFAULT_OFF,
}
RATIOS: Mapping[SamplerName, type[TraceIdRatioBased | ParentBasedTraceIdRatio]] = {
    "traceidratio": TraceIdRatioBased,
    "parentbased_traceidratio": ParentBasedTraceIdRatio,
}
trace_ids = st.integers(1, 2**128 - 1).map("{:032x}".format)
parents = st.none() | st.builds(
    SpanContext, trace_ids, st.integers(1, 2**64 - 1).map("{:016x}".format), st.integers(0, 255), st.just("")
)
PARENT = SpanContext("a" * 32, "b" * 16, 1, "")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def unlimited() -> RateLimit:
    return RateLimit(float("inf"))


def the_sdks_context(parent: SpanContext | None) -> Context:
    if parent is None:
        return Context()
    span_context = SDKSpanContext(
        int(parent.trace_id, 16), int(parent.span_id, 16), is_remote=True, trace_flags=TraceFlags(parent.flags)
    )
    return set_span_in_context(NonRecordingSpan(span_context), Context())


@given(st.sampled_from([*FIXED, *RATIOS]), st.floats(0, 1), parents, trace_ids)
def test_a_sampler_decides_as_the_sdks(
    name: SamplerName, ratio: float, parent: SpanContext | None, trace_id: str
) -> None:
    sampler = FIXED[name] if name in FIXED else RATIOS[name](ratio)
    trace_id = parent.trace_id if parent else trace_id
    theirs = sampler.should_sample(the_sdks_context(parent), int(trace_id, 16), "ping")

    ours = make_sampler(name, ratio, unlimited())(parent, trace_id)

    assert ours is (theirs.decision is Decision.RECORD_AND_SAMPLE)


@pytest.mark.parametrize("name", ["parentbased_always_off", "parentbased_traceidratio"])
def test_a_callers_flag_forces_recording_up_to_the_rate_only(name: SamplerName) -> None:
    clock = Clock()
    limit = RateLimit(10, clock=clock)
    decide = make_sampler(name, 0.0, limit)

    first = [decide(PARENT, PARENT.trace_id) for _ in range(15)]
    clock.now += 0.5
    second = [decide(PARENT, PARENT.trace_id) for _ in range(15)]

    assert (sum(first), sum(second)) == (10, 5)
    assert limit.refused == 15


def test_where_everything_is_recorded_the_callers_flag_is_not_bounded() -> None:
    decide = make_sampler("parentbased_always_on", 1.0, RateLimit(1, clock=Clock()))

    assert all(decide(PARENT, PARENT.trace_id) for _ in range(100))


def test_an_unsampled_flag_takes_nothing_from_the_rate() -> None:
    decide = make_sampler("parentbased_always_off", 1.0, RateLimit(1, clock=Clock()))
    unsampled = PARENT._replace(flags=2)

    assert not any(decide(unsampled, PARENT.trace_id) for _ in range(5))
    assert decide(PARENT, PARENT.trace_id)


@pytest.mark.parametrize(("rate", "granted"), [(0, 0), (0.5, 1), (1, 1), (100, 100), (float("inf"), 500)])
def test_a_rate_grants_a_burst_of_one_second(rate: float, granted: int) -> None:
    limit = RateLimit(rate, clock=Clock())

    assert sum(limit.grant() for _ in range(500)) == granted


@given(st.floats(0.1, 1000), st.lists(st.floats(0, 2), max_size=60))
def test_a_rate_is_kept_over_any_stretch_of_time(rate: float, gaps: Sequence[float]) -> None:
    clock = Clock()
    limit = RateLimit(rate, clock=clock)
    granted = 0
    for gap in gaps:
        clock.now += gap
        granted += limit.grant()

    assert granted <= rate * sum(gaps) + max(1.0, rate) + 1e-6
