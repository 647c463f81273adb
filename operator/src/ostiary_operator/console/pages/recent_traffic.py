"""Calls and errors of proxies in the last quarter of an hour.

Pages show them next to other things. They are the numbers of `/traffic` in its shortest range.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from ostiary_operator.console.access.rights import Right
from ostiary_operator.console.page import PageContext
from ostiary_operator.view.evidence.proxy_scope import ProxyScope, TrafficPart, TrafficQuery

#: The range ``15m`` of `/traffic`, so that a number is the same there.
_SECONDS: Final = 900


@dataclass(frozen=True, slots=True)
class RecentTraffic:
    """Calls, errors and denials of one proxy in the last quarter of an hour."""

    calls: int
    errors: int
    denied: int


@dataclass(frozen=True, slots=True)
class KnownTraffic:
    """What is known of the traffic of some proxies (``namespace/name``).

    A proxy that is not in it has none that the viewer may see, or that is known. ``missing`` says which replicas did
    not answer, empty if all did.
    """

    of: Mapping[str, RecentTraffic]
    missing: str = ""


async def recent_traffic(context: PageContext, proxies: Collection[str]) -> KnownTraffic:
    """Return the traffic of those proxies of which the viewer may see it."""
    allowed = await context.rights.visible(Right.EVIDENCE, sorted(proxies))
    if not allowed:
        return KnownTraffic({})
    wanted = TrafficQuery(ProxyScope.of(allowed), _SECONDS, (TrafficPart.TOTAL,))
    found = await context.sources.evidence.traffic(wanted)
    # Where a gateway records nothing, a proxy without counts may have traffic.
    known = dict.fromkeys(allowed, RecentTraffic(0, 0, 0)) if found.answered and found.recording else {}
    for name, traffic in found.value.items():
        whole = traffic.sum_of_range
        if whole is not None and name in allowed:
            known[name] = RecentTraffic(whole.calls, whole.errors, whole.denied)
    return KnownTraffic(known, ". ".join(filter(None, [found.sentence(), found.unrecorded()])))
