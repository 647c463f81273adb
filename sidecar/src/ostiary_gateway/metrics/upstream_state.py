"""The state of upstream servers, read at each scrape."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sized
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ostiary_core.metric_family import MetricFamily, MetricKind
from ostiary_gateway.config.store import ConfigStore
from ostiary_gateway.upstream.circuit import CircuitState
from ostiary_gateway.upstream.endpoint_set import EndpointSet
from ostiary_gateway.upstream.server import UpstreamServer

_LABELS: Final = ("ostiary_proxy", "ostiary_server")
FAULTS: Final = MetricFamily(
    "ostiary_upstream_faults",
    "Faults of an upstream server, by kind",
    MetricKind.COUNTER,
    labels=(*_LABELS, "reason"),
)
RETRIES: Final = MetricFamily(
    "ostiary_upstream_retries",
    "Failed attempts to send a request that its server's retry policy decided on, by outcome",
    MetricKind.COUNTER,
    labels=(*_LABELS, "outcome"),
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
_CIRCUIT_LABELS: Final = (*_LABELS, "scope", "gen_ai_tool_name")
CIRCUITS: Final = MetricFamily(
    "ostiary_upstream_circuit_open",
    "1 while a server, or a tool of it, gets no requests because too many failed; tools are named as the server does",
    labels=_CIRCUIT_LABELS,
)
OPENINGS: Final = MetricFamily(
    "ostiary_upstream_circuit_openings",
    "How often such a circuit opened, also after a trial that failed",
    MetricKind.COUNTER,
    labels=_CIRCUIT_LABELS,
)
SERVERS: Final = MetricFamily(
    "ostiary_upstream_info",
    "Address and port of an upstream server, with the value 1",
    labels=(*_LABELS, "server_address", "server_port"),
)
ENDPOINTS: Final = MetricFamily(
    "ostiary_upstream_endpoints",
    "Endpoints of an upstream server with several places, by state: ready, draining, ejected, unhealthy, blocked",
    labels=(*_LABELS, "state"),
)
OPEN_REQUESTS: Final = MetricFamily(
    "ostiary_upstream_requests_open",
    "Requests and streams that are open at an upstream server with several places",
    labels=_LABELS,
)
EJECTIONS: Final = MetricFamily(
    "ostiary_upstream_endpoint_ejections",
    "How often an endpoint of an upstream server got no requests for a time since they failed, by kind of fault",
    MetricKind.COUNTER,
    labels=(*_LABELS, "reason"),
)


class UpstreamState(Collector):
    """What is known of the servers of the proxies in force."""

    def __init__(self, store: ConfigStore) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """Yield the state of this moment."""
        snapshot = self._store.snapshot
        proxies = tuple(snapshot.proxies.values()) if snapshot is not None else ()
        found = {(proxy.identity, server.name): server for proxy in proxies for server in proxy.servers}
        yield FAULTS.values({(*key, reason): count for key, each in found.items() for reason, count in _faults(each)})
        yield RETRIES.values({(*key, outcome): n for key, each in found.items() for outcome, n in _retries(each)})
        yield UP.values({key: each.health.fault is None for key, each in found.items() if _is_tried(each)})
        yield CONNECTIONS.values({key: each.open_connections for key, each in found.items()})
        yield KNOWN.values({(*key, kind): len(names) for key, each in found.items() for kind, names in _known(each)})
        yield from _circuits(found)
        yield SERVERS.values({(*key, each.address, str(each.port)): 1 for key, each in found.items()})
        several = {key: each.endpoints for key, each in found.items() if each.endpoints is not None}
        yield ENDPOINTS.values({(*key, state): n for key, each in several.items() for state, n in each.states.items()})
        yield OPEN_REQUESTS.values({key: each.open_requests for key, each in several.items()})
        yield EJECTIONS.values(
            {(*key, kind): count for key, each in several.items() for kind, count in _ejections(each)}
        )


def _is_tried(server: UpstreamServer) -> bool:
    return server.health.answered or server.health.fault is not None


def _faults(server: UpstreamServer) -> list[tuple[str, int]]:
    return list(server.health.counts.items())


def _retries(server: UpstreamServer) -> list[tuple[str, int]]:
    counts = server.retry.counts if server.retry is not None else {}
    return [(outcome.value, count) for outcome, count in counts.items()]


def _circuits(found: Mapping[tuple[str, str], UpstreamServer]) -> Iterator[Metric]:
    """Yield the state of circuit breakers.

    Tools that no server has listed have no name here, and share a sample.
    """
    is_open: dict[tuple[str, ...], float] = {}
    openings: Counter[tuple[str, ...]] = Counter()
    for key, server in found.items():
        for each in server.breaker.reports() if server.breaker is not None else ():
            labels = (*key, "server" if each.tool is None else "tool", (each.tool or "") if each.is_listed else "")
            is_open[labels] = max(is_open.get(labels, 0), each.state is not CircuitState.CLOSED)
            openings[labels] += each.opened
    yield CIRCUITS.values(is_open)
    yield OPENINGS.values(openings)


def _ejections(endpoints: EndpointSet) -> list[tuple[str, int]]:
    return list(endpoints.ejection.counts.items()) if endpoints.ejection is not None else []


def _known(server: UpstreamServer) -> Iterator[tuple[str, Sized]]:
    known = server.known
    for primitive, names in (("tools", known.tools), ("resources", known.resources), ("prompts", known.prompts)):
        if names:
            yield primitive, names
