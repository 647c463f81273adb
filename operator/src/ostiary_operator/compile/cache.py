"""Caches results from one compilation to the next, by all their inputs.

The cache is an argument, never a global, and no result depends on it: a key contains every input of its value. Values
that a compilation did not use are removed when it ends, so the cache is never larger than what is in force.
"""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Cache:
    """Keeps the values that the last compilation used. Not thread-safe."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}
        self._used: dict[Hashable, Any] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value of an equal key, or call ``make``, which must be pure."""
        if key in self._used:
            return cast("T", self._used[key])
        value = self._kept[key] if key in self._kept else make()
        self._used[key] = value
        return cast("T", value)

    def turn(self) -> None:
        """End a compilation: keep the values that it used, remove the rest."""
        self._kept, self._used = self._used, {}
