"""Whether a resource works, and if not: why, and what to do. From its status alone; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ostiary_operator.api.status import ASIDE, REASONS, ConditionStatus, ConditionType, ReadyReason
from ostiary_operator.local.console import printable

#: Characters of a message that are shown: those of an API server's are bounded, but a page is a page.
_MESSAGE: Final = 1000
#: In the order in which one depends on the other.
_LINE: Final = (ConditionType.ACCEPTED, ConditionType.RESOLVED_REFS, ConditionType.PROGRAMMED)


@dataclass(frozen=True, slots=True)
class Readiness:
    """``status`` is True, False or Unknown. ``reason`` is a word of :mod:`ostiary_operator.api.status`, ``message``
    the operator's sentence, and ``remedy`` what to do; the last two are empty where it is ready.
    """

    status: str
    reason: str
    message: str = ""
    remedy: str = ""

    @property
    def ready(self) -> bool:
        """Whether it works, as it is now."""
        return self.status == ConditionStatus.TRUE


def of(resource: Mapping[str, Any]) -> Readiness:
    """Judge an MCPProxy or MCPPolicy by its conditions; one that speaks of an older generation says nothing."""
    ready = condition(resource, ConditionType.READY)
    if ready.ready:
        return ready
    causes = (condition(resource, each) for each in _LINE)
    return next((cause for cause in causes if not cause.ready), ready)


def condition(resource: Mapping[str, Any], wanted: ConditionType) -> Readiness:
    """Return what one condition says of the newest generation."""
    generation = resource.get("metadata", {}).get("generation")
    conditions = (resource.get("status") or {}).get("conditions") or ()
    found = next((each for each in conditions if each.get("type") == wanted), None)
    if found is None or found.get("observedGeneration") != generation:
        return Readiness(
            ConditionStatus.UNKNOWN,
            ReadyReason.PENDING,
            f"the operator has not judged generation {generation} yet",
            ReadyReason.PENDING.remedy,
        )
    status, reason = printable(str(found.get("status"))), printable(str(found.get("reason")))
    if status == ConditionStatus.TRUE:
        return Readiness(status, reason)
    message = printable(str(found.get("message") or ""), limit=_MESSAGE)
    return Readiness(status, reason, message, remedy(wanted, reason))


def remarks(resource: Mapping[str, Any], kind: str) -> tuple[Readiness, ...]:
    """Return what is worth saying of a resource although it has no part in whether it is ready."""
    # How the server does is told apart.
    said = (condition(resource, each) for each in ASIDE[kind] if each is not ConditionType.UPSTREAM_HEALTHY)
    return tuple(each for each in said if each.status == ConditionStatus.FALSE)


def remedy(of_type: ConditionType, reason: str) -> str:
    """Return what to do about a reason; empty for one that this version does not know."""
    return next((each.remedy for each in REASONS[of_type] if each == reason), "")
