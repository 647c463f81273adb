"""Reports changes that weaken protection, in the log and as Events.

A namespace may change thousands of objects at once, so what is reported of one is limited. No kind of change can hide
others: each reason has its turn, and what is left is counted by reason.
"""

import collections
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from ostiary_operator.compile.model import DiscoveredGateway
from ostiary_operator.compile.weakening import MORE, Weakening
from ostiary_operator.kube.kinds import OURS, SERVICE
from ostiary_operator.status.events import EventRecord, EventRecorder

_log = logging.getLogger(__name__)
#: The most changes of one namespace that a pass reports one by one.
_OF_ONE_NAMESPACE: Final = 40
_API_VERSION: Final = OURS[0].api_version


class WeakeningEvents:
    """Reports what the configs of one pass weaken."""

    def __init__(self, events: EventRecorder) -> None:
        self._events = events

    def report(self, found: Mapping[Weakening, DiscoveredGateway], *, change_trace: str = "") -> None:
        """Report each change once, although every gateway gets it; the gateway is one of those.

        ``change_trace`` is the id of the pass's trace; "" if it is not recorded.
        """
        by_namespace: dict[str, list[Weakening]] = {}
        for weakening in found:
            by_namespace.setdefault(weakening.namespace, []).append(weakening)
        for changes in by_namespace.values():
            mixed = list(_mixed(changes))
            for weakening in mixed[:_OF_ONE_NAMESPACE]:
                regarding = _regarding(weakening, found[weakening])
                self._report(EventRecord(regarding, weakening.reason, weakening.message, True, change_trace))
            rest = mixed[_OF_ONE_NAMESPACE:]
            if rest:
                regarding = _regarding(rest[0], found[rest[0]])
                self._report(EventRecord(regarding, MORE, _summary(rest), True, change_trace))

    def _report(self, event: EventRecord) -> None:
        self._events.record(event)
        where = event.regarding
        _log.warning("%s %s/%s: %s: %s", where["kind"], where["namespace"], where["name"], event.reason, event.note)


def _mixed(changes: Iterable[Weakening]) -> Iterator[Weakening]:
    """Yield the first change of each reason, then the second of each, and so on."""
    by_reason: dict[str, collections.deque[Weakening]] = {}
    for weakening in changes:
        by_reason.setdefault(weakening.reason, collections.deque()).append(weakening)
    while by_reason:
        for reason, queue in list(by_reason.items()):
            yield queue.popleft()
            if not queue:
                del by_reason[reason]


def _summary(changes: Iterable[Weakening]) -> str:
    counts = collections.Counter(weakening.reason for weakening in changes)
    named = ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()))
    return f"{counts.total()} more changes of this namespace weaken protection: {named}"


def _regarding(weakening: Weakening, gateway: DiscoveredGateway) -> dict[str, Any]:
    """Return the object of an Event; that of a gateway is its Service."""
    if weakening.kind:
        named = (_API_VERSION, weakening.kind, weakening.namespace, weakening.name, weakening.uid)
    else:
        named = (SERVICE.api_version, SERVICE.name, gateway.namespace, gateway.service, gateway.uid)
    return dict(zip(("apiVersion", "kind", "namespace", "name", "uid"), named, strict=True))
