"""List items that were dropped because they cannot be judged.

They are counted for each proxy, and logged.
"""

import logging
from collections.abc import Mapping, Sequence, Set
from typing import Final

from ostiary_gateway.telemetry.throttled_warning import WarningLimiter

_log = logging.getLogger(__name__)
#: The number of items of one list that the log names.
_MOST_NAMED: Final = 5


class DroppedItems:
    """The counts of this process. A list that arrives again unchanged is counted once."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._warners: dict[str, WarningLimiter] = {}

    @property
    def counts(self) -> Mapping[str, int]:
        """The counts by the identity of the proxy."""
        return self._counts

    def note(self, proxy: str, dropped: Sequence[str]) -> None:
        """Count the items dropped from a list, and log them once a minute per proxy."""
        self._counts[proxy] = self._counts.get(proxy, 0) + len(dropped)
        named = "; ".join(dropped[:_MOST_NAMED])
        more = f"; and {len(dropped) - _MOST_NAMED} more" if len(dropped) > _MOST_NAMED else ""
        warner = self._warners.setdefault(proxy, WarningLimiter(_log))
        warner.warn("proxy %s: dropped from a list, since it cannot be judged: %s%s", proxy, named, more)

    def forget(self, proxies: Set[str]) -> None:
        """Forget proxies."""
        for proxy in self._counts.keys() & proxies:
            del self._counts[proxy]
            self._warners.pop(proxy, None)


#: The items that this process dropped.
DROPPED: Final = DroppedItems()
