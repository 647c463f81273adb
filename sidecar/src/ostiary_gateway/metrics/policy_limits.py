"""What limits of policies let through and refused, and the keys that are counted."""

from collections.abc import Iterator
from typing import Final, Protocol

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ostiary_core.limits.cost_weight import WEIGHT_FAILURES as FAILURES
from ostiary_core.metric_family import LabelledValues, MetricFamily, MetricKind
from ostiary_gateway.policy_limits.flood_guard import FloodGuard
from ostiary_gateway.policy_limits.local_counters import LocalCounters
from ostiary_gateway.telemetry.cost_units import COST_UNITS
from ostiary_gateway.telemetry.limit_decisions import LIMIT_DECISIONS

DECISIONS: Final = MetricFamily(
    "ostiary_limit_decisions",
    "Requests that a limit of a policy counted: allowed, limited, or limited only in Shadow mode (shadow)",
    MetricKind.COUNTER,
    labels=("ostiary_policy", "ostiary_limit", "decision"),
)
COSTS: Final = MetricFamily(
    "ostiary_limit_cost_units",
    "Units that ended calls cost by the weights of a limit with a budget, results included; not those given back",
    MetricKind.COUNTER,
    labels=("ostiary_proxy", "gen_ai_tool_name", "ostiary_policy", "ostiary_limit"),
)
FLOODS: Final = MetricFamily(
    "ostiary_limit_floods",
    "Requests refused with HTTP 429, since limits had refused many on the same connection",
    MetricKind.COUNTER,
)
KEYS: Final = MetricFamily("ostiary_limit_keys", "Keys with a counter in the memory of this process")
OVERFLOWS: Final = MetricFamily(
    "ostiary_limit_key_overflows",
    "Charges to the counter that further keys of a limit share, since there are too many keys",
    MetricKind.COUNTER,
)
WEIGHT_FAILURES: Final = MetricFamily(
    "ostiary_limit_weight_failures",
    "Expressions of weights that failed or returned no cost, so that the call counted 1",
    MetricKind.COUNTER,
    labels=("ostiary_policy", "ostiary_limit"),
)
LOOPS: Final = MetricFamily(
    "ostiary_loops",
    "Calls that repeated others: warned (Warn), delayed (Slow), refused (Deny), or only seen in Shadow mode (Shadow)",
    MetricKind.COUNTER,
    labels=("ostiary_policy", "action"),
)
LOOP_CALLS: Final = MetricFamily("ostiary_loop_calls", "Different calls that loop detection remembers")


class LoopCounts(Protocol):
    """What loop detection did."""

    @property
    def outcomes(self) -> LabelledValues:
        """The calls that repeated others, by policy and action."""

    @property
    def remembered(self) -> int:
        """The different calls that are remembered."""


class LimitMetrics(Collector):
    """The counts of this process; ``local`` are the counters in its memory."""

    def __init__(self, floods: FloodGuard, local: LocalCounters, loops: LoopCounts) -> None:
        self._floods = floods
        self._local = local
        self._loops = loops

    def collect(self) -> Iterator[Metric]:
        """Yield the counts of this moment."""
        yield DECISIONS.values(_decisions())
        yield COSTS.values(COST_UNITS.counts)
        yield FLOODS.value(self._floods.refused)
        yield KEYS.value(self._local.keys)
        yield OVERFLOWS.value(self._local.overflows)
        yield WEIGHT_FAILURES.values(dict(FAILURES))
        yield LOOPS.values(self._loops.outcomes)
        yield LOOP_CALLS.value(self._loops.remembered)


def _decisions() -> LabelledValues:
    found: dict[tuple[str, ...], float] = {}
    for (policy, limit), tally in LIMIT_DECISIONS.counts.items():
        for decision in ("allowed", "limited", "shadow"):
            found[policy, limit, decision] = getattr(tally, decision)
    return found
