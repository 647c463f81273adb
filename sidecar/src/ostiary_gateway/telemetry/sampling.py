"""Which traces are recorded.

These are OpenTelemetry's samplers as plain functions, and a rate limit on callers' sampled flags.

A property test shows that each equals the SDK's object of the same name, which would cost a request twice as much as
the rest of its span.
"""

import time
from collections.abc import Callable
from typing import Final

from ostiary_gateway.telemetry.configuration import SamplerName
from ostiary_gateway.telemetry.context import SAMPLED, Decide, Named, SpanContext

_RATIO_OF: Final = 1 << 64
_PARENT_BASED: Final = "parentbased_"


class RateLimit:
    """At most ``per_second`` grants a second (a token bucket in two floats).

    A burst may take one second's grants.

    Zero grants nothing, infinity everything. Not safe between threads: the gateway decides on its event loop.
    """

    __slots__ = ("_clock", "_interval", "_next", "refused")

    def __init__(self, per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 1.0 / per_second if per_second > 0 else float("inf")
        self._clock = clock
        self._next = float("-inf") if per_second > 0 else float("inf")
        self.refused = 0

    def grant(self) -> bool:
        """Take one token if there is one; return whether there was."""
        now = self._clock()
        # The bucket is a point in time: it may be ahead of the clock by one second, less the token we take.
        ahead = self._next if self._next > now else now
        if ahead - now > max(0.0, 1.0 - self._interval) + 1e-9:
            self.refused += 1
            return False
        self._next = ahead + self._interval
        return True


def make_sampler(name: SamplerName, ratio: float, remote_sampled: RateLimit) -> Decide:
    """The sampler of this name; ``ratio`` (0 to 1) is for those that sample by trace id.

    A parent-based sampler lets every caller force recording by a flag. ``remote_sampled`` limits that: beyond it such a
    trace is not recorded here, though its context is still propagated. Where the root sampler records everything, the
    flag gives nothing extra, and a limit would lose exactly the traces that have a parent: then there is no limit.
    """
    root = _root(name.removeprefix(_PARENT_BASED), ratio)
    if not name.startswith(_PARENT_BASED):
        return root
    return _parent_based(root, None if name == "parentbased_always_on" else remote_sampled)


def _root(name: str, ratio: float) -> Decide:
    if name == "always_on":
        return lambda _parent, _trace_id, _message=None: True
    if name == "always_off":
        return lambda _parent, _trace_id, _message=None: False
    bound = round(ratio * _RATIO_OF)
    return lambda _parent, trace_id, _message=None: int(trace_id[16:], 16) < bound


def _parent_based(root: Decide, limit: RateLimit | None) -> Decide:
    def decide(parent: SpanContext | None, trace_id: str, _message: Named | None = None) -> bool:
        if parent is None:
            return root(None, trace_id)
        if not parent.flags & SAMPLED:
            return False
        return limit is None or limit.grant()

    return decide
