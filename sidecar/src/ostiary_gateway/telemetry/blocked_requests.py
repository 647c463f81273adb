"""Requests that were refused because the gateway's settings block something.

They are counted for each proxy and reason, and logged.
"""

import logging
from typing import Final

from ostiary_core.upstream_faults import BLOCKED as UPSTREAM_BLOCKED
from ostiary_gateway.telemetry.throttled_warning import CountsByProxy

_log = logging.getLogger(__name__)

PRINCIPAL_BLOCKED: Final = "PrincipalBlocked"
PROXY_BLOCKED: Final = "ProxyBlocked"
_MESSAGE: Final = "proxy %s: a request was refused, since the settings block %s (blocked)"


class BlockedRequests(CountsByProxy):
    """The counts of this process for one reason."""

    def note(self, proxy: str, what: str) -> None:
        """Count a refused request, and log one a minute per proxy. ``what`` names what is blocked."""
        self.add(proxy, 1, _MESSAGE, proxy, what)


#: The refused requests of this process, by reason.
BLOCKED_REQUESTS: Final = {
    reason: BlockedRequests(_log) for reason in (PRINCIPAL_BLOCKED, PROXY_BLOCKED, UPSTREAM_BLOCKED)
}
