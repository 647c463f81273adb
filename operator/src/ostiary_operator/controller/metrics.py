"""The operator's metrics, in a registry of their own.

Of resources, labels name only gateways.
"""

import contextlib
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ostiary_core.metric_export.periodic_export import PeriodicMetricExport
from ostiary_core.metric_family import MetricFamily, MetricKind
from ostiary_core.version import __version__
from ostiary_operator.clock import Clock
from ostiary_operator.controller.leader_election import LeaderElector
from ostiary_operator.controller.namespace_ownership import NamespaceOwnership
from ostiary_operator.controller.queue import WorkQueue
from ostiary_operator.status.publisher import StatusPublisher

BUILD: Final = MetricFamily(
    "ostiary_operator_build_info", "Version of the operator, with the value 1", labels=("version",)
)
STAGES: Final = MetricFamily(
    "ostiary_operator_stage_duration_seconds",
    "Seconds in one stage of a pass",
    MetricKind.HISTOGRAM,
    labels=("stage",),
    boundaries=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
WRITES: Final = MetricFamily(
    "ostiary_operator_writes",
    "Requests that write, by kind and outcome",
    MetricKind.COUNTER,
    labels=("kind", "outcome"),
)
LEADER: Final = MetricFamily("ostiary_operator_leader", "1 where this replica leads")
REFUSED: Final = MetricFamily(
    "ostiary_operator_namespaces_refused", "Namespaces that are not served because another operator serves them"
)
RESOURCES: Final = MetricFamily(
    "ostiary_operator_resources", "Resources by kind and readiness", labels=("kind", "ready")
)
OUTSTANDING: Final = MetricFamily(
    "ostiary_operator_statuses_outstanding", "Resources that do not have the status that they should have"
)
REPLICAS: Final = MetricFamily(
    "ostiary_operator_gateway_replicas",
    "Ready replicas of a gateway, and those that run its newest config",
    labels=("gateway", "state"),
)
PASSES: Final = MetricFamily("ostiary_operator_passes", "Passes by outcome", MetricKind.COUNTER, labels=("outcome",))
REQUESTS: Final = MetricFamily(
    "ostiary_operator_pokes", "What asked for a pass", MetricKind.COUNTER, labels=("reason",)
)
PASS_SECONDS: Final = MetricFamily("ostiary_operator_pass_seconds", "Seconds spent in passes", MetricKind.COUNTER)
LAST_SUCCESS: Final = MetricFamily(
    "ostiary_operator_last_success_timestamp_seconds", "When a pass last succeeded, in seconds since the epoch"
)

EXPORTS: Final = MetricFamily(
    "ostiary_operator_otlp_metric_exports", "Exports of metrics that the collector accepted", MetricKind.COUNTER
)
EXPORT_FAILURES: Final = MetricFamily(
    "ostiary_operator_otlp_export_failures",
    "Exports of metrics that did not reach the collector; the next export repeats the figures",
    MetricKind.COUNTER,
)


class OperatorMetrics:
    """Counts and measures passes and writes. Labels never contain names of resources."""

    def __init__(self, clock: Clock) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        self._stages = Histogram(
            STAGES.name, STAGES.text, STAGES.labels, buckets=STAGES.boundaries, registry=self.registry
        )
        self._writes = Counter(WRITES.name, WRITES.text, WRITES.labels, registry=self.registry)
        self.registry.register(_BuildCollector())
        ProcessCollector(registry=self.registry)

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


class ExportCollector(Collector):
    """What was exported over OTLP, and what was not."""

    def __init__(self, export: PeriodicMetricExport) -> None:
        self._export = export

    def collect(self) -> Iterator[Metric]:
        """Yield the counts of this moment."""
        yield EXPORTS.value(self._export.stats.exports)
        yield EXPORT_FAILURES.value(self._export.stats.failures)


class _BuildCollector(Collector):
    def collect(self) -> Iterator[Metric]:
        yield BUILD.values({(__version__,): 1})


class _RightsCollector(Collector):
    def __init__(self, claims: NamespaceOwnership | None, election: LeaderElector | None) -> None:
        self._claims = claims
        self._election = election

    def collect(self) -> Iterator[Metric]:
        if self._election is not None:
            yield LEADER.value(self._election.leads())
        if self._claims is not None:
            yield REFUSED.value(len(self._claims.refused))


class _StatusCollector(Collector):
    def __init__(self, publisher: StatusPublisher) -> None:
        self._publisher = publisher

    def collect(self) -> Iterator[Metric]:
        yield RESOURCES.values(self._publisher.readiness)
        yield OUTSTANDING.value(self._publisher.outstanding)
        gateways = self._publisher.gateway_states.items()
        ready = {(identity, "ready"): len(gateway.states) for identity, gateway in gateways}
        yield REPLICAS.values(ready | {(identity, "current"): gateway.current() for identity, gateway in gateways})


class _QueueCollector(Collector):
    def __init__(self, queue: WorkQueue) -> None:
        self._queue = queue

    def collect(self) -> Iterator[Metric]:
        observed = self._queue.observed
        yield PASSES.values({(outcome,): number for outcome, number in observed.passes.items()})
        yield REQUESTS.values({(reason,): number for reason, number in observed.requests.items()})
        yield PASS_SECONDS.value(observed.seconds)
        if observed.last_success is not None:
            yield LAST_SUCCESS.value(observed.last_success)
