"""A fair queue: round-robin over namespaces, so that none delays the others."""

import collections
from typing import Generic, TypeVar

T = TypeVar("T")


class NamespaceQueue(Generic[T]):
    """Queues up to ``each`` items of one namespace, and ``most`` in total."""

    def __init__(self, *, each: int, most: int) -> None:
        self._each = each
        self._most = most
        self._size = 0
        self._waiting: collections.OrderedDict[str, collections.deque[T]] = collections.OrderedDict()

    def __len__(self) -> int:
        return self._size

    def put(self, namespace: str, item: T) -> bool:
        """Enqueue an item; return whether there was room."""
        found = self._waiting.get(namespace)
        if self._size >= self._most or (found is not None and len(found) >= self._each):
            return False
        self._waiting.setdefault(namespace, collections.deque()).append(item)
        self._size += 1
        return True

    def take(self) -> T:
        """Remove and return the first item of the next namespace.

        Raises:
            KeyError: the queue is empty.
        """
        namespace, items = self._waiting.popitem(last=False)
        item = items.popleft()
        self._size -= 1
        if items:
            self._waiting[namespace] = items
        return item
