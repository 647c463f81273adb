"""A queue in which namespaces take turns, so that one with much to tell takes neither room nor time from others."""

import collections
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Holds up to ``each`` items of one namespace and ``most`` in all."""

    def __init__(self, *, each: int, most: int) -> None:
        self._each = each
        self._most = most
        self._size = 0
        self._waiting: collections.OrderedDict[str, collections.deque[T]] = collections.OrderedDict()

    def __len__(self) -> int:
        return self._size

    def put(self, namespace: str, item: T) -> bool:
        """Let an item wait; say whether there was room."""
        found = self._waiting.get(namespace)
        if self._size >= self._most or (found is not None and len(found) >= self._each):
            return False
        self._waiting.setdefault(namespace, collections.deque()).append(item)
        self._size += 1
        return True

    def take(self) -> T:
        """Return the first item of the namespace whose turn it is.

        Raises:
            KeyError: nothing waits.
        """
        namespace, items = self._waiting.popitem(last=False)
        item = items.popleft()
        self._size -= 1
        if items:
            self._waiting[namespace] = items
        return item
