"""Items of lists that were left out because they cannot be judged: counted for each proxy, and told in the log."""

import logging
from collections.abc import Mapping, Sequence, Set
from typing import Final

from ostiary_gateway.telemetry.warner import Warner

_log = logging.getLogger(__name__)
#: Of one list, so many items are told of by name.
_TOLD: Final = 5


class DroppedItems:
    """The count of this process. A list that comes again as it came before is counted once."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._warners: dict[str, Warner] = {}

    @property
    def counts(self) -> Mapping[str, int]:
        """How many, by the identity of the proxy."""
        return self._counts

    def note(self, proxy: str, dropped: Sequence[str]) -> None:
        """Count what was left out of a list of this proxy's server, and say it, once a minute for each proxy."""
        self._counts[proxy] = self._counts.get(proxy, 0) + len(dropped)
        told = "; ".join(dropped[:_TOLD])
        more = f"; and {len(dropped) - _TOLD} more" if len(dropped) > _TOLD else ""
        warner = self._warners.setdefault(proxy, Warner(_log))
        warner.warn("proxy %s: left out of a list, for it cannot be judged: %s%s", proxy, told, more)

    def forget(self, proxies: Set[str]) -> None:
        """Forget proxies."""
        for proxy in self._counts.keys() & proxies:
            del self._counts[proxy]
            self._warners.pop(proxy, None)


#: The items that this process left out.
DROPPED: Final = DroppedItems()
