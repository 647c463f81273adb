"""The state of upstream servers, read at each scrape."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ostiary_core.metric_family import MetricFamily, MetricKind
from ostiary_gateway.config.runtime import ProxyRuntime
from ostiary_gateway.config.store import ConfigStore

_LABELS: Final = ("ostiary_proxy", "ostiary_server")
FAULTS: Final = MetricFamily(
    "ostiary_upstream_faults",
    "Faults of an upstream server, by kind",
    MetricKind.COUNTER,
    labels=(*_LABELS, "reason"),
)
UP: Final = MetricFamily(
    "ostiary_upstream_up",
    "1 where a server answered last, 0 where it failed; absent before its first call",
    labels=_LABELS,
)
CONNECTIONS: Final = MetricFamily(
    "ostiary_upstream_connections_open", "Connections to an upstream server, idle ones included", labels=_LABELS
)
KNOWN: Final = MetricFamily(
    "ostiary_upstream_known_names",
    "Names that a server has listed, by primitive; only these label metrics",
    labels=(*_LABELS, "primitive"),
)
SERVERS: Final = MetricFamily(
    "ostiary_upstream_info",
    "Address and port of an upstream server, with the value 1",
    labels=(*_LABELS, "server_address", "server_port"),
)


class UpstreamState(Collector):
    """What is known of the servers of the proxies in force."""

    def __init__(self, store: ConfigStore) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """Yield the state of this moment."""
        snapshot = self._store.snapshot
        proxies = tuple(snapshot.proxies.values()) if snapshot is not None else ()
        keys = [(proxy.identity, proxy.server.name) for proxy in proxies]
        yield FAULTS.values({key: number for proxy in proxies for key, number in _faults(proxy)})
        yield UP.values(
            {
                key: proxy.server.health.fault is None
                for key, proxy in zip(keys, proxies, strict=True)
                if proxy.server.health.answered or proxy.server.health.fault is not None
            }
        )
        yield CONNECTIONS.values({key: proxy.server.open_connections for key, proxy in zip(keys, proxies, strict=True)})
        yield KNOWN.values({key: number for proxy in proxies for key, number in _known(proxy)})
        yield SERVERS.values(
            {(*key, proxy.server.address, str(proxy.server.port)): 1 for key, proxy in zip(keys, proxies, strict=True)}
        )


def _faults(proxy: ProxyRuntime) -> Iterator[tuple[tuple[str, str, str], float]]:
    for reason, count in list(proxy.server.health.counts.items()):
        yield (proxy.identity, proxy.server.name, reason), count


def _known(proxy: ProxyRuntime) -> Iterator[tuple[tuple[str, str, str], float]]:
    known = proxy.server.known
    for primitive, names in (("tools", known.tools), ("resources", known.resources), ("prompts", known.prompts)):
        if names:
            yield (proxy.identity, proxy.server.name, primitive), len(names)
