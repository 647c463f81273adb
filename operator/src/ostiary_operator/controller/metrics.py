"""The operator's Prometheus metrics, in a registry of their own."""

import contextlib
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ostiary_core.version import __version__
from ostiary_operator.clock import Clock
from ostiary_operator.controller.leader_election import LeaderElector
from ostiary_operator.controller.namespace_ownership import NamespaceOwnership
from ostiary_operator.controller.queue import WorkQueue
from ostiary_operator.status.publisher import StatusPublisher

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class OperatorMetrics:
    """Counts and measures passes and writes. Labels never contain names of resources."""

    def __init__(self, clock: Clock) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        self._stages = Histogram(
            "ostiary_operator_stage_duration_seconds",
            "Seconds in one stage of a pass",
            ["stage"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._writes = Counter(
            "ostiary_operator_writes",
            "Requests that write, by kind and outcome",
            ["kind", "outcome"],
            registry=self.registry,
        )
        build = Gauge("ostiary_operator_build_info", "Version of the operator", ["version"], registry=self.registry)
        build.labels(__version__).set(1)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a stage of a pass."""
        began = self._clock.monotonic()
        try:
            yield
        finally:
            self._stages.labels(name).observe(self._clock.monotonic() - began)

    def wrote(self, kind: str, outcome: str) -> None:
        """Count a write."""
        self._writes.labels(kind, outcome).inc()

    def show(
        self,
        queue: WorkQueue,
        publisher: StatusPublisher,
        claims: NamespaceOwnership | None,
        election: LeaderElector | None,
    ) -> None:
        """Export the state of queue, statuses, ownership and election at each scrape."""
        self.registry.register(_QueueCollector(queue))
        self.registry.register(_StatusCollector(publisher))
        self.registry.register(_RightsCollector(claims, election))


class _RightsCollector(Collector):
    def __init__(self, claims: NamespaceOwnership | None, election: LeaderElector | None) -> None:
        self._claims = claims
        self._election = election

    def collect(self) -> Iterator[Metric]:
        if self._election is not None:
            yield GaugeMetricFamily(
                "ostiary_operator_leader", "1 where this replica leads", value=float(self._election.leads())
            )
        if self._claims is not None:
            yield GaugeMetricFamily(
                "ostiary_operator_namespaces_refused",
                "Namespaces that are not served because another operator serves them",
                value=len(self._claims.refused),
            )


class _StatusCollector(Collector):
    def __init__(self, publisher: StatusPublisher) -> None:
        self._publisher = publisher

    def collect(self) -> Iterator[Metric]:
        resources = GaugeMetricFamily(
            "ostiary_operator_resources", "Resources by kind and readiness", labels=["kind", "ready"]
        )
        for (kind, ready), number in self._publisher.readiness.items():
            resources.add_metric([kind, ready], number)
        yield resources
        yield GaugeMetricFamily(
            "ostiary_operator_statuses_outstanding",
            "Resources that do not have the status that they should have",
            value=self._publisher.outstanding,
        )
        replicas = GaugeMetricFamily(
            "ostiary_operator_gateway_replicas",
            "Ready replicas of a gateway, and those that run its newest config",
            labels=["gateway", "state"],
        )
        for identity, gateway in self._publisher.gateway_states.items():
            replicas.add_metric([identity, "ready"], len(gateway.states))
            replicas.add_metric([identity, "current"], gateway.current())
        yield replicas


class _QueueCollector(Collector):
    def __init__(self, queue: WorkQueue) -> None:
        self._queue = queue

    def collect(self) -> Iterator[Metric]:
        observed = self._queue.observed
        passes = CounterMetricFamily("ostiary_operator_passes", "Passes by outcome", labels=["outcome"])
        for outcome, number in observed.passes.items():
            passes.add_metric([outcome], number)
        yield passes
        requests = CounterMetricFamily("ostiary_operator_pokes", "What asked for a pass", labels=["reason"])
        for reason, number in observed.requests.items():
            requests.add_metric([reason], number)
        yield requests
        yield CounterMetricFamily("ostiary_operator_pass_seconds", "Seconds spent in passes", value=observed.seconds)
        if observed.last_success is not None:
            yield GaugeMetricFamily(
                "ostiary_operator_last_success_timestamp_seconds",
                "When a pass last succeeded",
                value=observed.last_success,
            )
