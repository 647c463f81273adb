"""The text of a scrape says what the client library would say, and Prometheus reads the same from it."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Exemplar, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_metrics
from prometheus_client.registry import Collector

from ostiary_core.metric_family import MetricFamily, MetricKind
from ostiary_gateway.metrics.exposition import Exposition
from ostiary_gateway.metrics.histogram import SeriesHistogram

OPEN = "application/openmetrics-text;version=1.0.0"
FAMILY = MetricFamily(
    "d_seconds", 'Say "when"\nor \\ where', MetricKind.HISTOGRAM, ("tool", "proxy"), boundaries=(0.1, 1)
)
COUNTER = MetricFamily("calls", "Calls", MetricKind.COUNTER, labels=("tool",))


class Calls(Collector):
    def collect(self) -> Iterator[Metric]:
        yield COUNTER.values({("a",): 1, ("",): 2})


def histogram() -> SeriesHistogram:
    found = SeriesHistogram(FAMILY)
    for number in range(100):
        found.series(f"tool-{number}", "a/b").add(number / 20)
    found.series("", "").add(0.05)
    traced = found.series('q"u\\o', "ü")
    traced.add(0.5)
    traced.exemplify([0.5], lambda _: ("a" * 32, "b" * 16, 0.5, 1_790_000_000.5))
    return found


def samples(families: Iterable[Metric]) -> list[tuple[Any, ...]]:
    return sorted(
        (family.name, family.type, s.name, tuple(sorted(s.labels.items())), s.value, exemplar(s.exemplar))
        for family in families
        for s in family.samples
    )


def exemplar(found: Exemplar | None) -> tuple[Any, ...]:
    return () if found is None else (*sorted(found.labels.items()), found.value, str(found.timestamp))


@pytest.mark.parametrize("accept", ["", "*/*", "text/plain;version=0.0.4", OPEN, f"{OPEN},text/plain;q=0.1"])
def test_it_is_what_the_client_library_writes(accept: str) -> None:
    found = histogram()
    registry = CollectorRegistry()
    registry.register(Calls())
    text, content_type = Exposition(registry.collect, lambda: [found])(accept)
    registry.register(found)
    encode, expected_type = choose_encoder(accept)
    parse = open_metrics if "openmetrics" in content_type else plain_metrics

    assert content_type == expected_type
    assert samples(parse(text.decode())) == samples(parse(encode(registry).decode()))
    assert text.endswith(b"# EOF\n") == ("openmetrics" in content_type)


def test_only_open_metrics_has_exemplars() -> None:
    exposition = Exposition(CollectorRegistry().collect, lambda: [histogram()])
    plain, _ = exposition("")
    with_exemplars, _ = exposition(OPEN)
    traced = b' # {trace_id="' + b"a" * 32 + b'",span_id="' + b"b" * 16 + b'"} 0.5 '

    assert traced not in plain
    assert with_exemplars.count(traced) == 1
