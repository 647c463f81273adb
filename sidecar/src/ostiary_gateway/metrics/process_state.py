"""The state of the process, read at each scrape: config, connections, requests, spans."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ostiary_core.metric_family import MetricFamily, MetricKind
from ostiary_core.version import __version__
from ostiary_gateway.config.store import ConfigStore
from ostiary_gateway.limits.limiter import Limiter
from ostiary_gateway.server.certificate import Certificate
from ostiary_gateway.telemetry import Telemetry

BUILD: Final = MetricFamily("ostiary_build_info", "The running version, with the value 1", labels=("version",))
REVISION: Final = MetricFamily("ostiary_config_revision", "Revision of the config in force")
PROXIES: Final = MetricFamily("ostiary_config_proxies", "Proxies in force")
REJECTED: Final = MetricFamily("ostiary_config_rejected", "Entries, or whole configs, that are rejected now")
LOADS: Final = MetricFamily("ostiary_config_loads", "Configs put into force", MetricKind.COUNTER)
REJECTIONS: Final = MetricFamily("ostiary_config_rejections", "Configs or entries rejected", MetricKind.COUNTER)
CONNECTIONS: Final = MetricFamily("ostiary_connections_open", "Connections of callers")
REQUESTS: Final = MetricFamily("ostiary_requests_in_flight", "Requests in flight")
STREAMS: Final = MetricFamily("ostiary_streams_open", "Open streams")
BYTES: Final = MetricFamily("ostiary_bytes_in_flight", "Bytes of requests and responses in memory")
SPANS_EXPORTED: Final = MetricFamily("ostiary_spans_exported", "Spans handed to the collector", MetricKind.COUNTER)
SPANS_LOST: Final = MetricFamily(
    "ostiary_spans_lost", "Spans that were not exported", MetricKind.COUNTER, labels=("reason",)
)
CERTIFICATE_EXPIRY: Final = MetricFamily(
    "ostiary_certificate_expiry_timestamp_seconds",
    "Expiry of the data port's certificate, in seconds since the epoch",
)
CERTIFICATE_REJECTED: Final = MetricFamily(
    "ostiary_certificate_rejected",
    "Whether a renewed certificate cannot be used, so that the old one is still served",
)


class ProcessState(Collector):
    """Metrics that are read at a scrape, and cost nothing in between."""

    def __init__(self, store: ConfigStore, limiter: Limiter, telemetry: Telemetry) -> None:
        self._store = store
        self._limiter = limiter
        self._telemetry = telemetry

    def collect(self) -> Iterator[Metric]:
        """Yield the state of this moment."""
        yield BUILD.values({(__version__,): 1})
        yield from self._config()
        usage = self._limiter.total
        yield CONNECTIONS.value(usage.connections)
        yield REQUESTS.value(usage.requests)
        yield STREAMS.value(usage.streams)
        yield BYTES.value(usage.bytes)
        stats = self._telemetry.stats
        yield SPANS_EXPORTED.value(stats.exported)
        yield SPANS_LOST.values({(reason,): count for reason, count in stats.lost.items()})

    def _config(self) -> Iterator[Metric]:
        snapshot = self._store.snapshot
        yield REVISION.value(snapshot.revision if snapshot else 0)
        yield PROXIES.value(len(snapshot.proxies) if snapshot else 0)
        yield REJECTED.value(len(self._store.rejected_entries) + (self._store.rejected_config is not None))
        yield LOADS.value(self._store.loads)
        yield REJECTIONS.value(self._store.rejections)


class CertificateState(Collector):
    """When the data port's certificate expires, and whether its renewal failed."""

    def __init__(self, certificate: Certificate) -> None:
        self._certificate = certificate

    def collect(self) -> Iterator[Metric]:
        """Yield the state of this moment."""
        yield CERTIFICATE_EXPIRY.value(self._certificate.expires)
        yield CERTIFICATE_REJECTED.value(self._certificate.rejected)
