"""Who holds how much of this process now: plain counters, one for each source, principal and proxy, and one for all.

Everything is counted in one event loop. A tally knows its ceiling, which the settings move; a key that holds nothing is
forgotten, so that strangers cannot fill the books.
"""

import sys
from collections.abc import Hashable, Set
from enum import StrEnum
from typing import Final

from ostiary_core.contract.documents import Share
from ostiary_core.errors import OstiaryError

#: A message of so many bytes finds room where a larger one finds none.
SMALL_BYTES: Final = 64 * 1024
_AS_MUCH_AS_ALL: Final = sys.maxsize


class Bound(StrEnum):
    """What is bounded, as metrics name it."""

    CONNECTIONS = "connections"
    REQUESTS = "requests_in_flight"
    STREAMS = "streams"
    BYTES = "bytes_in_flight"


class Ceiling:
    """How much each of one scope may hold, and how often more was refused."""

    __slots__ = ("bytes", "connections", "large", "refused", "requests", "scope", "streams", "words")

    def __init__(self, scope: str, words: str) -> None:
        #: As metrics name it, and as a caller is told.
        self.scope = scope
        self.words = words
        self.connections = self.requests = self.streams = self.bytes = _AS_MUCH_AS_ALL
        #: Large messages leave a quarter to small ones: a few that nobody ends must not stop every call.
        self.large = _AS_MUCH_AS_ALL
        self.refused = dict.fromkeys(Bound, 0)

    def bounds(self, bound: Bound) -> bool:
        """Say whether this scope knows the bound: connections belong to nobody but their source."""
        return bound is not Bound.CONNECTIONS or self.scope in ("gateway", "source")

    def move(self, share: Share) -> None:
        """Take other bounds; what is held beyond them stays until it ends."""
        self.connections = share.connections or _AS_MUCH_AS_ALL
        self.requests = share.requests_in_flight or _AS_MUCH_AS_ALL
        self.streams = share.streams or _AS_MUCH_AS_ALL
        self.bytes = share.bytes_in_flight or _AS_MUCH_AS_ALL
        self.large = self.bytes - self.bytes // 4


class FullError(OstiaryError):
    """A bound is reached: nobody has been counted."""

    def __init__(self, ceiling: Ceiling, bound: Bound) -> None:
        super().__init__(f"{bound} of {ceiling.scope}")
        self.ceiling = ceiling
        self.bound = bound
        ceiling.refused[bound] += 1


class Tally:
    """What one of them holds."""

    __slots__ = ("bytes", "ceiling", "connections", "key", "reading", "requests", "shelf", "streams")

    def __init__(self, ceiling: Ceiling, shelf: "dict[Hashable, Tally] | None" = None, key: Hashable = None) -> None:
        self.ceiling = ceiling
        self.connections = self.requests = self.streams = self.bytes = 0
        #: Requests whose body is still arriving: they take bytes, and their caller's connection.
        self.reading = 0
        self.shelf = shelf
        self.key = key

    def forget_if_empty(self) -> None:
        """Take the tally from its shelf if it counts nothing."""
        empty = not (self.requests or self.streams or self.connections or self.bytes or self.reading)
        if empty and self.shelf is not None and self.shelf.get(self.key) is self:
            del self.shelf[self.key]


class Shelf:
    """The tallies of one scope, by key. Empty ones are forgotten at once, or where they ``stay`` by :meth:`keep`."""

    __slots__ = ("_stay", "ceiling", "tallies")

    def __init__(self, ceiling: Ceiling, *, stay: bool = False) -> None:
        self.ceiling = ceiling
        self.tallies: dict[Hashable, Tally] = {}
        self._stay = stay

    def take(self, key: Hashable) -> Tally:
        """Return the tally of a key, a new one if it held nothing."""
        tally = self.tallies.get(key)
        if tally is None:
            tally = self.tallies[key] = Tally(self.ceiling, None if self._stay else self.tallies, key)
        return tally

    def keep(self, keys: Set[Hashable]) -> None:
        """Forget all others that hold nothing."""
        for key, tally in list(self.tallies.items()):
            if key not in keys and not (tally.requests or tally.streams or tally.reading):
                del self.tallies[key]
