"""A local cluster whose processes send their spans to a sink."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from otlp_sink import Sink

from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.cluster.stack import EXAMPLE


@contextmanager
def traced_cluster(directory: Path, sink: Sink, *processes: str) -> Iterator[LocalCluster]:
    """Run a cluster with the example; these processes trace, such as ``operator``, ``gateway`` and ``mock-server``."""
    tracing = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}
    with LocalCluster(directory, env=dict.fromkeys(processes, tracing)) as running:
        running.apply(EXAMPLE)
        running.wait_until_ready()
        yield running
