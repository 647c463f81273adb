"""The audit trail: records written, waiting, dropped, and the state of its sinks."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ostiary_core.metric_family import MetricFamily, MetricKind
from ostiary_gateway.audit.auditor import Auditor

ACCEPTED: Final = MetricFamily(
    "ostiary_audit_records", "Audit records that were made or wait to be made", MetricKind.COUNTER
)
DROPPED: Final = MetricFamily(
    "ostiary_audit_dropped", "Audit records that were dropped because the queue was full", MetricKind.COUNTER
)
COUNTED: Final = MetricFamily(
    "ostiary_audit_counted",
    "Refusals of callers without a credential that were only counted in the audit trail, since there were too many",
    MetricKind.COUNTER,
)
WAITING: Final = MetricFamily("ostiary_audit_queue_records", "Audit records in the queue")
CAPACITY: Final = MetricFamily("ostiary_audit_queue_capacity", "Audit records that the queue can hold")
WRITTEN: Final = MetricFamily(
    "ostiary_audit_sink_records", "Lines of the audit trail that a sink took", MetricKind.COUNTER, labels=("sink",)
)
LOST: Final = MetricFamily(
    "ostiary_audit_sink_lost", "Lines of the audit trail that a copy lost", MetricKind.COUNTER, labels=("sink",)
)
UP: Final = MetricFamily(
    "ostiary_audit_sink_up", "Whether a sink takes lines of the audit trail: 1 or 0", labels=("sink",)
)


class AuditState(Collector):
    """The figures of this process; none before its audit is on."""

    def __init__(self, auditor: Auditor) -> None:
        self._auditor = auditor

    def collect(self) -> Iterator[Metric]:
        """Yield the figures of this moment."""
        writer, queue = self._auditor.writer, self._auditor.queue
        if writer is None:
            return
        yield ACCEPTED.value(queue.accepted)
        yield DROPPED.value(queue.dropped)
        yield COUNTED.value(self._auditor.floods.counted)
        yield WAITING.value(len(queue))
        yield CAPACITY.value(queue.capacity)
        sinks = {(each.sink.name,): each for each in writer.trail.deliveries}
        yield WRITTEN.values({name: each.written for name, each in sinks.items()})
        yield LOST.values({name: each.sink.lost for name, each in sinks.items()})
        yield UP.values({name: each.fault is None and each.sink.fault is None for name, each in sinks.items()})
