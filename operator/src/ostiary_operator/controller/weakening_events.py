"""Reports changes that weaken protection, in the log and as Events."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from ostiary_operator.compile.model import DiscoveredGateway
from ostiary_operator.compile.weakening import Weakening
from ostiary_operator.kube.kinds import OURS, SERVICE
from ostiary_operator.status.events import EventRecord, EventRecorder

_log = logging.getLogger(__name__)
#: The most changes of one pass that the log names.
_LOGGED: Final = 20
_API_VERSION: Final = OURS[0].api_version


class WeakeningEvents:
    """Reports what the configs of one pass weaken."""

    def __init__(self, events: EventRecorder) -> None:
        self._events = events

    def report(self, found: Mapping[Weakening, DiscoveredGateway]) -> None:
        """Report each change once, although every gateway gets it; the gateway is one of those."""
        for number, (weakening, gateway) in enumerate(found.items()):
            regarding = _regarding(weakening, gateway)
            self._events.record(EventRecord(regarding, weakening.reason, weakening.message, warning=True))
            if number < _LOGGED:
                title = f"{regarding['kind']} {regarding['namespace']}/{regarding['name']}"
                _log.warning("%s: %s: %s", title, weakening.reason, weakening.message)
        if len(found) > _LOGGED:
            _log.warning("%d more changes weaken protection", len(found) - _LOGGED)


def _regarding(weakening: Weakening, gateway: DiscoveredGateway) -> dict[str, Any]:
    """Return the object of an Event; that of a gateway is its Service."""
    if weakening.kind:
        named = (_API_VERSION, weakening.kind, weakening.namespace, weakening.name, weakening.uid)
    else:
        named = (SERVICE.api_version, SERVICE.name, gateway.namespace, gateway.service, gateway.uid)
    return dict(zip(("apiVersion", "kind", "namespace", "name", "uid"), named, strict=True))
