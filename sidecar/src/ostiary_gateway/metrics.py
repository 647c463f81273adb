"""The gateway's Prometheus metrics.

Names are those of OpenTelemetry's MCP conventions where one exists. A caller never chooses a label value: methods are
from our table, proxies from the config, error types from a closed set.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Set
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, Info
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from ostiary_core.mcp import codes
from ostiary_core.version import __version__
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.config.store import ConfigStore
from ostiary_gateway.identity.authenticator import Outcomes
from ostiary_gateway.limits.counters import Bound
from ostiary_gateway.limits.limiter import Limiter
from ostiary_gateway.server.certificate import Certificate
from ostiary_gateway.telemetry import Telemetry
from ostiary_gateway.telemetry.blocked_requests import BLOCKED_REQUESTS
from ostiary_gateway.telemetry.denials import ACCESS_DENIALS, SHADOW_DENIALS
from ostiary_gateway.telemetry.dropped_items import DROPPED
from ostiary_gateway.telemetry.semantic_conventions import OPERATION_DURATION_BUCKETS
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.pools import ServerPools

_OTHER = "_OTHER"
#: The error types with a label value of their own. An upstream invents codes, and each would be a new series.
_ERROR_TYPES: Final = frozenset(
    {
        "",
        "tool_error",
        "caller_left",
        "cancelled",
        *faults.KINDS,
        *map(str, codes.OWN),
        *map(str, range(400, 432)),
        "503",
        "-32603",
    }
)


_BUCKETS: Final = (0.0005, 0.001, 0.002, 0.005, *OPERATION_DURATION_BUCKETS)
_BOUNDS: Final = (*map(floatToGoString, _BUCKETS), "+Inf")


class GatewayMetrics:
    """The registry, and the one histogram that requests observe."""

    def __init__(
        self,
        store: ConfigStore,
        limiter: Limiter,
        pools: ServerPools,
        telemetry: Telemetry,
        authentications: Outcomes,
    ) -> None:
        self.registry = CollectorRegistry()
        self.duration = Durations()
        self.registry.register(self.duration)
        Info("ostiary_build", "The running version", registry=self.registry).info({"version": __version__})
        self.registry.register(_State(store, limiter, pools, telemetry))
        self.registry.register(_Authentications(authentications))

    def observe(self, *, method: str, proxy: str, error_type: str, seconds: float) -> None:
        """Count one message.

        ``method`` is in our table or an HTTP method; ``error_type`` may be any text.
        """
        self.duration.observe((method, proxy, error_type if error_type in _ERROR_TYPES else _OTHER), seconds)

    def show(self, certificate: Certificate) -> None:
        """Export the data port's certificate at each scrape, so that failing renewals are noticed."""
        expires = Gauge(
            "ostiary_certificate_expiry_timestamp_seconds",
            "Expiry of the data port's certificate, in seconds since the epoch",
            registry=self.registry,
        )
        rejected = Gauge(
            "ostiary_certificate_rejected",
            "Whether a renewed certificate cannot be used, so that the old one is still served",
            registry=self.registry,
        )
        expires.set_function(lambda: certificate.expires)
        rejected.set_function(lambda: certificate.rejected)

    def on_swap(self, snapshot: Snapshot, changed: frozenset[str]) -> None:
        """Remove the series of proxies that no longer exist; otherwise they would be kept for ever."""
        gone = changed - snapshot.proxies.keys()
        self.duration.forget(gone)
        DROPPED.forget(gone)
        ACCESS_DENIALS.forget(gone)
        SHADOW_DENIALS.forget(gone)
        for counts in BLOCKED_REQUESTS.values():
            counts.forget(gone)


class Durations(Collector):
    """A histogram of message durations by (method, proxy, error type).

    The client library's own histogram takes a lock and searches its buckets for each observation; here everything is
    counted in one event loop, and a scrape in another thread may miss the observation in progress.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str], list[int]] = {}
        self._sums: dict[tuple[str, str, str], float] = {}

    def observe(self, labels: tuple[str, str, str], seconds: float) -> None:
        """Count one."""
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * (len(_BUCKETS) + 1)
            self._sums[labels] = 0.0
        counts[bisect_left(_BUCKETS, seconds)] += 1
        self._sums[labels] += seconds

    def forget(self, proxies: Set[str]) -> None:
        """Remove the series of proxies."""
        for labels in [labels for labels in self._counts if labels[1] in proxies]:
            del self._counts[labels], self._sums[labels]

    def collect(self) -> Iterator[Metric]:
        """Yield the series for a scrape."""
        family = HistogramMetricFamily(
            "mcp_server_operation_duration_seconds",
            "Time from the first byte of an MCP message until its answer was relayed",
            labels=["mcp_method_name", "ostiary_proxy", "error_type"],
        )
        for labels, counts in list(self._counts.items()):
            buckets = list(zip(_BOUNDS, map(float, accumulate(counts)), strict=True))
            family.add_metric(labels, buckets, self._sums.get(labels, 0.0))
        yield family


class _Authentications(Collector):
    """How many requests were authenticated, and how many were refused for which reason."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "ostiary_authentications",
            "Authentications of requests by the outcome: accepted, or the reason of the refusal",
            labels=["ostiary_proxy", "method", "outcome"],
        )
        for labels, count in list(self._outcomes.counts.items()):
            family.add_metric(labels, count)
        yield family


class _State(Collector):
    """Metrics that are read at a scrape, and cost nothing in between."""

    def __init__(self, store: ConfigStore, limiter: Limiter, pools: ServerPools, telemetry: Telemetry) -> None:
        self._store = store
        self._limiter = limiter
        self._pools = pools
        self._telemetry = telemetry

    def collect(self) -> Iterator[Metric]:
        snapshot = self._store.snapshot
        yield _gauge("ostiary_config_revision", "Revision of the config in force", snapshot.revision if snapshot else 0)
        yield _gauge("ostiary_config_proxies", "Proxies in force", len(snapshot.proxies) if snapshot else 0)
        rejected = len(self._store.rejected_entries) + (self._store.rejected_config is not None)
        yield _gauge("ostiary_config_rejected", "Entries, or whole configs, that are rejected now", rejected)
        yield _counter("ostiary_config_loads", "Configs put into force", self._store.loads)
        yield _counter("ostiary_config_rejections", "Configs or entries rejected", self._store.rejections)
        usage = self._limiter.total
        yield _gauge("ostiary_connections_open", "Connections of callers", usage.connections)
        yield _gauge("ostiary_requests_in_flight", "Requests in flight", usage.requests)
        yield _gauge("ostiary_streams_open", "Open streams", usage.streams)
        yield _gauge("ostiary_bytes_in_flight", "Bytes of requests and responses in memory", usage.bytes)
        yield self._refusals()
        yield from _judged_requests()
        yield self._faults()
        yield from self._spans()

    def _refusals(self) -> Metric:
        """Return the refusals at each limit.

        A limit is that of the gateway, or of one source, principal, proxy or upstream server.
        """
        found = CounterMetricFamily(
            "ostiary_bound_refusals", "Refusals at a limit in the settings' bounds", labels=["scope", "bound"]
        )
        for limits in self._limiter.scopes:
            for bound, count in limits.refused.items():
                if limits.bounds(bound):
                    found.add_metric([limits.scope, bound.value], count)
        found.add_metric(["server", Bound.CONNECTIONS.value], self._pools.refused)
        return found

    def _faults(self) -> Metric:
        """Return the faults of the servers in use, by kind."""
        found = CounterMetricFamily(
            "ostiary_upstream_faults",
            "Faults of an upstream server, by kind",
            labels=["ostiary_proxy", "ostiary_server", "reason"],
        )
        snapshot = self._store.snapshot
        for proxy in snapshot.proxies.values() if snapshot is not None else ():
            for reason, count in list(proxy.server.health.counts.items()):
                found.add_metric([proxy.identity, proxy.server.name, reason], count)
        return found

    def _spans(self) -> Iterator[Metric]:
        stats = self._telemetry.stats
        yield _counter("ostiary_spans_exported", "Spans handed to the collector", stats.exported)
        lost = CounterMetricFamily("ostiary_spans_lost", "Spans that were not exported", labels=["reason"])
        for reason, count in stats.lost.items():
            lost.add_metric([reason], count)
        yield lost


def _judged_requests() -> Iterator[Metric]:
    """Yield what was dropped, denied or blocked at each proxy."""
    yield _by_proxy(
        "ostiary_list_items_dropped", "List items that were dropped because they cannot be judged", DROPPED.counts
    )
    yield _by_proxy(
        "ostiary_shadow_denials",
        "Requests that passed, and that policies in Shadow mode would deny",
        SHADOW_DENIALS.counts,
    )
    yield _by_reason(
        "ostiary_access_denials",
        "Requests that policies denied, by the reason of the decision",
        {reason.value: counts for reason, counts in ACCESS_DENIALS.counts.items()},
    )
    yield _by_reason(
        "ostiary_blocked_requests",
        "Requests that were refused because the settings block their caller, proxy or server",
        {reason: each.counts for reason, each in BLOCKED_REQUESTS.items()},
    )


def _by_proxy(name: str, text: str, counts: Mapping[str, int]) -> Metric:
    found = CounterMetricFamily(name, text, labels=["ostiary_proxy"])
    for proxy, count in list(counts.items()):
        found.add_metric([proxy], count)
    return found


def _by_reason(name: str, text: str, by_reason: Mapping[str, Mapping[str, int]]) -> Metric:
    found = CounterMetricFamily(name, text, labels=["ostiary_proxy", "reason"])
    for reason, counts in by_reason.items():
        for proxy, count in list(counts.items()):
            found.add_metric([proxy, reason], count)
    return found


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)
