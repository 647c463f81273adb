"""Calls that policies in Shadow mode would deny.

They are counted for each proxy, and logged.
"""

import logging
from typing import Final

from ostiary_core.policy.decision import Decision
from ostiary_gateway.telemetry.throttled_warning import CountsByProxy

_log = logging.getLogger(__name__)
_MESSAGE: Final = "proxy %s: policy %s, rule %s, in Shadow mode would deny %s of %.256r: %s"


class ShadowDenials(CountsByProxy):
    """The counts of this process."""

    def note(self, proxy: str, method: str, name: str, denial: Decision) -> None:
        """Count a call that would be denied, and log one a minute per proxy."""
        values = (denial.policy or "-", denial.rule or "-", method, name, denial.reason.value)
        self.add(proxy, 1, _MESSAGE, proxy, *values)


#: The calls of this process that policies in Shadow mode would deny.
SHADOW_DENIALS: Final = ShadowDenials(_log)
