"""The store in which replicas count limits together, read at each scrape."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ostiary_core.limit_store_states import StoreState
from ostiary_core.metric_family import MetricFamily, MetricKind
from ostiary_gateway.policy_limits.limit_store_switch import LimitStoreSwitch

READY: Final = MetricFamily(
    "ostiary_limit_store_ready",
    "Whether this replica counts limits in the store of the settings; absent where they name none",
    MetricKind.GAUGE,
)
FAILURES: Final = MetricFamily(
    "ostiary_limit_store_failures",
    "Messages to the store of limits that failed, by the reason that LimitStoreReady has then",
    MetricKind.COUNTER,
    labels=("reason",),
)
MESSAGES: Final = MetricFamily(
    "ostiary_limit_store_messages", "Messages to the store of limits that calls waited for", MetricKind.COUNTER
)
LEASED: Final = MetricFamily(
    "ostiary_limit_store_leased_calls",
    "Calls counted by units that this replica had taken in advance, without a message",
    MetricKind.COUNTER,
)
WITHOUT_STORE: Final = MetricFamily(
    "ostiary_limit_store_outage_charges",
    "Charges judged while the store failed, by the limits' onStoreFailure",
    MetricKind.COUNTER,
    labels=("on_store_failure",),
)
KEYS: Final = MetricFamily(
    "ostiary_limit_store_keys", "Keys in the store of limits that this replica has used lately", MetricKind.GAUGE
)
LOST: Final = MetricFamily(
    "ostiary_limit_store_lost_changes",
    "Changes that could not be kept until the store answered again, such as units to give back",
    MetricKind.COUNTER,
)


class LimitStoreMetrics(Collector):
    """What this replica knows of the store; nothing where no settings ever named one."""

    def __init__(self, switch: LimitStoreSwitch) -> None:
        self._switch = switch

    def collect(self) -> Iterator[Metric]:
        """Yield the state of this moment."""
        shared, state = self._switch.shared, self._switch.state
        if shared is None:
            return
        if state is not None:
            yield READY.values({(): float(state is StoreState.READY)})
        yield FAILURES.values({(state.value,): count for state, count in list(shared.link.failures.items())})
        yield MESSAGES.values({(): shared.takes.messages})
        yield LEASED.values({(): shared.leased_calls})
        yield WITHOUT_STORE.values({(way.value,): count for way, count in list(shared.outage.calls.items())})
        yield KEYS.values({(): len(shared.keys)})
        yield LOST.values({(): shared.settlements.lost})
