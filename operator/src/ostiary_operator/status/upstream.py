"""How the server of an MCPProxy has been doing, by what replicas say that they saw of it. Pure.

What replicas saw changes with every call, and a status is written for people: a fault is told at once, but then a
minute passes before the same object is told something else, and other words for the same are told every ten minutes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ostiary_operator.api.status import ConditionStatus, ConditionType
from ostiary_operator.api.upstream_reasons import UpstreamHealthyReason
from ostiary_operator.compile.model import ConditionDraft, ResourceStatus
from ostiary_operator.kube.kinds import PROXY
from ostiary_operator.status.reports import ReportedServer
from ostiary_operator.status.watch import GatewayState

#: Seconds that a condition stays as it was told, where another state follows.
DWELL: Final = 60.0
#: The same where only its words differ.
WORDS_DWELL: Final = 600.0
_NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class UpstreamState:
    """The condition to tell, None for none; and the moment (monotonic) at which another may be told that waits now."""

    condition: ConditionDraft | None
    until: float = _NEVER


def judge(status: ResourceStatus, gateway_states: Mapping[str, GatewayState]) -> ConditionDraft | None:
    """Say how the servers of a proxy are; of anything else nothing.

    One replica that cannot use a server is enough: callers meet that one, too.
    """
    if status.key.kind != PROXY.name:
        return None
    seen = sorted(_seen(status, gateway_states), key=lambda each: each[0])
    for who, server in seen:
        if server.fault is not None:
            return _fault(who, server.fault.kind, server.fault.message)
    if any(server.answered for _, server in seen):
        reason = UpstreamHealthyReason.UPSTREAM_HEALTHY
        return ConditionDraft(ConditionType.UPSTREAM_HEALTHY, ConditionStatus.TRUE, reason, reason.meaning)
    reason = UpstreamHealthyReason.NO_TRAFFIC
    return ConditionDraft(ConditionType.UPSTREAM_HEALTHY, ConditionStatus.UNKNOWN, reason, reason.meaning)


def _seen(status: ResourceStatus, gateway_states: Mapping[str, GatewayState]) -> Iterator[tuple[str, ReportedServer]]:
    """Yield each server with how people call it."""
    proxy = f"{status.key.namespace}/{status.key.name}"
    for identity, entries in status.expected.items():
        watch = gateway_states.get(identity)
        for state in watch.states.values() if watch is not None and entries else ():
            entry = state.report.entries.get(proxy) if state.report is not None else None
            for name, server in entry.servers.items() if entry is not None else ():
                yield f"server {name}", server


def _fault(who: str, kind: str, message: str) -> ConditionDraft:
    remedy = next((each.remedy for each in UpstreamHealthyReason if each == kind), "")
    words = f"{who}: {message}" if message else f"{who} cannot be used"
    told = f"{words}. {remedy}" if remedy else words
    return ConditionDraft(ConditionType.UPSTREAM_HEALTHY, ConditionStatus.FALSE, kind, told)


def settle(
    found: ConditionDraft | None, said: Mapping[str, Any] | None, *, generation: int, told_at: float, now: float
) -> UpstreamState:
    """Decide what to tell, after what was said last; ``told_at`` and ``now`` are monotonic.

    Silence is no news: a replica that has just started knows nothing yet, and takes nothing from what is known.
    """
    if found is None or said is None or said.get("status") == ConditionStatus.UNKNOWN:
        return UpstreamState(found)
    last = ConditionDraft(ConditionType.UPSTREAM_HEALTHY, said["status"], said["reason"], said["message"])
    if found == last:
        return UpstreamState(found)
    if found.status == ConditionStatus.UNKNOWN:
        return UpstreamState(last if said.get("observedGeneration") == generation else found)
    alike = (found.status, found.reason) == (last.status, last.reason)
    until = told_at + (WORDS_DWELL if alike else DWELL)
    return UpstreamState(found) if now >= until else UpstreamState(last, until)
