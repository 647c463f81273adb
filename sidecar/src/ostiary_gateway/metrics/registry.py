"""The registry of one gateway process, and what requests report to it."""

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.config.store import ConfigStore
from ostiary_gateway.identity.authenticator import Outcomes
from ostiary_gateway.limits.limiter import Limiter
from ostiary_gateway.metrics.judged_requests import JudgedRequests
from ostiary_gateway.metrics.process_state import CertificateState, ProcessState
from ostiary_gateway.metrics.request_metrics import RequestMetrics
from ostiary_gateway.metrics.upstream_state import UpstreamState
from ostiary_gateway.server.certificate import Certificate
from ostiary_gateway.telemetry import Telemetry
from ostiary_gateway.telemetry.blocked_requests import BLOCKED_REQUESTS
from ostiary_gateway.telemetry.denials import ACCESS_DENIALS, SHADOW_DENIALS
from ostiary_gateway.telemetry.dropped_items import DROPPED
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
        self.registry = CollectorRegistry()
        self._requests = RequestMetrics()
        self.observe = self._requests.observe
        self.register(self._requests)
        self.register(ProcessState(store, limiter, telemetry))
        self.register(JudgedRequests(limiter, pools, authentications))
        self.register(UpstreamState(store))

    def register(self, collector: Collector) -> None:
        """Export the families of a collector at each scrape."""
        self.registry.register(collector)

    def show(self, certificate: Certificate) -> None:
        """Export the data port's certificate at each scrape, so that failing renewals are noticed."""
        self.register(CertificateState(certificate))

    def on_swap(self, snapshot: Snapshot, changed: frozenset[str]) -> None:
        """Remove the series of proxies that no longer exist; otherwise they would be kept for ever."""
        gone = changed - snapshot.proxies.keys()
        self._requests.on_swap(snapshot, changed)
        DROPPED.forget(gone)
        ACCESS_DENIALS.forget(gone)
        SHADOW_DENIALS.forget(gone)
        for counts in BLOCKED_REQUESTS.values():
            counts.forget(gone)
