"""Readiness of a resource from its conditions: status, reason, message and remedy. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ostiary_operator.api.status import ASIDE, REASONS, ConditionStatus, ConditionType, ReadyReason
from ostiary_operator.local.console import printable

#: Shown characters of a message.
_MESSAGE: Final = 1000
#: In the order of their dependencies.
_LINE: Final = (ConditionType.ACCEPTED, ConditionType.RESOLVED_REFS, ConditionType.PROGRAMMED)


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a resource is ready, and why not.

    ``status`` is True, False or Unknown. ``reason`` is one of :mod:`ostiary_operator.api.status`, ``message`` the
    operator's sentence, and ``remedy`` what to do; the last two are empty if it is ready.
    """

    status: str
    reason: str
    message: str = ""
    remedy: str = ""

    @property
    def ready(self) -> bool:
        """Whether the newest generation works."""
        return self.status == ConditionStatus.TRUE


def of(resource: Mapping[str, Any]) -> Readiness:
    """Return the readiness of an MCPProxy or MCPPolicy.

    Conditions of an older generation are ignored.
    """
    ready = condition(resource, ConditionType.READY)
    if ready.ready:
        return ready
    causes = (condition(resource, each) for each in _LINE)
    return next((cause for cause in causes if not cause.ready), ready)


def condition(resource: Mapping[str, Any], wanted: ConditionType) -> Readiness:
    """Return one condition, or Unknown if it is not of the newest generation."""
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
    """Return the informational conditions that are False.

    They do not decide whether a resource is ready.
    """
    # UpstreamHealthy is shown separately.
    said = (condition(resource, each) for each in ASIDE[kind] if each is not ConditionType.UPSTREAM_HEALTHY)
    return tuple(each for each in said if each.status == ConditionStatus.FALSE)


def remedy(of_type: ConditionType, reason: str) -> str:
    """Return the remedy for a reason; empty for one that this version does not know."""
    return next((each.remedy for each in REASONS[of_type] if each == reason), "")
