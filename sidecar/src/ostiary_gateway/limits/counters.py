"""Counters of what is in use now.

There is one set for each source, principal and proxy, and one for the whole process.

Everything is counted in one event loop. Counters know the limits of their scope, which the settings change. Counters
that count nothing are dropped, so that clients cannot fill the memory with keys of their choice.
"""

import sys
from collections.abc import Hashable, Set
from enum import StrEnum
from typing import Final

from ostiary_core.contract.bounds import ShareConfig
from ostiary_core.errors import OstiaryError

#: A message of at most this many bytes may use the quarter of the bytes that larger ones must leave free.
SMALL_BYTES: Final = 64 * 1024
#: Where there is no limit.
UNLIMITED: Final = sys.maxsize


class Bound(StrEnum):
    """What is limited, by the names of the metrics."""

    CONNECTIONS = "connections"
    REQUESTS = "requests_in_flight"
    STREAMS = "streams"
    BYTES = "bytes_in_flight"


class ScopeLimits:
    """The limits that apply to each key of one scope, and how often each was reached."""

    __slots__ = ("bytes", "connections", "large", "refused", "requests", "scope", "streams", "words")

    def __init__(self, scope: str, words: str) -> None:
        #: The scope as metrics name it.
        self.scope = scope
        #: The beginning of the message that a client gets.
        self.words = words
        self.connections = self.requests = self.streams = self.bytes = UNLIMITED
        #: Large messages leave a quarter to small ones: a few of them that never end must not stop every call.
        self.large = UNLIMITED
        self.refused = dict.fromkeys(Bound, 0)

    def bounds(self, bound: Bound) -> bool:
        """Return whether the bound exists in this scope.

        Connections are counted by source and in all only.
        """
        return bound is not Bound.CONNECTIONS or self.scope in ("gateway", "source")

    def set_limits(self, share: ShareConfig) -> None:
        """Take new limits. What is in use beyond them may finish."""
        self.connections = share.connections or UNLIMITED
        self.requests = share.requests_in_flight or UNLIMITED
        self.streams = share.streams or UNLIMITED
        self.bytes = share.bytes_in_flight or UNLIMITED
        self.large = self.bytes - self.bytes // 4

    def extends(self, counters: "Counters", bound: Bound, units: int, *, is_large: bool = False) -> bool:  # noqa: ARG002
        """Return whether a key may use more units after all.

        It never may, unless workers share their limits. ``is_large`` says that the units are bytes of a message that
        must leave room to small ones.
        """
        return False


class LimitReachedError(OstiaryError):
    """A limit is reached; nothing was counted."""

    def __init__(self, limits: ScopeLimits, bound: Bound) -> None:
        super().__init__(f"{bound} of {limits.scope}")
        self.limits = limits
        self.bound = bound
        limits.refused[bound] += 1


class Counters:
    """What one key uses now."""

    __slots__ = ("bytes", "connections", "key", "limits", "requests", "streams", "table", "uploads")

    def __init__(
        self, limits: ScopeLimits, table: "dict[Hashable, Counters] | None" = None, key: Hashable = None
    ) -> None:
        self.limits = limits
        self.connections = self.requests = self.streams = self.bytes = 0
        #: Requests whose body is still arriving: they take bytes, and a connection of their client.
        self.uploads = 0
        self.table = table
        self.key = key

    def in_use(self, bound: Bound) -> int:
        """Return what is used of a bound."""
        return {
            Bound.CONNECTIONS: self.connections,
            Bound.REQUESTS: self.requests,
            Bound.STREAMS: self.streams,
            Bound.BYTES: self.bytes,
        }[bound]

    def drop_if_empty(self) -> None:
        """Remove the counters from their table if they count nothing."""
        empty = not (self.requests or self.streams or self.connections or self.bytes or self.uploads)
        if empty and self.table is not None and self.table.get(self.key) is self:
            del self.table[self.key]


class CountersByKey:
    """The counters of one scope.

    Empty ones are dropped at once, or with ``stay`` when :meth:`keep` is called.
    """

    __slots__ = ("_stay", "by_key", "limits")

    def __init__(self, limits: ScopeLimits, *, stay: bool = False) -> None:
        self.limits = limits
        self.by_key: dict[Hashable, Counters] = {}
        self._stay = stay

    def take(self, key: Hashable) -> Counters:
        """Return the counters of a key, new ones if there are none."""
        counters = self.by_key.get(key)
        if counters is None:
            counters = self.by_key[key] = Counters(self.limits, None if self._stay else self.by_key, key)
        return counters

    def keep(self, keys: Set[Hashable]) -> None:
        """Drop the counters of all other keys, unless they count something."""
        for key, counters in list(self.by_key.items()):
            if key not in keys and not (counters.requests or counters.streams or counters.uploads):
                del self.by_key[key]
