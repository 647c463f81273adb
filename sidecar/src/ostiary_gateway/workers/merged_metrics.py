"""The text of a scrape for all workers, made of the texts of each.

Counters and histograms are added up, and so is most of what is a state: connections, requests in flight, waiting spans.
What every worker says of the same thing, such as the revision of the config, is not: the table below says how it is
joined. Totals of workers that have ended stay in the sums, as they were at the last scrape: otherwise each end of a
worker would look like a restart of the whole gateway, and rates would count everything again.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

#: A line with a sample: its name and labels, its value, and perhaps an exemplar. Label values may hold anything.
_SAMPLE: Final = re.compile(r'([A-Za-z_:][\w:]*(?:\{(?:[^"{}]|"(?:[^"\\]|\\.)*")*\})?) (\S+)( # \{.*)?')
_HEADER: Final = re.compile(r"# (HELP|TYPE|UNIT) (\S+) ?(.*)")
_END: Final = "# EOF"
#: Families that are no sums, by the names that queries use.
_LARGEST: Final = frozenset(
    {
        "ostiary_build_info",
        "ostiary_catalogue_items",
        "ostiary_catalogue_items_dropped",
        "ostiary_certificate_rejected",
        "ostiary_config_entry_rejected",
        "ostiary_config_info",
        "ostiary_config_proxies",
        "ostiary_config_rejected",
        "ostiary_debug_capture_end_timestamp_seconds",
        "ostiary_limit_keys",
        "ostiary_limit_store_keys",
        "ostiary_upstream_circuit_open",
        "ostiary_upstream_endpoints",
        "ostiary_upstream_info",
        "ostiary_upstream_known_names",
        "python_info",
    }
)
_SMALLEST: Final = frozenset(
    {
        "ostiary_audit_sink_up",
        "ostiary_certificate_expiry_timestamp_seconds",
        "ostiary_config_revision",
        "ostiary_limit_store_ready",
        "ostiary_upstream_up",
        "process_max_fds",
        "process_start_time_seconds",
    }
)
_TOTALS: Final = frozenset({"counter", "histogram", "summary"})
#: Series of ended workers that are kept.
_MOST_KEPT: Final = 100_000


@dataclass(slots=True)
class ScrapedFamily:
    """One family: its lines of description, its kind, its samples and their exemplars."""

    kind: str = "unknown"
    head: list[str] = field(default_factory=list)
    samples: dict[str, float] = field(default_factory=dict)
    exemplars: dict[str, str] = field(default_factory=dict)


Scrape = dict[str, ScrapedFamily]
"""The families of a text by name, in their order; counters without ``_total``."""


def read_scrape(text: str) -> Scrape:
    """Return the families of a text in Prometheus' format or OpenMetrics'.

    Lines that are none of it are left out.
    """
    families: Scrape = {}
    family = ScrapedFamily()
    for line in text.split("\n"):  # splitlines would end a line at other characters of a label, too
        if line.startswith("#"):
            found = _HEADER.fullmatch(line)
            if found is not None:
                family = families.setdefault(found[2].removesuffix("_total"), ScrapedFamily())
                family.head.append(line)
                family.kind = found[3] if found[1] == "TYPE" else family.kind
        elif (sample := _SAMPLE.fullmatch(line)) is not None:
            family.samples[sample[1]] = float(sample[2])
            if sample[3]:
                family.exemplars[sample[1]] = sample[3]
    return families


def joined_scrapes(scrapes: Iterable[Scrape]) -> Scrape:
    """Return what several workers said as one."""
    joined: Scrape = {}
    for scrape in scrapes:
        for name, family in scrape.items():
            into = joined.get(name)
            if into is None:
                into = joined[name] = ScrapedFamily(family.kind, family.head)
            _add(into.samples, family.samples, _rule(name))
            into.exemplars.update(family.exemplars)
    return joined


def _rule(name: str) -> Callable[[float, float], float]:
    if name in _LARGEST:
        return max
    return min if name in _SMALLEST else float.__add__


def _add(into: dict[str, float], samples: Mapping[str, float], rule: Callable[[float, float], float]) -> None:
    for key, value in samples.items():
        before = into.get(key)
        into[key] = value if before is None else rule(before, value)


def scrape_text(scrape: Scrape, *, is_open: bool) -> str:
    """Return families as text; ``is_open`` in OpenMetrics' format."""
    lines: list[str] = []
    for family in scrape.values():
        lines += family.head
        exemplars = family.exemplars
        lines += [f"{key} {_number(value)}{exemplars.get(key, '')}" for key, value in family.samples.items()]
    if is_open:
        lines.append(_END)
    return "\n".join([*lines, ""])


def _number(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124  only NaN differs from itself
        return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"  # noqa: PLR0124
    return repr(value)


class WorkerTotals:
    """What workers have counted, those that have ended too."""

    def __init__(self) -> None:
        self._last: dict[int, Scrape] = {}
        self._ended: Scrape = {}

    def take(self, index: int, scrape: Scrape) -> None:
        """Note what a worker said last."""
        self._last[index] = totals_of(scrape)

    def worker_ended(self, index: int) -> None:
        """Keep what a worker had counted when it was last asked; its replacement begins at zero."""
        last = self._last.pop(index, None)
        if last is None:
            return
        self._ended = joined_scrapes((self._ended, last))
        kept = 0
        for family in self._ended.values():
            kept += len(family.samples)
            if kept > _MOST_KEPT:
                family.samples.clear()

    def parts(self, found: Mapping[int, Scrape], indexes: Sequence[int]) -> tuple[Scrape, ...]:
        """Return what is to be joined: what the workers of ``indexes`` said, which is in ``found``.

        One that did not answer now, and is not among ``found``, counts with its last totals: they do not shrink. What
        is returned stays as it is when a worker ends meanwhile, which would be counted twice otherwise.
        """
        living = [found.get(index) or self._last.get(index, {}) for index in indexes]
        return (*living, self._ended)


def totals_of(scrape: Scrape) -> Scrape:
    """Return the families that only grow, without exemplars."""
    return {
        name: ScrapedFamily(family.kind, family.head, family.samples)
        for name, family in scrape.items()
        if family.kind in _TOTALS
    }
