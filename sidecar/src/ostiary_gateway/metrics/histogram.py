"""Histograms that one event loop counts, with exemplars of sampled traces.

The client library's own histogram takes a lock and searches its buckets for each observation. Here nothing is locked: a
scrape in another thread may miss the observation in progress.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence, Set
from itertools import accumulate, count, repeat
from typing import Final

from prometheus_client.core import Exemplar, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from ostiary_core.metric_family import MetricFamily

#: A trace of a request in a bucket: its ids, its value, and when it was counted (seconds since the epoch).
Example = tuple[str, str, float, float]
_NONE: Final[dict[int, Example]] = {}


class Series:
    """The counts of one combination of label values."""

    __slots__ = ("_boundaries", "_examples", "counts", "total")

    def __init__(self, boundaries: tuple[float, ...]) -> None:
        self._boundaries = boundaries
        self._examples = _NONE
        #: Observations in each bucket; the last one has no upper bound.
        self.counts = [0] * (len(boundaries) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one observation."""
        self.add_all((value,))

    def add_all(self, values: Sequence[float]) -> None:
        """Count observations."""
        counts = self.counts
        for bucket in map(bisect_left, repeat(self._boundaries), values):
            counts[bucket] += 1
        self.total = sum(values, self.total)

    def exemplify(self, values: Sequence[float], example: Callable[[int], Example]) -> None:
        """Keep traces of observations, which are counted, too: of each bucket that of the last one.

        ``example`` returns the trace of an observation, by its place among the ``values``.
        """
        if self._examples is _NONE:
            self._examples = {}
        last = dict(zip(map(bisect_left, repeat(self._boundaries), values), count(), strict=False))
        for bucket, place in last.items():
            self._examples[bucket] = example(place)

    @property
    def has_exemplars(self) -> bool:
        """Whether any observation was traced."""
        return bool(self._examples)

    def exemplar(self, bucket: int) -> Exemplar | None:
        """Return the last traced observation of a bucket, if there is one."""
        found = self._examples.get(bucket)
        if found is None:
            return None
        trace_id, span_id, value, at = found
        return Exemplar({"trace_id": trace_id, "span_id": span_id}, value, at)


class SeriesHistogram(Collector):
    """A histogram with labels."""

    def __init__(self, family: MetricFamily) -> None:
        self.family = family
        #: The upper bounds of the buckets as text, with infinity.
        self.bounds = (*map(floatToGoString, family.boundaries), "+Inf")
        self._series: dict[tuple[str, ...], Series] = {}

    def series(self, *labels: str) -> Series:
        """Return the series of these label values."""
        found = self._series.get(labels)
        if found is None:
            found = self._series[labels] = Series(self.family.boundaries)
        return found

    def items(self) -> list[tuple[tuple[str, ...], Series]]:
        """Return the series by their label values, as they are now."""
        return list(self._series.items())

    def __len__(self) -> int:
        """Return the number of series."""
        return len(self._series)

    def forget(self, label: str, values: Set[str]) -> None:
        """Remove the series with these values of a label."""
        place = self.family.labels.index(label)
        for labels in [labels for labels in self._series if labels[place] in values]:
            del self._series[labels]

    def collect(self) -> Iterator[Metric]:
        """Yield the series for a scrape."""
        family, name = self.family.empty(), self.family.name
        for values, series in self.items():
            labels, totals = self.family.labelled(values), list(accumulate(series.counts))
            for bucket, (bound, total) in enumerate(zip(self.bounds, totals, strict=True)):
                family.add_sample(f"{name}_bucket", {**labels, "le": bound}, total, exemplar=series.exemplar(bucket))
            family.add_sample(f"{name}_count", labels, totals[-1])
            family.add_sample(f"{name}_sum", labels, series.total)
        yield family
