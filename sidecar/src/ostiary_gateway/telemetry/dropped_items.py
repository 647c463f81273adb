"""List items that were dropped because they cannot be judged.

They are counted for each proxy, and logged.
"""

import logging
from collections.abc import Sequence
from typing import Final

from ostiary_gateway.telemetry.throttled_warning import CountsByProxy

_log = logging.getLogger(__name__)
#: The number of items of one list that the log names.
_MOST_NAMED: Final = 5
_MESSAGE: Final = "proxy %s: dropped from a list, since it cannot be judged: %s%s"


class DroppedItems(CountsByProxy):
    """The counts of this process. A list that arrives again unchanged is counted once."""

    def note(self, proxy: str, dropped: Sequence[str]) -> None:
        """Count the items dropped from a list, and log them once a minute per proxy."""
        named = "; ".join(dropped[:_MOST_NAMED])
        more = f"; and {len(dropped) - _MOST_NAMED} more" if len(dropped) > _MOST_NAMED else ""
        self.add(proxy, len(dropped), _MESSAGE, proxy, named, more)


#: The items that this process dropped.
DROPPED: Final = DroppedItems(_log)
