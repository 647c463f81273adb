"""Requests that policies denied, and those that policies in Shadow mode would deny.

They are counted for each proxy, and logged.
"""

import logging
from collections.abc import Mapping, Set
from typing import Final

from ostiary_core.policy.decision import Decision, DecisionReason
from ostiary_gateway.telemetry.throttled_warning import CountsByProxy

_log = logging.getLogger(__name__)
_DENIED: Final = "proxy %s: denied %s of %.256r by %.256s: policy %s, generation %d, rule %s: %s"
_WOULD_DENY: Final = "proxy %s: policy %s, generation %d, rule %s, in Shadow mode would deny %s of %.256r: %s"


class AccessDenials:
    """The counts of this process, by reason."""

    def __init__(self, log: logging.Logger = _log) -> None:
        self._by_reason = {reason: CountsByProxy(log, level=logging.INFO) for reason in DecisionReason}

    @property
    def counts(self) -> Mapping[DecisionReason, Mapping[str, int]]:
        """The counts by reason and by the identity of the proxy."""
        return {reason: each.counts for reason, each in self._by_reason.items()}

    def note(self, proxy: str, caller: str, method: str, name: str, decision: Decision) -> None:
        """Count a denied request, and log one a minute for each proxy and reason."""
        origin = (decision.policy or "-", decision.generation, decision.rule or "-")
        self._by_reason[decision.reason].add(
            proxy, 1, _DENIED, proxy, method, name, caller, *origin, decision.reason.value
        )

    def forget(self, proxies: Set[str]) -> None:
        """Forget proxies."""
        for each in self._by_reason.values():
            each.forget(proxies)


class ShadowDenials(CountsByProxy):
    """The counts of this process."""

    def note(self, proxy: str, method: str, name: str, denial: Decision) -> None:
        """Count a call that would be denied, and log one a minute per proxy."""
        values = (denial.policy or "-", denial.generation, denial.rule or "-", method, name, denial.reason.value)
        self.add(proxy, 1, _WOULD_DENY, proxy, *values)


#: The requests of this process that policies denied.
ACCESS_DENIALS: Final = AccessDenials()

#: The calls of this process that policies in Shadow mode would deny.
SHADOW_DENIALS: Final = ShadowDenials(_log)
