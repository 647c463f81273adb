"""The operator's own metrics, in a registry of its own."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ostiary_core.version import __version__
from ostiary_operator.clock import Clock
from ostiary_operator.queue import Observed
from ostiary_operator.status.board import StatusBoard

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class _Watched(Protocol):
    """Something that shows the queue's worker."""

    observed: Observed


class Metrics:
    """What is counted and measured. Labels hold kinds and outcomes, never names of resources."""

    def __init__(self, clock: Clock) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        self._stages = Histogram(
            "ostiary_operator_stage_duration_seconds",
            "Seconds in one station of a pass",
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
        self._resources = Gauge(
            "ostiary_operator_resources", "Resources by kind and readiness", ["kind", "ready"], registry=self.registry
        )
        self._replicas = Gauge(
            "ostiary_operator_gateway_replicas",
            "Ready replicas of a gateway, and those that run its newest config",
            ["gateway", "state"],
            registry=self.registry,
        )
        build = Gauge("ostiary_operator_build_info", "Version of the operator", ["version"], registry=self.registry)
        build.labels(__version__).set(1)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a station."""
        began = self._clock.monotonic()
        try:
            yield
        finally:
            self._stages.labels(name).observe(self._clock.monotonic() - began)

    def wrote(self, kind: str, outcome: str) -> None:
        """Count a write."""
        self._writes.labels(kind, outcome).inc()

    def observe(self, board: StatusBoard) -> None:
        """Take over the numbers of a board."""
        self._resources.clear()
        for (kind, ready), number in board.readiness.items():
            self._resources.labels(kind, ready).set(number)
        self._replicas.clear()
        for identity, watch in board.watches.items():
            revision = watch.manifest.revision if watch.manifest is not None else 0
            runs = [s for s in watch.states.values() if s.report is not None and s.report.revision >= revision]
            self._replicas.labels(identity, "ready").set(len(watch.states))
            self._replicas.labels(identity, "current").set(len(runs))

    def show_queue(self, queue: _Watched) -> None:
        """Show the queue's worker, read at each scrape."""
        self.registry.register(_QueueCollector(lambda: queue.observed))


class _QueueCollector(Collector):
    def __init__(self, read: Callable[[], Observed]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        observed = self._read()
        passes = CounterMetricFamily("ostiary_operator_passes", "Passes by outcome", labels=["outcome"])
        for outcome, number in observed.passes.items():
            passes.add_metric([outcome], number)
        yield passes
        pokes = CounterMetricFamily("ostiary_operator_pokes", "What asked for a pass", labels=["reason"])
        for reason, number in observed.pokes.items():
            pokes.add_metric([reason], number)
        yield pokes
        yield CounterMetricFamily("ostiary_operator_pass_seconds", "Seconds spent in passes", value=observed.seconds)
        if observed.last_success is not None:
            yield GaugeMetricFamily(
                "ostiary_operator_last_success_timestamp_seconds",
                "When a pass last succeeded",
                value=observed.last_success,
            )
