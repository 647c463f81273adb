"""The bounded queue between the event loop and the thread of the trail.

The loop only appends, and counts what finds no room. A request under the failure policy Fail reserves the place of its
last record before it is forwarded, so that it never ends without one.
"""

from collections import deque
from time import time_ns
from typing import Final

from ostiary_gateway.audit.audit_events import AuditItem, LostRecords, RequestEvent

#: Records that wait at most; at 1,000 calls a second with two records each, those of 8 seconds.
CAPACITY: Final = 16_384
#: Bytes of messages whose arguments and results wait with them.
CONTENT_BYTES: Final = 32 * 1024 * 1024
#: Stands for content that was not kept because too much of it waited.
OMITTED: Final = object()
#: A parsed message takes about this many times its bytes.
_TREE_FACTOR: Final = 16


class AuditQueue:
    """The queue.

    :meth:`take` and :meth:`take_lost` are for the thread of the trail, all else for the event loop.
    """

    def __init__(self, *, capacity: int = CAPACITY, content_bytes: int = CONTENT_BYTES) -> None:
        self.capacity = capacity
        self._content_bytes = content_bytes
        self._items: deque[tuple[AuditItem, int]] = deque()
        self._reserved = 0
        #: Each is written by one side only: the difference is what waits.
        self._given = self._taken = 0
        self.accepted = 0
        self.dropped = 0
        self._reported = 0
        self._first_drop_ns = 0
        self._last_drop_ns = 0

    def __len__(self) -> int:
        """Return how many records wait."""
        return len(self._items)

    @property
    def has_room(self) -> bool:
        """Whether a request can be recorded that has two records and some content."""
        return (
            len(self._items) + self._reserved + 2 <= self.capacity and self._given - self._taken < self._content_bytes
        )

    def reserve(self) -> None:
        """Keep a place for the last record of a request."""
        self._reserved += 1

    def unreserve(self) -> None:
        """Give up a place that was kept."""
        self._reserved -= 1

    def put(self, item: AuditItem, *, size: int = 0, reserved: bool = False) -> bool:
        """Append a record, or count it as dropped; return which.

        ``size`` are the bytes of the messages whose parsed content it holds, ``reserved`` whether a place was kept.
        """
        if reserved:
            self._reserved -= 1
        elif len(self._items) + self._reserved >= self.capacity:
            self._drop()
            return False
        weight = size * _TREE_FACTOR
        if weight and self._given - self._taken + weight > self._content_bytes:
            weight, item = 0, _without_content(item)
        self._given += weight
        self.accepted += 1
        self._items.append((item, weight))
        return True

    def _drop(self) -> None:
        self._last_drop_ns = time_ns()
        if self.dropped == self._reported:
            self._first_drop_ns = self._last_drop_ns
        self.dropped += 1

    def take(self, most: int) -> list[AuditItem]:
        """Return the records that wait longest."""
        items = self._items
        found = [items.popleft() for _ in range(min(most, len(items)))]
        self._taken += sum(weight for _, weight in found)
        return [item for item, _ in found]

    def take_lost(self) -> LostRecords | None:
        """Return what was dropped since the last call; None for nothing."""
        dropped = self.dropped
        count, self._reported = dropped - self._reported, dropped
        return LostRecords("QueueFull", count, self._first_drop_ns, self._last_drop_ns, {}) if count else None


def _without_content(item: AuditItem) -> AuditItem:
    if type(item) is not RequestEvent:
        return item
    return item._replace(
        arguments=OMITTED if item.arguments is not None else None,
        result=OMITTED if item.result is not None else None,
    )
