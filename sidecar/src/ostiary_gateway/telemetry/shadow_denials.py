"""Calls that policies in Shadow mode would deny.

They are counted for each proxy, and logged.
"""

import logging
from collections.abc import Mapping, Set
from typing import Final

from ostiary_core.policy.decision import Decision
from ostiary_gateway.telemetry.throttled_warning import WarningLimiter

_log = logging.getLogger(__name__)
_MESSAGE: Final = "proxy %s: policy %s, rule %s, in Shadow mode would deny %s of %.256r: %s"


class ShadowDenials:
    """The counts of this process."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._warners: dict[str, WarningLimiter] = {}

    @property
    def counts(self) -> Mapping[str, int]:
        """The counts by the identity of the proxy."""
        return self._counts

    def note(self, proxy: str, method: str, name: str, denial: Decision) -> None:
        """Count a call that would be denied, and log one a minute per proxy."""
        self._counts[proxy] = self._counts.get(proxy, 0) + 1
        warner = self._warners.setdefault(proxy, WarningLimiter(_log))
        warner.warn(_MESSAGE, proxy, denial.policy or "-", denial.rule or "-", method, name, denial.reason.value)

    def forget(self, proxies: Set[str]) -> None:
        """Forget proxies."""
        for proxy in self._counts.keys() & proxies:
            del self._counts[proxy]
            self._warners.pop(proxy, None)


#: The calls of this process that policies in Shadow mode would deny.
SHADOW_DENIALS: Final = ShadowDenials()
