"""Metric families: what is declared once is what a scrape shows."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric

from ostiary_core.metric_family import MetricFamily, MetricKind

LOADS = MetricFamily("loads", "Configs put into force", MetricKind.COUNTER)
REFUSED = MetricFamily("refused", "Refusals", MetricKind.COUNTER, labels=("scope", "bound"))


class Scraped:
    def __init__(self, *metrics: Metric) -> None:
        self.metrics = metrics

    def collect(self) -> tuple[Metric, ...]:
        return self.metrics


def shown(*metrics: Metric) -> list[str]:
    registry = CollectorRegistry()
    registry.register(Scraped(*metrics))
    return generate_latest(registry).decode().splitlines()


def test_a_counter_ends_in_total_and_has_its_help() -> None:
    assert shown(LOADS.value(3)) == [
        "# HELP loads_total Configs put into force",
        "# TYPE loads_total counter",
        "loads_total 3.0",
    ]


def test_a_label_without_a_value_is_absent() -> None:
    lines = shown(REFUSED.values({("gateway", "streams"): 2, ("gateway", ""): 1}))

    assert lines[2:] == ['refused_total{bound="streams",scope="gateway"} 2.0', 'refused_total{scope="gateway"} 1.0']


def test_a_family_without_samples_is_still_named() -> None:
    assert shown(REFUSED.values({}))[1] == "# TYPE refused_total counter"
