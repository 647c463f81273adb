"""The text of a scrape, in Prometheus' format or OpenMetrics' (with exemplars).

Histograms have nearly all the lines, and are written here: the client library needs twenty times as long for them. The
writing thread gives up the interpreter's lock every few hundred lines, so that requests do not wait for a scrape.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, chain
from time import sleep
from typing import Final

from prometheus_client.core import Exemplar, Metric
from prometheus_client.exposition import choose_encoder

from ostiary_core.metric_family import Families
from ostiary_gateway.metrics.histogram import Series, SeriesHistogram

#: The series that are written before other threads get their turn.
_AT_ONCE: Final = 32
_OPEN_METRICS: Final = "application/openmetrics-text"
_END: Final = b"# EOF\n"


class Exposition:
    """Writes the histograms and all other families of one process."""

    def __init__(
        self, collect: Callable[[], Iterable[Metric]], histograms: Callable[[], Iterable[SeriesHistogram]]
    ) -> None:
        self._collect = collect
        self._histograms = histograms

    def __call__(self, accept: str) -> tuple[bytes, str]:
        """Return the text of a scrape and its content type, as a client's Accept header wants it.

        It takes long with many series: call it in a thread.
        """
        encode, content_type = choose_encoder(accept)
        is_open = content_type.startswith(_OPEN_METRICS)
        written = encode(Families(self._collect())).removesuffix(_END)
        lines = chain.from_iterable(_lines(histogram, with_exemplars=is_open) for histogram in self._histograms())
        return b"".join((written, "".join(lines).encode(), _END if is_open else b"")), content_type


def _lines(histogram: SeriesHistogram, *, with_exemplars: bool) -> Iterator[str]:
    """Yield one piece of text a series."""
    family = histogram.family
    yield f"# HELP {family.name} {_escaped(family.text)}\n# TYPE {family.name} histogram\n"
    for number, (values, series) in enumerate(histogram.items()):
        if number % _AT_ONCE == 0:
            sleep(0)
        labels = ",".join([f'{label}="{_escaped(value)}"' for label, value in family.labelled(values).items()])
        yield _series(family.name, labels, histogram.bounds, series, with_exemplars=with_exemplars)


def _series(name: str, labels: str, bounds: tuple[str, ...], series: Series, *, with_exemplars: bool) -> str:
    totals = list(accumulate(series.counts))
    prefix = f'{name}_bucket{{{labels}{"," if labels else ""}le="'
    if with_exemplars and series.has_exemplars:
        found = [
            f'{prefix}{bound}"}} {total}{_exemplar(series.exemplar(place))}\n'
            for place, (bound, total) in enumerate(zip(bounds, totals, strict=True))
        ]
    else:
        found = [f'{prefix}{bound}"}} {total}\n' for bound, total in zip(bounds, totals, strict=True)]
    suffix = f"{{{labels}}}" if labels else ""
    found.append(f"{name}_count{suffix} {totals[-1]}\n{name}_sum{suffix} {series.total}\n")
    return "".join(found)


def _exemplar(found: Exemplar | None) -> str:
    if found is None:
        return ""
    labels = ",".join(f'{label}="{value}"' for label, value in found.labels.items())
    return f" # {{{labels}}} {found.value} {found.timestamp}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
