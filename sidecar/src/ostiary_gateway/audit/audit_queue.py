"""The bounded queue between the event loop and the thread of the trail.

The loop only appends, and counts what finds no room. A request under the failure policy Fail reserves the place of its
last record before it is forwarded, so that it never ends without one.
"""

import logging
from collections import deque
from collections.abc import Callable
from time import time_ns
from typing import Final, NamedTuple

from ostiary_gateway.audit.audit_events import AuditItem, LostRecords, RequestEvent
from ostiary_gateway.telemetry.throttled_warning import WarningLimiter

_log = logging.getLogger(__name__)
#: Records that wait at most; at 1,000 calls a second with two records each, those of 8 seconds.
CAPACITY: Final = 16_384
#: Bytes of messages whose arguments and results wait with them.
CONTENT_BYTES: Final = 32 * 1024 * 1024
#: Stands for content that was not kept because too much of it waited.
OMITTED: Final = object()
#: A parsed message takes about this many times its bytes.
_TREE_FACTOR: Final = 16


class _Weighed(NamedTuple):
    """A record with content of messages, and about how many bytes that takes."""

    item: AuditItem
    weight: int


class AuditQueue:
    """The queue.

    :meth:`take` and :meth:`take_lost` are for the thread of the trail, all else for the event loop.
    """

    def __init__(self, *, capacity: int = CAPACITY, content_bytes: int = CONTENT_BYTES) -> None:
        self.capacity = capacity
        self._content_bytes = content_bytes
        #: Each with its weight where it holds content of messages.
        self._items: deque[AuditItem | bytes | _Weighed] = deque()
        self._encode: Callable[[AuditItem], bytes | None] | None = None
        self._warner = WarningLimiter(_log, level=logging.ERROR)
        self._reserved = 0
        #: Each is written by one side only: the difference is what waits.
        self._given = self._taken = 0
        self.accepted = 0
        self.dropped = 0
        self._reported = 0
        self._first_drop_ns = 0
        self._last_drop_ns = 0

    def encode_in_loop(self, encode: Callable[[AuditItem], bytes | None]) -> None:
        """Have records encoded here: the thread would keep the interpreter meanwhile.

        ``encode`` returns None for a record that it leaves to the thread.
        """
        self._encode = encode

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

    def put(self, item: AuditItem | bytes, *, size: int = 0, reserved: bool = False) -> bool:
        """Append a record, or one that is encoded, or count it as dropped; return which.

        ``size`` are the bytes of the messages whose parsed content it holds, ``reserved`` whether a place was kept.
        """
        if reserved:
            self._reserved -= 1
        elif len(self._items) + self._reserved >= self.capacity:
            self._drop()
            return False
        self.accepted += 1
        self._items.append(item if isinstance(item, bytes) else self._prepared(item, size * _TREE_FACTOR))
        return True

    def _prepared(self, item: AuditItem, weight: int) -> "AuditItem | bytes | _Weighed":
        """Return what waits for a record: encoded, or with content and its weight."""
        if weight:
            if self._given - self._taken + weight > self._content_bytes:
                return _without_content(item)
            self._given += weight
            return _Weighed(item, weight)
        try:
            return (self._encode(item) if self._encode is not None else None) or item
        except Exception as error:  # noqa: BLE001  a bug must not affect requests: the thread meets and reports it, too
            self._warner.warn("an audit record could not be encoded: this is a bug", error=error)
            return item

    def _drop(self) -> None:
        self._last_drop_ns = time_ns()
        if self.dropped == self._reported:
            self._first_drop_ns = self._last_drop_ns
        self.dropped += 1

    def take(self, most: int) -> list[AuditItem | bytes]:
        """Return the records that wait longest, encoded or as they were put."""
        items = self._items
        found = [items.popleft() for _ in range(min(most, len(items)))]
        return [self._unweighed(item) if isinstance(item, _Weighed) else item for item in found]

    def _unweighed(self, item: "_Weighed") -> AuditItem:
        self._taken += item.weight
        return item.item

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
