"""Empty lists that callers got, and why they are empty.

An agent that sees no tools reports nothing: "no tools" looks the same whether a policy hides them or no server has any.
They are counted for each proxy and cause, and logged.
"""

import logging
from typing import Final

from ostiary_gateway.telemetry.throttled_warning import WarningLimiter

_log = logging.getLogger(__name__)
_MESSAGE: Final = "proxy %s: a caller got an empty answer to %s: %s"


class EmptyLists:
    """The counts of this process, by the identity of the proxy and the cause."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, ...], float] = {}
        self._warners: dict[tuple[str, str], WarningLimiter] = {}

    def note(self, proxy: str, method: str, cause: str) -> None:
        """Count an empty list, and log it once a minute per proxy and cause."""
        key = (proxy, cause)
        self.counts[key] = self.counts.get(key, 0.0) + 1
        if key not in self._warners:
            self._warners[key] = WarningLimiter(_log, level=logging.INFO)
        self._warners[key].warn(_MESSAGE, proxy, method, cause)

    def forget(self, proxies: frozenset[str]) -> None:
        """Forget proxies."""
        for key in [key for key in self.counts if key[0] in proxies]:
            del self.counts[key]
        for known in [known for known in self._warners if known[0] in proxies]:
            del self._warners[known]


#: The empty lists of this process.
EMPTY_LISTS: Final = EmptyLists()
