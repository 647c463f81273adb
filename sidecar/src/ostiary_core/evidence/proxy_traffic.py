"""The traffic of one proxy, that of several replicas joined, and the document of all."""

from collections.abc import Iterable
from typing import Annotated, TypeAlias

from pydantic import Field

from ostiary_core.evidence.document import MOST_PROXIES, EpochMilliseconds, EvidenceDocument, EvidencePart, Identity
from ostiary_core.evidence.name_use import NameUses, joined_uses
from ostiary_core.evidence.traffic_window import (
    QUARTER_SECONDS,
    QUARTERS,
    SLOT_SECONDS,
    SLOTS,
    TrafficWindow,
    joined_by_start,
    total,
    window_start,
)

#: One more than is kept: the window that goes on.
_Slots: TypeAlias = Annotated[tuple[TrafficWindow, ...], Field(max_length=SLOTS + 1, strict=False)]
_Quarters: TypeAlias = Annotated[tuple[TrafficWindow, ...], Field(max_length=QUARTERS + 1, strict=False)]


class ProxyTraffic(EvidencePart):
    """What was counted of one proxy ``since`` a time.

    Windows are oldest first, and those without requests are omitted.

    ``slots`` are windows of ten seconds of the last fifteen minutes, ``quarters`` of the last day; the same request is
    in both. ``recentNames`` were used in this and the last quarter of an hour, ``names`` in this and the last half day.
    ``total`` is the sum of the range that was asked for, where it was. ``proxy`` is empty for requests that no proxy
    serves, and where an answer is the sum of several.
    """

    proxy: Identity
    since: EpochMilliseconds
    slots: _Slots = ()
    quarters: _Quarters = ()
    names: NameUses | None = None
    recent_names: NameUses | None = None
    sum_of_range: Annotated[TrafficWindow | None, Field(alias="total")] = None

    def windows(self, *, now: int, seconds: int) -> tuple[TrafficWindow, ...]:
        """Return the windows of the last ``seconds``, and the one that goes on.

        They are slots up to fifteen minutes, else quarters of an hour: see :func:`resolution`. ``now`` is in epoch
        milliseconds.
        """
        length = resolution(seconds)
        begin = first_start(now=now, seconds=seconds)
        return tuple(each for each in (self.slots if length == SLOT_SECONDS else self.quarters) if each.at >= begin)

    def total(self, *, now: int, seconds: int) -> TrafficWindow:
        """Return the sum of :meth:`windows`."""
        return total(self.windows(now=now, seconds=seconds), at=first_start(now=now, seconds=seconds))


class TrafficDocument(EvidenceDocument):
    """What ``/evidence/traffic`` answers.

    ``next`` is set where there are more proxies: give it as ``after``.
    """

    proxies: Annotated[tuple[ProxyTraffic, ...], Field(max_length=MOST_PROXIES, strict=False)] = ()
    next: Identity | None = None


def resolution(seconds: int) -> int:
    """Return the length, in seconds, of the windows of a range of ``seconds``."""
    return SLOT_SECONDS if seconds <= SLOTS * SLOT_SECONDS else QUARTER_SECONDS


def first_start(*, now: int, seconds: int) -> int:
    """Return when the first window of a range begins, in epoch milliseconds.

    It is the window that holds the beginning of the range, so a range is longer than asked for by a part of a window.
    """
    return window_start(max(0, now - seconds * 1000), resolution(seconds))


def joined_traffic(found: Iterable[ProxyTraffic], *, proxy: str) -> ProxyTraffic:
    """Return the sum of the traffic of several replicas or proxies, as that of ``proxy``.

    Raises:
        ValueError: there is none to join.
    """
    parts = list(found)
    if not parts:
        raise ValueError("found: give the traffic of at least one replica")
    names = [part.names for part in parts if part.names is not None]
    totals = [part.sum_of_range for part in parts if part.sum_of_range is not None]
    recent = [part.recent_names for part in parts if part.recent_names is not None]
    return ProxyTraffic(
        proxy=proxy,
        since=min(part.since for part in parts),
        slots=joined_by_start(each for part in parts for each in part.slots)[-SLOTS - 1 :],
        quarters=joined_by_start(each for part in parts for each in part.quarters)[-QUARTERS - 1 :],
        names=joined_uses(names) if names else None,
        recent_names=joined_uses(recent) if recent else None,
        sum_of_range=total(totals, at=min(each.at for each in totals)) if totals else None,
    )
