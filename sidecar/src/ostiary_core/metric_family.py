"""Declarations of metric families, from which samples and the reference page are made.

Both planes declare each family once, as a constant of the module that collects it: name, help text and labels.

Example::

    LOADS = MetricFamily("ostiary_config_loads", "Configs put into force", MetricKind.COUNTER)
    REFUSED = MetricFamily("ostiary_bound_refusals", "Refusals", MetricKind.COUNTER, labels=("scope", "bound"))

    yield LOADS.value(store.loads)
    yield REFUSED.values({("gateway", "streams"): 3})
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

#: The samples of a gauge or counter by their label values, in the order of the family's labels.
LabelledValues = Mapping[tuple[str, ...], float]
_Labels = TypeVar("_Labels", bound=tuple[str, ...])


class MetricKind(StrEnum):
    """What a family counts: totals that only grow, states, or distributions."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


_FAMILIES: Final = {
    MetricKind.COUNTER: CounterMetricFamily,
    MetricKind.GAUGE: GaugeMetricFamily,
    MetricKind.HISTOGRAM: HistogramMetricFamily,
}


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """One family of metrics. ``name`` has no ``_total``; ``text`` is its help.

    An empty label value means that the label is absent from the sample (OpenMetrics treats both alike, and OTLP omits
    it). ``boundaries`` are the upper bounds of a histogram's buckets, without infinity.
    """

    name: str
    text: str
    kind: MetricKind = MetricKind.GAUGE
    labels: tuple[str, ...] = ()
    boundaries: tuple[float, ...] = ()

    @property
    def exposed_name(self) -> str:
        """The name by which queries find it: counters end in ``_total``."""
        return f"{self.name}_total" if self.kind is MetricKind.COUNTER else self.name

    def empty(self) -> Metric:
        """Return the family without samples."""
        family: Metric = _FAMILIES[self.kind](self.name, self.text)
        return family

    def value(self, number: float) -> Metric:
        """Return the family with its only sample."""
        return self.values({(): number})

    def values(self, numbers: Mapping[_Labels, float]) -> Metric:
        """Return the family with a sample for each combination of label values.

        The mapping may grow meanwhile in another thread: what is read is a copy.
        """
        family, name = self.empty(), self.exposed_name
        for values, number in list(numbers.items()):
            family.add_sample(name, self.labelled(values), float(number))
        return family

    def labelled(self, values: tuple[str, ...]) -> dict[str, str]:
        """Return the labels of a sample: those that have a value."""
        return {label: value for label, value in zip(self.labels, values, strict=True) if value}


class Families(Collector):
    """Families that are written by the client library."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Yield them."""
        return self._families
