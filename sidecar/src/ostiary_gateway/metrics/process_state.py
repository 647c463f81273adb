"""The state of the process, read at each scrape: config, connections, requests, spans."""

import gc
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ostiary_core import strict_json
from ostiary_core.canonical import digest
from ostiary_core.metric_family import MetricFamily, MetricKind
from ostiary_core.version import __version__
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.config.store import ConfigStore
from ostiary_gateway.limits.limiter import Limiter
from ostiary_gateway.server.certificate import Certificate
from ostiary_gateway.telemetry import Telemetry

BUILD: Final = MetricFamily("ostiary_build_info", "The running version, with the value 1", labels=("version",))
REVISION: Final = MetricFamily("ostiary_config_revision", "Revision of the config in force")
PROXIES: Final = MetricFamily("ostiary_config_proxies", "Proxies in force")
CONFIG: Final = MetricFamily(
    "ostiary_config_info",
    "Digest of the entries and settings in force, with the value 1: replicas with the same digest serve the same",
    labels=("digest",),
)
REJECTED_ENTRIES: Final = MetricFamily(
    "ostiary_config_entry_rejected",
    "1 for each proxy whose new config is rejected now, by the reason",
    labels=("ostiary_proxy", "reason"),
)
REJECTED: Final = MetricFamily("ostiary_config_rejected", "Entries, or whole configs, that are rejected now")
LOADS: Final = MetricFamily("ostiary_config_loads", "Configs put into force", MetricKind.COUNTER)
REJECTIONS: Final = MetricFamily("ostiary_config_rejections", "Configs or entries rejected", MetricKind.COUNTER)
CONNECTIONS: Final = MetricFamily("ostiary_connections_open", "Connections of callers")
REQUESTS: Final = MetricFamily("ostiary_requests_in_flight", "Requests in flight")
STREAMS: Final = MetricFamily("ostiary_streams_open", "Open streams")
BYTES: Final = MetricFamily("ostiary_bytes_in_flight", "Bytes of requests and responses in memory")
SPANS_EXPORTED: Final = MetricFamily("ostiary_spans_exported", "Spans handed to the collector", MetricKind.COUNTER)
SPANS_WAITING: Final = MetricFamily("ostiary_spans_waiting", "Spans in the queue of the exporter")
SPAN_QUEUE: Final = MetricFamily("ostiary_span_queue_capacity", "Spans that the queue of the exporter can hold")
SPANS_LOST: Final = MetricFamily(
    "ostiary_spans_lost", "Spans that were not exported", MetricKind.COUNTER, labels=("reason",)
)
COLLECTIONS: Final = MetricFamily(
    "python_gc_collections",
    "Runs of Python's garbage collector, by generation",
    MetricKind.COUNTER,
    labels=("generation",),
)
COLLECTED: Final = MetricFamily(
    "python_gc_objects_collected",
    "Objects that Python's garbage collector freed, by generation",
    MetricKind.COUNTER,
    labels=("generation",),
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
        self._digested: tuple[Snapshot | None, str] = (None, "")

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
        yield SPANS_WAITING.value(stats.waiting)
        yield SPAN_QUEUE.value(stats.queue_capacity)
        yield SPANS_LOST.values({(reason,): count for reason, count in stats.lost.items()})

    def _config(self) -> Iterator[Metric]:
        snapshot = self._store.snapshot
        yield REVISION.value(snapshot.revision if snapshot else 0)
        yield PROXIES.value(len(snapshot.proxies) if snapshot else 0)
        if snapshot is not None:
            yield CONFIG.values({(self._digest(snapshot),): 1})
        rejected = dict(self._store.rejected_entries)
        yield REJECTED_ENTRIES.values({(proxy, found.reason): 1 for proxy, found in rejected.items()})
        yield REJECTED.value(len(self._store.rejected_entries) + (self._store.rejected_config is not None))
        yield LOADS.value(self._store.loads)
        yield REJECTIONS.value(self._store.rejections)

    def _digest(self, snapshot: Snapshot) -> str:
        """Return the digest of a snapshot's entries and settings, computed once for each snapshot."""
        if self._digested[0] is not snapshot:
            entries = {key: proxy.digest for key, proxy in snapshot.proxies.items()}
            text = snapshot.settings.canonical() + strict_json.dumps(dict(sorted(entries.items())))
            self._digested = (snapshot, digest(text))
        return self._digested[1]


class GarbageCollection(Collector):
    """What the garbage collector does; its pauses are part of the event loop's lag."""

    def collect(self) -> Iterator[Metric]:
        """Yield the totals of this process."""
        stats = list(enumerate(gc.get_stats()))
        yield COLLECTIONS.values({(str(generation),): each["collections"] for generation, each in stats})
        yield COLLECTED.values({(str(generation),): each["collected"] for generation, each in stats})


class CertificateState(Collector):
    """When the data port's certificate expires, and whether its renewal failed."""

    def __init__(self, certificate: Certificate) -> None:
        self._certificate = certificate

    def collect(self) -> Iterator[Metric]:
        """Yield the state of this moment."""
        yield CERTIFICATE_EXPIRY.value(self._certificate.expires)
        yield CERTIFICATE_REJECTED.value(self._certificate.rejected)
