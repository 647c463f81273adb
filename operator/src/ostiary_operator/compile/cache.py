"""Results that are kept from one compilation to the next, by everything that they were made of.

The cache is an argument, never a global, and no result depends on it: a key holds every input of its value. What a
compilation did not ask for is forgotten when it ends, so the cache is never larger than what is in force.
"""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Cache:
    """Remembers what the last compilation used. Not for use by several threads at once."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}
        self._used: dict[Hashable, Any] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what ``make`` returned for an equal key; ``make`` must be pure and its result frozen."""
        if key in self._used:
            return cast("T", self._used[key])
        value = self._kept[key] if key in self._kept else make()
        self._used[key] = value
        return cast("T", value)

    def turn(self) -> None:
        """End a compilation: keep what it used, forget the rest."""
        self._kept, self._used = self._used, {}
