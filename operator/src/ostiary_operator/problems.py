"""What is wrong with gateways, told once when it begins and once when it ends: in the log and as an Event."""

import logging
from collections.abc import Iterable, Mapping

from ostiary_operator.compile.model import DiscoveredGateway, GatewayProblem
from ostiary_operator.kube import gateways
from ostiary_operator.kube.kinds import SERVICE
from ostiary_operator.kube.listing import ClusterSnapshot
from ostiary_operator.status.events import EventRecord, EventRecorder

_log = logging.getLogger(__name__)


class GatewayProblems:
    """Remembers what was told."""

    def __init__(self, events: EventRecorder) -> None:
        self._events = events
        self._told: dict[str, tuple[str, ...]] = {}

    def unusable(self, problems: Mapping[str, str], seen: ClusterSnapshot) -> None:
        """What lies at these gateways is not ours, or damaged: it is not believed, and will be written anew."""
        chosen = gateways.elected(seen.gateways)
        for identity, message in problems.items():
            _log.error("gateway %s: what lies there as its config is not believed: %s", identity, message)
            self._tell(chosen[identity], "ConfigNotOurs", f"the config that lay there is written anew: {message}")

    def found(self, compiled: Iterable[GatewayProblem], failures: Mapping[str, str], seen: ClusterSnapshot) -> None:
        """Tell of the problems of a pass that are new, and of those that are over."""
        now: dict[str, tuple[str, ...]] = {}
        for problem in compiled:
            now[problem.gateway] = (*now.get(problem.gateway, ()), problem.message)
        for identity, message in failures.items():
            now[identity] = (*now.get(identity, ()), message)
        chosen = gateways.elected(seen.gateways)
        for identity, messages in now.items():
            for message in messages:
                if message not in self._told.get(identity, ()):
                    _log.warning("gateway %s: %s", identity, message)
                    self._tell(chosen[identity], "GatewayProblem", message)
        for identity in self._told.keys() - now.keys():
            _log.info("gateway %s: nothing is wrong any more", identity)
        self._told = now

    def _tell(self, gateway: DiscoveredGateway, reason: str, note: str) -> None:
        regarding = {
            "apiVersion": SERVICE.api_version,
            "kind": SERVICE.name,
            "namespace": gateway.namespace,
            "name": gateway.service,
            "uid": gateway.uid,
        }
        self._events.tell(EventRecord(regarding, reason, note, warning=True))
