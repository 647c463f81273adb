"""Reports the begin and the end of a gateway's problem, in the log and as an Event."""

import logging
from collections.abc import Iterable, Mapping

from ostiary_operator.compile import gateways
from ostiary_operator.compile.model import DiscoveredGateway, GatewayProblem
from ostiary_operator.kube.cluster_snapshot import ClusterSnapshot
from ostiary_operator.kube.kinds import SERVICE
from ostiary_operator.status.events import EventRecord, EventRecorder

_log = logging.getLogger(__name__)


class GatewayProblems:
    """Remembers which problems were reported."""

    def __init__(self, events: EventRecorder) -> None:
        self._events = events
        self._reported: dict[str, tuple[str, ...]] = {}

    def unusable(self, problems: Mapping[str, str], snapshot: ClusterSnapshot) -> None:
        """Report configs that are not ours or damaged; they are ignored and overwritten."""
        chosen = gateways.elected(snapshot.gateways)
        for identity, message in problems.items():
            _log.error("gateway %s: the config in the cluster is not trusted and is ignored: %s", identity, message)
            self._report(chosen[identity], "ConfigNotOurs", f"the config in the cluster is overwritten: {message}")

    def found(self, compiled: Iterable[GatewayProblem], failures: Mapping[str, str], snapshot: ClusterSnapshot) -> None:
        """Report the problems of a pass that are new, and those that ended."""
        now: dict[str, tuple[str, ...]] = {}
        for problem in compiled:
            now[problem.gateway] = (*now.get(problem.gateway, ()), problem.message)
        for identity, message in failures.items():
            now[identity] = (*now.get(identity, ()), message)
        chosen = gateways.elected(snapshot.gateways)
        for identity, messages in now.items():
            for message in messages:
                if message not in self._reported.get(identity, ()):
                    _log.warning("gateway %s: %s", identity, message)
                    self._report(chosen[identity], "GatewayProblem", message)
        for identity in self._reported.keys() - now.keys():
            _log.info("gateway %s: all its problems are resolved", identity)
        self._reported = now

    def _report(self, gateway: DiscoveredGateway, reason: str, note: str) -> None:
        regarding = {
            "apiVersion": SERVICE.api_version,
            "kind": SERVICE.name,
            "namespace": gateway.namespace,
            "name": gateway.service,
            "uid": gateway.uid,
        }
        self._events.record(EventRecord(regarding, reason, note, warning=True))
