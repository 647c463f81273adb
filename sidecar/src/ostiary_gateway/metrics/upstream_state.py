"""The state of upstream servers, read at each scrape."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ostiary_core.metric_family import MetricFamily, MetricKind
from ostiary_gateway.config.store import ConfigStore

FAULTS: Final = MetricFamily(
    "ostiary_upstream_faults",
    "Faults of an upstream server, by kind",
    MetricKind.COUNTER,
    labels=("ostiary_proxy", "ostiary_server", "reason"),
)


class UpstreamState(Collector):
    """What is known of the servers of the proxies in force."""

    def __init__(self, store: ConfigStore) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """Yield the state of this moment."""
        snapshot = self._store.snapshot
        found: dict[tuple[str, ...], float] = {}
        for proxy in snapshot.proxies.values() if snapshot is not None else ():
            for reason, count in list(proxy.server.health.counts.items()):
                found[proxy.identity, proxy.server.name, reason] = count
        yield FAULTS.values(found)
