"""A list as a server sent it, and for how long it may be shown."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from ostiary_core.contract.server_selection import ListCacheConfig
from ostiary_core.mcp.protocol_revisions import MODERN_REVISIONS

#: The longest time that a server may have a list kept, in milliseconds.
LONGEST_TTL_MS: Final = 3_600_000


class Sized(Protocol):
    """Something that knows how much memory it takes."""

    @property
    def size(self) -> int:
        """Its size in bytes."""


Value = TypeVar("Value", bound=Sized)


@dataclass(frozen=True, slots=True)
class CacheHints:
    """What a server says of a list (specification, Caching).

    ``ttl_ms`` is None where it says nothing. ``is_private`` where the list is of one caller.
    """

    ttl_ms: int | None = None
    is_private: bool = False

    def __and__(self, other: "CacheHints") -> "CacheHints":
        """Return the hints of two pages of one list: the shorter time, and private if one page is."""
        said = [each for each in (self.ttl_ms, other.ttl_ms) if each is not None]
        return CacheHints(min(said, default=None), self.is_private or other.is_private)


def hints_of(result: Mapping[str, Any], revision: str) -> CacheHints:
    """Return the hints in a result.

    One of a modern revision that has no valid scope is private; earlier revisions have none, and their lists are the
    same for all that present the same credential.
    """
    ttl: Any = result.get("ttlMs")
    is_time = type(ttl) in (int, float) and math.isfinite(ttl) and ttl >= 0
    is_private = revision in MODERN_REVISIONS and result.get("cacheScope") != "public"
    return CacheHints(int(min(ttl, LONGEST_TTL_MS)) if is_time else None, is_private)


@dataclass(frozen=True, slots=True)
class FetchedList(Generic[Value]):
    """A list that has just arrived."""

    value: Value
    hints: CacheHints = CacheHints()


@dataclass(slots=True, eq=False)
class Freshness:
    """Until when a list need not be asked for again, by a monotonic clock in seconds.

    What was made of a list keeps this, and not the list: so the list can go when its room is needed.
    """

    until: float

    def remaining_ms(self, now: float) -> int:
        """Return how long callers may keep what was made of the list, in milliseconds."""
        return max(0, int((self.until - now) * 1000))


@dataclass(slots=True, eq=False)
class ListCopy(Generic[Value]):
    """A list as it is kept.

    Once it is old it may be shown in place of one that cannot be fetched: then ``is_stale`` is set. For how long is
    asked then, as an edited ``staleIfError`` applies at once. Where the list changes before, it becomes old in place,
    so that all know it that have it.
    """

    value: Value
    freshness: Freshness
    is_private: bool = False
    is_stale: bool = False

    @classmethod
    def of(
        cls, fetched: FetchedList[Value], config: ListCacheConfig, *, now: float, is_current: bool
    ) -> "ListCopy[Value]":
        """Return the copy of a list that arrived now.

        One that is not current changed while it was on its way: it is old already.
        """
        ttl = fetched.hints.ttl_ms if fetched.hints.ttl_ms is not None else config.ttl
        fresh_until = now + (min(ttl, LONGEST_TTL_MS) / 1000 if is_current else 0.0)
        return cls(fetched.value, Freshness(fresh_until), fetched.hints.is_private)

    @property
    def fresh_until(self) -> float:
        """When it is asked for again."""
        return self.freshness.until

    def expire(self, now: float) -> None:
        """Ask for it again from now on."""
        self.freshness.until = min(now, self.fresh_until)

    def remaining_ms(self, now: float) -> int:
        """Return how long callers may keep it, in milliseconds."""
        return 0 if self.is_stale else self.freshness.remaining_ms(now)
