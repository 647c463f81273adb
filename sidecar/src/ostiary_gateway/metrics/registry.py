"""The registry of one gateway process, and what requests report to it."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.registry import Collector

from ostiary_core.metric_export.periodic_export import ExportStats, PeriodicMetricExport
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.config.store import ConfigStore
from ostiary_gateway.identity.authenticator import Outcomes
from ostiary_gateway.limits.limiter import Limiter
from ostiary_gateway.metrics.catalogue_state import CatalogueState
from ostiary_gateway.metrics.event_loop_lag import EventLoopLag
from ostiary_gateway.metrics.export_health import ExportHealth
from ostiary_gateway.metrics.exposition import Exposition
from ostiary_gateway.metrics.histogram import SeriesHistogram
from ostiary_gateway.metrics.judged_requests import JudgedRequests
from ostiary_gateway.metrics.otlp_export import ExportState, start_export
from ostiary_gateway.metrics.process_state import CertificateState, GarbageCollection, ProcessState
from ostiary_gateway.metrics.request_metrics import RequestMetrics
from ostiary_gateway.metrics.upstream_state import UpstreamState
from ostiary_gateway.server.certificate import Certificate
from ostiary_gateway.telemetry import Telemetry
from ostiary_gateway.telemetry.blocked_requests import BLOCKED_REQUESTS
from ostiary_gateway.telemetry.content_findings import CONTENT_FINDINGS
from ostiary_gateway.telemetry.denials import ACCESS_DENIALS, SHADOW_DENIALS
from ostiary_gateway.telemetry.dropped_items import DROPPED
from ostiary_gateway.telemetry.empty_lists import EMPTY_LISTS
from ostiary_gateway.telemetry.session_counts import SESSIONS
from ostiary_gateway.upstream.pools import ServerPools


class GatewayMetrics:
    """All collectors of a process, and the one histogram that requests observe."""

    def __init__(
        self,
        store: ConfigStore,
        limiter: Limiter,
        pools: ServerPools,
        telemetry: Telemetry,
        authentications: Outcomes,
    ) -> None:
        #: Everything, and all but the histograms.
        self.registry = CollectorRegistry()
        self._figures = CollectorRegistry()
        self._histograms: list[SeriesHistogram] = []
        #: Writes the text of a scrape.
        self.exposition = Exposition(self._figures.collect, lambda: self._histograms)
        self._requests = RequestMetrics()
        self.take = self._requests.take
        self.register(self._requests)
        self.register(ProcessState(store, limiter, telemetry))
        self.register(JudgedRequests(limiter, pools, authentications))
        self.register(UpstreamState(store))
        self.register(CatalogueState(store))
        self.lag = EventLoopLag()
        for histogram in (*self._requests.histograms, self.lag.histogram):
            self.register(histogram)
        self.register(ProcessCollector(registry=None))  # CPU, memory and open files
        self.register(GarbageCollection())
        #: None where metrics are not exported over OTLP.
        self.export: PeriodicMetricExport | None = None
        self.register(ExportState(self._exported, lambda: telemetry.stats.lost_export_failed))
        #: Returns whether what is exported reaches its collector, by signal.
        self.exports = ExportHealth(telemetry, self._exported).report

    def _exported(self) -> ExportStats | None:
        return self.export.stats if self.export is not None else None

    def start_export(self, environ: Mapping[str, str]) -> None:
        """Export over OTLP as the environment says.

        Raises:
            StartupError: the exporter is not installed.
        """
        self.export = start_export(environ, self._figures, lambda: self._histograms)

    def register(self, collector: Collector) -> None:
        """Export the families of a collector at each scrape."""
        self.registry.register(collector)
        if isinstance(collector, SeriesHistogram):
            self._histograms.append(collector)
        else:
            self._figures.register(collector)

    def show(self, certificate: Certificate) -> None:
        """Export the data port's certificate at each scrape, so that failing renewals are noticed."""
        self.register(CertificateState(certificate))

    def on_swap(self, snapshot: Snapshot, changed: frozenset[str]) -> None:
        """Remove the series of proxies that no longer exist; otherwise they would be kept for ever."""
        gone = changed - snapshot.proxies.keys()
        self._requests.on_swap(snapshot, changed)
        forget_proxies(gone)
        CONTENT_FINDINGS.keep({name: _policies(snapshot, name) for name in changed - gone})


def forget_proxies(gone: frozenset[str]) -> None:
    """Remove all of some proxies from the counts of this process, which outlive a gateway."""
    CONTENT_FINDINGS.keep(dict.fromkeys(gone, frozenset()))
    EMPTY_LISTS.forget(gone)
    ACCESS_DENIALS.forget(gone)
    SESSIONS.forget(gone)
    for counts in (DROPPED, SHADOW_DENIALS, *BLOCKED_REQUESTS.values()):
        counts.forget(gone)


def _policies(snapshot: Snapshot, proxy: str) -> set[str]:
    """Return the policies of a proxy by their identities."""
    return {policy.identity for policy in snapshot.proxies[proxy].policies.values()}
