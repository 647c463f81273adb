"""A cache by the SHA-256 of accepted credentials, bounded in number and in memory.

A tenant's own issuer may sign any number of tokens with large claims. So each cache is bounded, and all of them
together are: the largest one gives way, so that the callers of other tenants stay known.
"""

import hashlib
from typing import Any, Final, Generic, TypeVar
from weakref import WeakSet

from ostiary_core.policy.principal import Principal

Value = TypeVar("Value")

#: The most credentials that one cache remembers.
MOST: Final = 4096
#: Bytes of one cache, and of all together, as :func:`weight_of` estimates them.
_EACH: Final = 8 << 20
_IN_ALL: Final = 64 << 20
#: Estimated bytes of an entry without its claims, of a value in claims, and of a character.
_ENTRY_BYTES: Final = 1024
_VALUE_BYTES: Final = 100
_CHARACTER_BYTES: Final = 2


def digest_of(credential: str) -> bytes:
    """Return the SHA-256 by which a credential is known."""
    return hashlib.sha256(credential.encode("utf-8", "surrogatepass")).digest()


def weight_of(principal: Principal) -> int:
    """Return about how many bytes a principal takes."""
    weight, level = _ENTRY_BYTES, [principal.claims, *principal.groups, *principal.scopes]
    while level:
        below: list[Any] = []
        for value in level:
            weight += _VALUE_BYTES
            if isinstance(value, str):
                weight += _CHARACTER_BYTES * len(value)
            elif isinstance(value, dict):
                weight += sum(_VALUE_BYTES + _CHARACTER_BYTES * len(name) for name in value)
                below += value.values()
            elif isinstance(value, list):
                below += value
        level = below
    return weight


class CacheMemory:
    """The memory of several caches together, at most ``limit`` bytes."""

    def __init__(self, *, limit: int = _IN_ALL) -> None:
        self._caches: WeakSet[CredentialCache[Any]] = WeakSet()
        self._limit = limit
        #: An upper bound: caches that were collected are subtracted only at the limit.
        self._held = 0

    def take(self, cache: "CredentialCache[Any]", weight: int) -> None:
        """Count what a cache keeps from now on, and make room for it."""
        self._caches.add(cache)
        self._held += weight
        if self._held > self._limit:
            self._make_room()

    def _make_room(self) -> None:
        caches = list(self._caches)
        self._held = sum(cache.weight for cache in caches)
        while self._held > self._limit:
            largest = max(caches, key=lambda cache: cache.weight)
            self._held -= largest.halve()


#: The memory of all caches of this process.
_MEMORY: Final = CacheMemory()


class CredentialCache(Generic[Value]):
    """What is known about accepted credentials, by digest: first in, first out.

    Must be used within one event loop.
    """

    def __init__(self, *, most: int = MOST, each: int = _EACH, memory: CacheMemory = _MEMORY) -> None:
        self.known: dict[bytes, Value] = {}
        self.weight = 0
        self._weights: dict[bytes, int] = {}
        self._most = most
        self._each = each
        self._memory = memory

    def __len__(self) -> int:
        return len(self.known)

    def put(self, digest: bytes, value: Value, principal: Principal) -> None:
        """Keep a value about a credential of a principal."""
        self.drop(digest)
        weight = weight_of(principal)
        self.known[digest] = value
        self._weights[digest] = weight
        self.weight += weight
        while len(self.known) > self._most or (self.weight > self._each and len(self.known) > 1):
            self.drop(next(iter(self.known)))
        self._memory.take(self, weight)

    def drop(self, digest: bytes) -> None:
        """Forget a credential, if it is known."""
        if self.known.pop(digest, None) is not None:
            self.weight -= self._weights.pop(digest)

    def halve(self) -> int:
        """Forget the older half; return the bytes that this frees."""
        before = self.weight
        for digest in list(self.known)[: len(self.known) // 2 + 1]:
            self.drop(digest)
        return before - self.weight
